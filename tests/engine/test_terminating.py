"""A policy that is being deleted counts as it stands before a change, and is not relied on after it."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, combinations
from random import Random

from app.engine.budget import Unlimited
from app.engine.judge import Age, Judge, State
from app.engine.required_flows import IpBlockMatchesPods, guarded_namespaces, required_flows
from tests.engine import brute
from tests.engine.oracle import Object
from tests.engine.small import WITHOUT_ADDRESSES, Small, key_of
from tests.engine.universe import OWN, engine_policy
from tests.engine.verdicts import TABLE, random_change


def _ages(before: list[Object], after: list[Object], going: set[str], small: Small) -> dict[object, Age]:
    """Return the age of each lost flow as the engine knows it."""
    made = {name: engine_policy(each) for each in (*before, *after) for name in [each["metadata"]["name"]]}
    made = {name: replace(policy, terminating=name in going) for name, policy in made.items()}
    earlier, later = (
        State(tuple(made[each["metadata"]["name"]] for each in side), TABLE) for side in (before, after)
    )
    flows = required_flows(small.cluster, OWN, small.options, guarded_namespaces(small.cluster))
    losses = Judge(small.options, Unlimited()).compare(earlier, later, flows).losses
    return {key_of(loss, small): loss.age for loss in losses}


def _left(policies: list[Object], going: set[str], most: int) -> list[list[Object]]:
    """Return ``policies`` without any of those that go, and with each ``most`` or fewer of them."""
    staying = [policy for policy in policies if policy["metadata"]["name"] not in going]
    leaving = [policy for policy in policies if policy["metadata"]["name"] in going]
    some = chain.from_iterable(combinations(leaving, count) for count in range(most + 1))
    return [[*staying, *left] for left in some]


def _view(policies: list[Object]) -> dict[str, brute.Allowed]:
    return {way: brute.allowed(WITHOUT_ADDRESSES, policies, way) for way in ("Ingress", "Egress")}


def test_what_goes_counts_as_it_stands_before_a_change_and_is_not_relied_on_after_it() -> None:
    chance, blamed, spared = Random(7), 0, 0
    for _ in range(400):
        small = replace(Small.random(chance), matches_pods=IpBlockMatchesPods.NO)
        before, after = random_change(chance)
        going = {each["metadata"]["name"] for each in before if chance.random() < 0.4}
        told = _ages(before, after, going, small)
        standing, staying = _view(before), _view(_left(before, going, 0)[0])
        to_come = [_view(left) for left in _left(after, going, len(after))]
        for flow in small.required():
            lost = any(brute.lost(flow.box, view[flow.direction]) for view in to_come)
            assert (flow.key in told) == lost, (small, before, after, going)
            later = [_view(left)[flow.direction] for left in _left(after, going, 1)]
            new = any(
                brute.newly_lost(flow.box, standing[flow.direction], view)
                and brute.newly_lost(flow.box, staying[flow.direction], view)
                for view in later
            )
            blamed += new
            spared += lost and not new
            assert not lost or (told[flow.key] is Age.NEW) == new, (small, before, after, going)
    assert blamed > 100
    assert spared > 100
