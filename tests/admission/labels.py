"""Changes of a namespace's labels, held against brute force."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from app.admission.rules import Rules
from app.engine.cluster import Cluster
from app.engine.policy import Namespace
from app.engine.required_flows import IpBlockMatchesPods, Options
from tests.admission.world import MANAGED, ask, namespace, request
from tests.engine import brute
from tests.engine.brute import Box, Space
from tests.engine.oracle import End
from tests.engine.small import PORTS
from tests.engine.universe import NAMESPACES, OWN, SMALL, Generator, engine_policy

CHANGED = "ns-b"
_RULES = Rules(options=Options(IpBlockMatchesPods.NO))


def _labels(chance: Random) -> dict[str, str]:
    team = chance.choice((None, "x", "true", "zz"))
    chosen = {**MANAGED, **({} if team is None else {"team": team})}
    return chosen if chance.random() < 0.7 else {key: item for key, item in chosen.items() if key == "team"}


def labels_agree(count: int, seed: int) -> int:
    """Compare the answers to ``count`` changes of labels of a managed namespace with brute force."""
    chance = Random(seed)
    for _ in range(count):
        policies = Generator(chance, SMALL).policies(3)
        old, new = {**MANAGED, **_labels(chance)}, _labels(chance)
        spaces = {**NAMESPACES, CHANGED: Namespace.of(CHANGED, old)}
        cluster = replace(
            Cluster(namespaces=spaces), policies={OWN: tuple(engine_policy(policy) for policy in policies)}
        )
        answer = ask(cluster, request("UPDATE", namespace(CHANGED, new), namespace(CHANGED, old)), _RULES)
        told = set() if answer.allowed else set(answer.decision.flows)
        wanted = {
            f"managed-{direction.lower()}"
            for direction in ("Ingress", "Egress")
            if any(_newly_lost(policies, direction, (old, new)))
        }
        assert told == (wanted if old != new else set()), (seed, policies, old, new, told, wanted)
    return count


def _newly_lost(
    policies: list[dict[str, object]], direction: str, labels: tuple[dict[str, str], dict[str, str]]
) -> Iterator[int]:
    """Yield what the namespace's pods lose with their new labels, as masks of ports."""
    named = {"kubernetes.io/metadata.name": CHANGED}
    before, after = (
        brute.allowed(
            Space(
                OWN,
                tuple(SMALL.labels),
                tuple(End(CHANGED, {**label, **named}, pod) for pod in SMALL.labels),
                PORTS,
            ),
            policies,
            direction,
        )
        for label in labels
    )
    everyone = frozenset(range(len(SMALL.labels)))
    yield from brute.newly_lost(Box(everyone, everyone, (1 << len(PORTS)) - 1), before, after).values()
