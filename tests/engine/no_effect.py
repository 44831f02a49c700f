"""The claim that a policy has no effect, held against brute force in both directions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from random import Random

from app.engine.budget import Unlimited
from app.engine.effects import has_no_effect
from app.engine.regions import NamespaceTable, World
from tests.engine import brute, oracle
from tests.engine.brute import Space
from tests.engine.oracle import End, Object
from tests.engine.small import ADDRESSES, PORTS
from tests.engine.universe import NAMESPACES, OWN, SMALL, Generator, engine_policy

FACTS = World(NamespaceTable(NAMESPACES))
_DIRECTIONS = ("Ingress", "Egress")


def _far_ends(addresses: tuple[str | None, ...]) -> Iterator[End]:
    """Yield pods of today's namespaces, of namespaces to come with whatever labels, and addresses outside."""
    for name, labels, ip in product(NAMESPACES, SMALL.labels, addresses):
        yield End(name, dict(NAMESPACES[name].labels), labels, ip)
    values = (None, "x", "true", "zz")
    for team, managed, labels, ip in product(values, values, SMALL.labels, addresses):
        chosen = {"team": team, "iomete.com/managed": managed, "kubernetes.io/metadata.name": "ns-new"}
        yield End("ns-new", {key: item for key, item in chosen.items() if item is not None}, labels, ip)
    for address in ADDRESSES:
        yield End(ip=address)


_SPACES = tuple(
    Space(OWN, tuple(SMALL.labels), tuple(_far_ends(addresses)), PORTS) for addresses in ((None,), ADDRESSES)
)


@dataclass(frozen=True)
class Claims:
    """How many policies were claimed to be without effect, and how many true ones were not."""

    made: int
    missed: int

    @property
    def share_found(self) -> float:
        """The share of policies without effect that are told so."""
        return self.made / max(1, self.made + self.missed)


def examine(count: int, seed: int) -> Claims:
    """Check every claim about ``count`` random policies, and count those that could have been made."""
    chance, made, missed = Random(seed), 0, 0
    for _ in range(count):
        others, policy = Generator(chance, SMALL).policies(3), _policy(chance)
        claimed = has_no_effect(
            engine_policy(policy), [engine_policy(other) for other in others], FACTS, Unlimited()
        )
        true = has_truly_none(policy, others)
        assert true or not claimed, (seed, policy, others)
        made += claimed
        missed += true and not claimed
    return Claims(made, missed)


def _policy(chance: Random) -> Object:
    """Return a policy; often a default deny, or one whose rules are few, as they are in real life."""
    policy = Generator(chance, SMALL).policy("new")
    for field in ("ingress", "egress"):
        if chance.random() < 0.5:
            policy["spec"][field] = policy["spec"][field][:1] if chance.random() < 0.3 else []
    return policy


def has_truly_none(policy: Object, others: Sequence[Object]) -> bool:
    """Tell by brute force whether ``policy`` isolates no pod and allows no flow beyond ``others``."""
    together = [*others, policy]
    return not any(_isolates_more(policy, others, direction) for direction in _DIRECTIONS) and all(
        brute.allowed(space, others, direction) == brute.allowed(space, together, direction)
        for space in _SPACES
        for direction in _DIRECTIONS
    )


def _isolates_more(policy: Object, others: Sequence[Object], direction: str) -> bool:
    return any(
        _isolates(policy, labels, direction)
        and not any(_isolates(other, labels, direction) for other in others)
        for labels in SMALL.labels
    )


def _isolates(policy: Object, labels: dict[str, str], direction: str) -> bool:
    spec = policy["spec"]
    return direction in spec["policyTypes"] and oracle.selects(spec["podSelector"], labels)


def no_effect_is_true(count: int, seed: int) -> int:
    """Check every "no effect" of ``count`` random policies; return how many were checked."""
    claims = examine(count, seed)
    print(f"  {claims.made} told to be without effect, {claims.missed} without effect and not told")
    return count
