"""Long runs of the engine against its oracles; the tests run them small.

``python -m tests.engine.agreement flows 1000000`` compares single flows with the oracle,
``... cyclonus 200000`` with an engine that nobody here wrote, ``... brute 100000`` the exact search and
``... verdicts 100000`` whole verdicts with brute force, before and after, ``... reviews 100000`` the
guard's answers and ``... labels 100000`` those to changes of a namespace's labels, ``... fixes 100000`` every
fix that answers show, ``... no-effect 100000`` every "no effect".
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from random import Random
from typing import Any

from app.engine.addresses import place_of
from app.engine.budget import Unlimited
from app.engine.intervals import IntervalSet
from app.engine.points import Point, is_allowed
from app.engine.policy import Direction, Policy
from app.engine.ports import Protocol, port_range
from app.engine.regions import ExistingPods, NamespaceTable, Outside, Region, Side, World, policy_covers
from app.engine.search.find import find_newly_lost
from app.engine.search.witness import is_lost, simplified
from app.engine.selectors import EVERYTHING
from tests.admission.changes import reviews_agree
from tests.admission.fixes import fixes_hold
from tests.admission.labels import labels_agree
from tests.engine import oracle
from tests.engine.cyclonus import Cyclonus
from tests.engine.no_effect import no_effect_is_true
from tests.engine.search import find_lost
from tests.engine.universe import LARGE, NAMESPACES, SMALL, Generator, as_flow, engine_policy
from tests.engine.verdicts import verdicts_agree

POINTS = LARGE.points()
FEW_POINTS = SMALL.points()
FACTS = World(NamespaceTable(NAMESPACES))
_ROUND = 200
_PORTS = port_range(Protocol.TCP) | port_range(Protocol.UDP)


def flows_agree(count: int, seed: int) -> int:
    """Compare ``count`` random flows with the oracle; return how many were compared."""
    chance, done = Random(seed), 0
    while done < count:
        manifests = Generator(chance).policies(5)
        policies = [engine_policy(manifest) for manifest in manifests]
        for point in chance.sample(POINTS, _ROUND):
            for direction in Direction:
                ours = is_allowed(policies, direction, point)
                theirs = oracle.allowed(manifests, as_flow(point, direction), direction.value)
                assert ours == theirs, (seed, manifests, point, direction)
        done += 2 * _ROUND
    return done


def brute_force_agrees(count: int, seed: int) -> int:
    """Compare the exact search with brute force on ``count`` random pairs of states; return the count."""
    chance = Random(seed)
    for _ in range(count):
        before = [engine_policy(policy) for policy in Generator(chance, SMALL).policies(3)]
        after = [*chance.sample(before, chance.randint(0, len(before)))]
        after += [engine_policy(policy) for policy in Generator(chance, SMALL).policies(2)]
        direction = chance.choice(tuple(Direction))
        region = chance.choice(_regions(direction))
        _compare(region, Side(before, FACTS), Side(after, FACTS))
        for policy in after:
            _compare_cover(policy, region)
    return count


def _regions(direction: Direction) -> list[Region]:
    outside = IntervalSet.of(*((place_of(address), place_of(address) + 1) for address in SMALL.addresses))
    return [
        Region(direction, EVERYTHING, ExistingPods(frozenset({"ns-a", "ns-b"})), _PORTS),
        Region(direction, EVERYTHING, ExistingPods(frozenset({"ns-c"})), _PORTS),
        Region(direction, EVERYTHING, Outside(outside), _PORTS),
    ]


def _compare(region: Region, before: Side, after: Side) -> None:
    lost = [
        point for point in FEW_POINTS if is_lost(region, point, after) and not _names_outside(region, point)
    ]
    newly = [point for point in lost if is_lost(region, point, after, before)]
    found = find_lost(region, after, Unlimited())
    assert (found is not None) == bool(lost), (region, after.policies, lost[:1])
    new = find_newly_lost(region, before, after, Unlimited())
    assert (new is not None) == bool(newly), (region, before.policies, after.policies, newly[:1])
    for point, earlier in ((found, None), (new, before)):
        if point is not None:
            assert is_lost(region, point, after, earlier), (region, point)
            plain = simplified(region, point, after, earlier, budget=Unlimited())
            assert is_lost(region, plain, after, earlier), (region, point)


def _names_outside(region: Region, point: Point) -> bool:
    """Tell whether a port name is given to an address outside: rule 20, there is no such thing."""
    return region.direction is Direction.EGRESS and point.peer.namespace is None and bool(point.port_names)


def _compare_cover(policy: Policy, region: Region) -> None:
    if policy_covers(policy, region, FACTS):
        assert find_lost(region, Side([policy], FACTS), Unlimited()) is None, (policy, region)


def cyclonus_agrees(count: int, seed: int) -> int:
    """Compare ``count`` random flows with cyclonus, rule 15 aside; return how many were compared."""
    chance, done = Random(seed), 0
    with Cyclonus() as other:
        while done < count:
            manifests = Generator(chance).policies(4)
            policies = [engine_policy(manifest) for manifest in manifests]
            keys = set(_not_in_keys(manifests))
            points = [point for point in chance.sample(POINTS, _ROUND) if not _is_rule_15(point, keys)]
            for direction in Direction:
                flows = [_question(point, direction) for point in points]
                answers = other.ask(manifests, flows)
                ingress = direction is Direction.INGRESS
                verdicts = [answer.ingress if ingress else answer.egress for answer in answers]
                for point, theirs in zip(points, verdicts, strict=True):
                    assert is_allowed(policies, direction, point) == theirs, (manifests, point, direction)
            done += 2 * len(points)
    return done


def _not_in_keys(value: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON
    """Yield the keys of all ``NotIn`` requirements."""
    if isinstance(value, dict):
        if value.get("operator") == "NotIn":
            yield value["key"]
        for item in value.values():
            yield from _not_in_keys(item)
    elif isinstance(value, list):
        for item in value:
            yield from _not_in_keys(item)


def _is_rule_15(point: Point, keys: set[str]) -> bool:
    """Tell whether a label that some ``NotIn`` asks for is absent: what cyclonus is known to get wrong."""
    of_pods, of_namespaces = keys & set(LARGE.keys), keys - set(LARGE.keys)
    peer = point.peer
    if peer.namespace is None:
        return not of_pods <= point.labels.keys()
    return not (
        of_pods <= point.labels.keys() & peer.labels.keys() and of_namespaces <= peer.namespace_labels.keys()
    )


def _question(point: Point, direction: Direction) -> dict[str, Any]:
    flow = as_flow(point, direction)
    question = {"source": _end(flow.source), "destination": _end(flow.destination)}
    name = next(iter(flow.names), "")
    return {**question, "protocol": flow.protocol, "port": flow.port, "portName": name}


def _end(end: oracle.End) -> dict[str, Any]:
    if end.namespace is None:
        return {"ip": end.ip}
    # An address that no block of the universe matches: whether ipBlock matches pods is no matter here.
    labels = {"namespaceLabels": end.namespace_labels, "podLabels": end.labels}
    return {"namespace": end.namespace, **labels, "ip": "172.16.0.1"}


RUNS = {
    "flows": flows_agree,
    "brute": brute_force_agrees,
    "verdicts": verdicts_agree,
    "reviews": reviews_agree,
    "labels": labels_agree,
    "fixes": fixes_hold,
    "no-effect": no_effect_is_true,
    "cyclonus": cyclonus_agrees,
}


def main(arguments: list[str]) -> int:
    """Run one comparison: its name, how many, and optionally a seed."""
    if len(arguments) not in (2, 3) or arguments[0] not in RUNS:
        print(f"usage: python -m tests.engine.agreement {'|'.join(RUNS)} COUNT [SEED]", file=sys.stderr)
        return 2
    seed = int(arguments[2]) if len(arguments) == 3 else 1
    print(f"{arguments[0]}: {RUNS[arguments[0]](int(arguments[1]), seed)} compared, no difference")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
