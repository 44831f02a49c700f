"""No state on the way loses a required flow or lets more through, by brute force instead of the engine."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.install.plan import Plan
from app.install.policies.namespace import Choices
from app.model.kinds import Manifest
from tests.engine import brute
from tests.engine.small import WITHOUT_ADDRESSES, Small
from tests.engine.universe import OWN, SMALL, Generator
from tests.install.store import MemoryStore
from tests.install.world import carried_out, planned, removal

View = dict[str, brute.Allowed]
DIRECTIONS = ("Ingress", "Egress")
CHOICES = (Choices(), Choices(openings=("ns-c",)), Choices(adopt=True))


def view(policies: Sequence[Manifest]) -> View:
    return {direction: brute.allowed(WITHOUT_ADDRESSES, policies, direction) for direction in DIRECTIONS}


def assert_no_harm(small: Small, states: Sequence[Sequence[Manifest]], end: Sequence[Manifest]) -> None:
    """Hold each state against the first one and ``end``, which is what all this leads to."""
    first, last = view(states[0]), view(end)
    for policies in states[1:]:
        now = view(policies)
        names = [policy["metadata"]["name"] for policy in policies]
        for flow in small.required():
            lost = brute.newly_lost(flow.box, first[flow.direction], now[flow.direction])
            assert not lost, (flow.key, names)
        for direction in DIRECTIONS:
            bounds = zip(now[direction], first[direction], last[direction], strict=True)
            for here, before, after in bounds:
                wider = [x & ~(y | z) for x, y, z in zip(here, before, after, strict=True)]
                assert not any(wider), (direction, names)


@st.composite
def starts(draw: st.DrawFn) -> tuple[Small, list[Manifest]]:
    chance = Random(draw(st.integers(0, 2**32)))
    generator = Generator(chance, SMALL)
    return Small.random(chance), generator.policies(draw(st.integers(0, 4)))


def bring(small: Small, store: MemoryStore, choices: Choices) -> Plan:
    return planned(store, small.cluster, choices, OWN)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(starts(), st.sampled_from(CHOICES))
def test_bringing_the_baselines_does_no_harm_whatever_stands_there(
    start: tuple[Small, list[Manifest]], choices: Choices
) -> None:
    small, policies = start
    store = MemoryStore.of(*policies)
    plan = bring(small, store, choices)
    assert not plan.problems
    assert carried_out(plan, store, small.cluster).is_complete
    assert_no_harm(small, store.history, store.history[-1])
    assert bring(small, store, choices).steps == ()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(starts(), st.data())
def test_interrupted_at_any_point_it_does_no_harm_and_a_second_run_completes_it(
    start: tuple[Small, list[Manifest]], data: st.DataObject
) -> None:
    small, policies = start
    whole = MemoryStore.of(*policies)
    carried_out(bring(small, whole, Choices()), whole, small.cluster)
    store = MemoryStore.of(*policies)
    plan = bring(small, store, Choices())
    store.writes = data.draw(st.integers(0, max(0, len(plan.steps) - 1)), label="writes before the end")
    store.end = data.draw(st.sampled_from((store.end, KeyboardInterrupt)), label="how it ends")
    first = carried_out(plan, store, small.cluster)
    store.writes = 1_000_000
    if not first.is_complete:
        assert first.trouble
        assert first.left
    assert carried_out(bring(small, store, Choices()), store, small.cluster).is_complete
    assert_no_harm(small, store.history, store.history[-1])
    assert view(store.history[-1]) == view(whole.history[-1])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(starts())
def test_taking_the_baselines_away_does_no_harm_or_is_refused(start: tuple[Small, list[Manifest]]) -> None:
    small, policies = start
    store = MemoryStore.of(*policies)
    carried_out(bring(small, store, Choices()), store, small.cluster)
    del store.history[:-1]
    plan = removal(store, small.cluster, OWN)
    if plan.problems:
        assert plan.steps == ()
        return
    assert carried_out(plan, store, small.cluster).is_complete
    assert_no_harm(small, store.history, store.history[-1])


@pytest.mark.parametrize("writes", range(4))
@pytest.mark.parametrize("seed", range(5))
def test_taking_away_that_was_interrupted_is_completed_by_a_second_run(seed: int, writes: int) -> None:
    small = Small.random(Random(seed))
    store = MemoryStore.of()
    carried_out(bring(small, store, Choices()), store, small.cluster)
    del store.history[:-1]
    store.writes = writes
    assert not carried_out(removal(store, small.cluster, OWN), store, small.cluster).is_complete
    store.writes = 1_000_000
    assert carried_out(removal(store, small.cluster, OWN), store, small.cluster).is_complete
    assert store.policies() == ()
    assert_no_harm(small, store.history, [])
