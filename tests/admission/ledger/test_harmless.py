from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import product
from random import Random

import pytest

from app.engine.addresses import place_of
from app.engine.baselines import written_baselines
from app.engine.points import Peer, Point, allowing, isolating
from app.engine.policy import Direction, Policy
from app.engine.ports import Protocol, position
from tests.admission.ledger.engine import CLUSTER, EngineModel

_MODEL = EngineModel()


def _is_harmless(namespace: str, old: Policy | None, new: Policy | None) -> bool:
    return asyncio.run(_MODEL.judge.is_harmless(namespace, old, new))


_PODS: tuple[dict[str, str], ...] = ({}, {"app": "a"}, {"app": "zz"})


def _namespaces() -> Iterator[Peer]:
    managed: tuple[dict[str, str], ...] = ({}, {"iomete.com/managed": "true"})
    teams: tuple[dict[str, str], ...] = ({}, {"team": "x"}, {"team": "y"}, {"team": "zz"})
    for name, mark, team, pod in product(("a", "n"), managed, teams, _PODS):
        yield Peer(name, {"kubernetes.io/metadata.name": name, **mark, **team}, pod)


def _required() -> Iterator[tuple[Direction, Point]]:
    places = (position(Protocol.TCP, 80), position(Protocol.UDP, 53))
    for direction, subject, peer, place in product(Direction, _PODS, list(_namespaces()), places):
        yield direction, Point(subject, peer, place)
    source = Peer(address=place_of("10.0.0.1"))
    yield Direction.INGRESS, Point({"app": "a"}, source, position(Protocol.TCP, 443))


_POINTS = tuple(_required())


def _is_harmless_point_by_point(old: Policy | None, new: Policy | None) -> bool:
    before, after = [() if version is None else (version,) for version in (old, new)]
    for direction, point in _POINTS:
        was, now = (any(allowing(version, direction, point)) for version in (before, after))
        isolated, isolates = (any(isolating(version, direction, point.labels)) for version in (before, after))
        if (was and not now) or (isolates and not now and not isolated):
            return False
    return True


def test_it_agrees_with_all_points_looked_at_one_by_one() -> None:
    chance = Random(1)
    found = {True: 0, False: 0}
    for _ in range(300):
        old, new = (None if chance.random() < 0.2 else _MODEL.policy(chance) for _ in range(2))
        expected = _is_harmless_point_by_point(old, new)
        assert _is_harmless("a", old, new) is expected, (old, new)
        found[expected] += 1
    assert min(found.values()) > 20


def test_a_policy_that_allows_everything_is_harmless_to_make_and_not_to_delete() -> None:
    policy = _MODEL.allow_all()
    assert _is_harmless("a", None, policy)
    assert not _is_harmless("a", policy, None)


def test_a_policy_that_allows_nothing_is_harmless_to_delete_and_not_to_make() -> None:
    policy = _MODEL.deny_all()
    assert _is_harmless("a", policy, None)
    assert not _is_harmless("a", None, policy)


@pytest.mark.parametrize("place", [0, 1])
def test_a_baseline_that_stays_as_it_is_is_harmless_and_a_new_one_is_not(place: int) -> None:
    baseline = written_baselines(CLUSTER, "a")[place]
    assert _is_harmless("a", baseline, baseline)
    assert not _is_harmless("a", None, baseline)
