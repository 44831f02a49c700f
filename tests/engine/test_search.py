"""Sifting and the solver give the same answers, and both look at their budget."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine.addresses import ALL_OF, Family
from app.engine.budget import TooComplexError, Unlimited
from app.engine.intervals import IntervalSet
from app.engine.points import Point
from app.engine.policy import Direction, Namespace, Policy
from app.engine.ports import ALL_NUMBERS, Protocol, port_range
from app.engine.regions import ExistingPods, FuturePods, NamespaceTable, Outside, Region, Side, World
from app.engine.required_flows import future_namespaces
from app.engine.search import sieve, solver
from app.engine.search.find import find_newly_lost, find_only_allowed, find_unselected
from app.engine.search.witness import is_lost
from app.engine.selectors import EVERYTHING, Selector
from tests.bench.policies import many_values, narrow_policies, random_policies, satisfiability
from tests.engine.search import find_lost
from tests.engine.universe import NAMES, NAMESPACES, Generator, engine_policy

TABLE = NamespaceTable(NAMESPACES)
SEEDS = st.integers(0, 2**32)


def _policies(chance: Random, most: int) -> list[Policy]:
    make = chance.choice((random_policies, narrow_policies))
    few = Generator(chance).policies(most)
    return [engine_policy(manifest) for manifest in (*few, *make(chance, chance.randint(0, most)))]


def _region(chance: Random) -> Region:
    webhook, names = port_range(Protocol.TCP, 443, 443), frozenset({(Protocol.TCP, "http")})
    peer = chance.choice(
        (
            ExistingPods(frozenset(chance.sample(NAMES, chance.randint(1, 3)))),
            ExistingPods(frozenset(NAMES), Selector.labels({"tier": "b"})),
            FuturePods(future_namespaces(frozenset(NAMES))),
            FuturePods(future_namespaces(frozenset(NAMES), EVERYTHING), Selector.labels({"app": "b"})),
            Outside(ALL_OF[Family.IPV4] | ALL_OF[Family.IPV6]),
            Outside(IntervalSet.of((0x0A010203, 0x0A010204))),
        )
    )
    plain = chance.choice((ALL_NUMBERS, webhook, port_range(Protocol.UDP)))
    ports = chance.choice(((plain, frozenset()), (webhook, names)))
    subject = chance.choice((EVERYTHING, EVERYTHING, Selector.labels({"app": "a"})))
    return Region(chance.choice(tuple(Direction)), subject, peer, *ports)


def _facts(chance: Random, table: NamespaceTable) -> World:
    return World(table, chance.choice((None, ALL_OF[Family.IPV4])))


def _check(region: Region, found: Point | None, after: Side, before: Side | None = None) -> None:
    if found is not None:
        assert is_lost(region, found, after, before)


@settings(max_examples=300, deadline=None)
@given(SEEDS)
def test_what_is_lost_by_sifting_is_lost_by_the_solver(seed: int) -> None:
    chance = Random(seed)
    region, side = _region(chance), Side(_policies(chance, 6), _facts(chance, TABLE))
    found = find_lost(region, side, Unlimited())
    assert (found is None) == (solver.lost(region, side, Unlimited()) is None)
    _check(region, found, side)


@settings(max_examples=300, deadline=None)
@given(SEEDS)
def test_what_is_newly_lost_by_sifting_is_newly_lost_by_the_solver(seed: int) -> None:
    chance = Random(seed)
    region, world = _region(chance), _facts(chance, TABLE)
    policies = _policies(chance, 5)
    before = Side(chance.sample(policies, len(policies) // 2), world)
    after = Side(chance.sample(policies, len(policies) * 2 // 3), world)
    found = find_newly_lost(region, before, after, Unlimited())
    assert (found is None) == (solver.only_allowed(region, before, [after], Unlimited()) is None)
    _check(region, found, after, before)


@settings(max_examples=200, deadline=None)
@given(SEEDS)
def test_among_many_policies_for_few_pods_each_the_same_is_lost_as_by_the_solver(seed: int) -> None:
    chance = Random(seed)
    region, world = _region(chance), _facts(chance, TABLE)
    policies = [engine_policy(policy) for policy in narrow_policies(chance, 24)]
    gone = chance.sample(policies, 2)
    before = Side(policies, world)
    after = Side([policy for policy in policies if policy not in gone], world)
    for earlier, later in ((before, after), (after, before)):
        new = find_newly_lost(region, earlier, later, Unlimited())
        assert (new is None) == (solver.only_allowed(region, earlier, [later], Unlimited()) is None)
        _check(region, new, later, earlier)
        _check(region, find_lost(region, later, Unlimited()), later)


@settings(max_examples=200, deadline=None)
@given(SEEDS)
def test_other_labels_of_a_namespace_lose_the_same_either_way(seed: int) -> None:
    chance = Random(seed)
    name = chance.choice(NAMES)
    labels = chance.choice(({}, {"team": "x"}, {"iomete.com/managed": "true"}))
    other = NamespaceTable({**NAMESPACES, name: Namespace.of(name, labels)})
    region, world = _region(chance), _facts(chance, TABLE)
    policies = _policies(chance, 5)
    before, after = Side(policies, world), Side(policies, replace(world, table=other))
    found = find_newly_lost(region, before, after, Unlimited())
    assert (found is None) == (solver.only_allowed(region, before, [after], Unlimited()) is None)
    _check(region, found, after, before)


@settings(max_examples=200, deadline=None)
@given(SEEDS)
def test_a_pod_that_nobody_selects_is_found_either_way(seed: int) -> None:
    policies = _policies(Random(seed), 6)
    pods, *selectors = [EVERYTHING, *(policy.pods for policy in policies)]
    found = find_unselected(pods, selectors, Unlimited())
    assert (found is None) == (solver.unselected(pods, selectors, Unlimited()) is None)
    assert found is None or not any(selector.matches(found) for selector in selectors)


def test_what_takes_too_many_choices_goes_to_the_solver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sieve, "_MOST_WORK", 0)
    policies = [engine_policy(manifest) for manifest in satisfiability(Random(3), 60)]
    side = Side(policies, World(TABLE))
    region = Region(Direction.INGRESS, EVERYTHING, ExistingPods(frozenset(NAMES)), ALL_NUMBERS)
    _check(region, find_lost(region, side, Unlimited()), side)
    empty = Side((), World(TABLE))
    _check(region, find_newly_lost(region, empty, side, Unlimited()), side, empty)


class _Spent:
    """A budget that lets so many looks pass."""

    def __init__(self, looks: int) -> None:
        self.left = looks

    def exhausted(self) -> bool:
        """Tell whether the looks are used up."""
        self.left -= 1
        return self.left < 0


@pytest.mark.parametrize("looks", [0, 1, 5, 20])
def test_when_time_is_up_every_search_says_so(looks: int) -> None:
    policies = [engine_policy(value) for value in many_values(Random(5), 300)]
    side, empty = Side(policies, World(TABLE)), Side((), World(TABLE))
    region = Region(Direction.INGRESS, EVERYTHING, ExistingPods(frozenset(NAMES)), ALL_NUMBERS)
    selectors = [policy.pods for policy in policies[1:]]
    with pytest.raises(TooComplexError):
        solver.lost(region, side, _Spent(looks))
    with pytest.raises(TooComplexError):
        solver.unselected(EVERYTHING, selectors, _Spent(0))
    with pytest.raises(TooComplexError):
        find_lost(region, side, _Spent(min(looks, 5)))
    with pytest.raises(TooComplexError):
        find_only_allowed(region, empty, [side, side], _Spent(looks))
