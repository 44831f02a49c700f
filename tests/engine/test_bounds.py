"""Work is bounded: what is large on purpose is settled quickly, handed on, or given up, and never a hang.

Sizes are such that what is not bounded takes minutes, so that a test that ends has passed.
"""

from __future__ import annotations

from random import Random

import pytest

from app.engine import effects
from app.engine.baselines import BaselineKind, documented_webhook, recognise
from app.engine.budget import TooComplexError, Unlimited
from app.engine.cluster import Cluster, Provenance, Source
from app.engine.effects import Question
from app.engine.intervals import IntervalSet, Span
from app.engine.points import rule_matches
from app.engine.policy import ALLOW_ALL, Direction, Namespace, Peers, PodPeer, Policy, Rule
from app.engine.ports import ALL_NUMBERS, PortSet, Protocol, port_range, position
from app.engine.regions import ExistingPods, NamespaceTable, Region, Side, World
from app.engine.search.boxes import Boxes
from app.engine.search.classes import GaveUpError, interval_options, minimal
from app.engine.search.find import find_newly_lost
from app.engine.search.witness import is_lost, simplified
from app.engine.selectors import EVERYTHING, Selector
from tests.engine.search import find_lost

INGRESS = frozenset({Direction.INGRESS})
NAMES = tuple(f"ns-{number}" for number in range(50))
FACTS = World(NamespaceTable({name: Namespace.of(name) for name in NAMES}))


class Looks:
    """A budget that lasts for so many looks at it."""

    def __init__(self, looks: int) -> None:
        self.left = looks

    def exhausted(self) -> bool:
        """Tell whether the looks are used up."""
        self.left -= 1
        return self.left < 0


def _single_addresses(count: int) -> tuple[Rule, ...]:
    return tuple(
        Rule(Peers(addresses=IntervalSet.of((2 * number, 2 * number + 1)))) for number in range(count)
    )


def _everyone_port_by_port(count: int) -> Policy:
    single = [
        Rule(ports=PortSet.of([port_range(Protocol.TCP, number, number)])) for number in range(1, count)
    ]
    others = [port_range(Protocol.TCP, count), port_range(Protocol.UDP), port_range(Protocol.SCTP)]
    return Policy("ns-0", "by-port", EVERYTHING, INGRESS, (*single, Rule(ports=PortSet.of(others))))


def test_classes_that_leave_each_something_else_are_not_all_held_against_each_other() -> None:
    with pytest.raises(GaveUpError):
        minimal([(number, 1 << number) for number in range(60_000)], alive=(1 << 60_000) - 1)


def test_a_single_class_that_leaves_nothing_needs_no_comparison() -> None:
    options = [(None, 0), *((number, 1 << number) for number in range(60_000))]
    assert minimal(options, alive=(1 << 60_000) - 1) == [(None, 0)]


def test_what_is_allowed_port_by_port_is_allowed() -> None:
    policy = _everyone_port_by_port(1_000)
    region = Region(Direction.INGRESS, EVERYTHING, ExistingPods(frozenset(NAMES)), ALL_NUMBERS)
    assert find_lost(region, Side((policy,), FACTS), Unlimited()) is None


def test_the_budget_is_looked_at_while_one_large_policy_becomes_boxes() -> None:
    peers = Peers(tuple(PodPeer(pods=Selector.label("a", str(number))) for number in range(5_000)))
    large = Policy("ns-0", "large", EVERYTHING, INGRESS, (Rule(peers),))
    with pytest.raises(TooComplexError):
        Boxes(Direction.INGRESS, (large,), (), Looks(5))


def test_the_budget_is_looked_at_while_namespaces_are_told_apart() -> None:
    chance = Random(1)
    spaces = [Selector.label("team", str(number)) for number in range(5_000)]
    peers = Peers(tuple(PodPeer(space, Selector.label("a", "b")) for space in spaces))
    labels = {name: Namespace.of(name, {"team": str(chance.randrange(5_000))}) for name in NAMES}
    table = NamespaceTable(labels)
    boxes = Boxes(
        Direction.INGRESS, (Policy("ns-0", "x", EVERYTHING, INGRESS, (Rule(peers),)),), (), Looks(30)
    )
    with pytest.raises(TooComplexError):
        boxes.namespace_options(table, table.mask(EVERYTHING))


def test_the_budget_is_looked_at_along_an_axis() -> None:
    sets: dict[tuple[Span, ...], int] = {
        ((2 * number, 2 * number + 1),): 1 << number for number in range(3_000)
    }
    with pytest.raises(TooComplexError):
        interval_options(IntervalSet.of((0, 10_000)), sets, 0, Looks(8))


def test_a_copy_of_a_large_policy_is_not_compared_rule_by_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = _single_addresses(20_000)
    one, other = (Policy("ns-0", name, EVERYTHING, INGRESS, rules) for name in ("one", "other"))
    question = Question(one, [other], Direction.INGRESS, FACTS)
    looks = iter(range(200_000))
    monkeypatch.setattr(effects, "rule_matches", lambda *args: next(looks) >= 0 and rule_matches(*args))
    assert not question.shows_effect()
    assert not question.is_contained()


def test_a_copy_of_a_rule_with_many_peers_is_not_compared_peer_by_peer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pods = tuple(PodPeer(EVERYTHING, Selector.label("a", str(number))) for number in range(20_000))
    one, other = (Policy("ns-0", name, EVERYTHING, INGRESS, (Rule(Peers(pods)),)) for name in "ab")
    looks = iter(range(200_000))
    within = effects._peer_within
    monkeypatch.setattr(effects, "_peer_within", lambda *args: next(looks) >= 0 and within(*args))
    assert not Question(one, [other], Direction.INGRESS, FACTS).is_contained()


def test_a_baseline_of_very_many_rules_is_recognised() -> None:
    rules = _single_addresses(50_000)
    sources = Source(
        Provenance.DECLARED, "all", addresses=IntervalSet.of(*((2 * n, 2 * n + 1) for n in range(50_000)))
    )
    cluster = Cluster(sources=(sources,), webhooks=(documented_webhook("ns-0"),))
    policy = Policy(
        "ns-0", "x", documented_webhook("ns-0").selector, frozenset(Direction), rules, (ALLOW_ALL,)
    )
    found = recognise(policy, cluster)
    assert found is not None
    assert found.kind is BaselineKind.OPERATOR


@pytest.mark.parametrize("looks", [0, 1, 3, 50])
def test_a_witness_is_as_plain_as_there_is_time_for_and_a_witness_all_the_same(looks: int) -> None:
    labels = {f"k-{number}": "v" for number in range(20)}
    deny = Policy("ns-0", "deny", Selector.label("k-0", "v"), INGRESS)
    side = Side((deny,), FACTS)
    region = Region(
        Direction.INGRESS, Selector.labels({"k-1": "v"}), ExistingPods(frozenset(NAMES)), ALL_NUMBERS
    )
    found = find_lost(region, side, Unlimited())
    assert found is not None
    odd = type(found)({**labels, **found.labels}, found.peer, found.place)
    plain = simplified(region, odd, side, budget=Looks(looks))
    assert is_lost(region, plain, side)
    assert len(plain.labels) == (2 if looks == 50 else 20)


def test_not_every_label_of_very_many_is_tried() -> None:
    labels = {f"k-{number:05}": "v" for number in range(20_000)}
    deny = Policy("ns-0", "deny", Selector.labels(labels), INGRESS)
    side = Side((deny,), FACTS)
    region = Region(Direction.INGRESS, EVERYTHING, ExistingPods(frozenset(NAMES)), ALL_NUMBERS)
    found = find_lost(region, side, Unlimited())
    assert found is not None
    assert is_lost(region, simplified(region, found, side, budget=Unlimited()), side)


def test_more_rules_than_can_be_sifted_are_decided_all_the_same() -> None:
    policy = _everyone_port_by_port(25_000)
    region = Region(
        Direction.INGRESS, EVERYTHING, ExistingPods(frozenset(NAMES)), port_range(Protocol.TCP, 1, 30_000)
    )
    with pytest.raises(GaveUpError):
        Boxes(Direction.INGRESS, (policy,), (), Unlimited())
    assert find_lost(region, Side((policy,), FACTS), Unlimited()) is None
    narrower = policy.with_rules(Direction.INGRESS, policy.ingress[1:])
    found = find_lost(region, Side((narrower,), FACTS), Unlimited())
    assert found is not None
    assert found.place == position(Protocol.TCP, 1)
    before = Side((policy,), FACTS)
    assert find_newly_lost(region, before, Side((narrower,), FACTS), Unlimited()) is not None
