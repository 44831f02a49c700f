"""What settles large policies without a search, each held against the search itself."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from random import Random

import pytest

from app.engine import policy as policy_module
from app.engine.baselines import recognise
from app.engine.budget import TooComplexError, Unlimited
from app.engine.cluster import Cluster
from app.engine.judge import Age, Judge, State, Wanted
from app.engine.policy import ALLOW_ALL, Direction, Namespace, Peers, PodPeer, Policy, Rule
from app.engine.ports import ALL_NUMBERS
from app.engine.regions import ExistingPods, NamespaceTable, Region
from app.engine.required_flows import FlowId, Options, RequiredFlow, Severity
from app.engine.selectors import EVERYTHING, Selector
from tests.engine.test_bounds import Looks

INGRESS = frozenset({Direction.INGRESS})
TABLE = NamespaceTable({name: Namespace.of(name) for name in ("one", "two")})
PODS = Region(Direction.INGRESS, EVERYTHING, ExistingPods(frozenset({"one", "two"})), ALL_NUMBERS)
FLOW = RequiredFlow(FlowId.MANAGED_INGRESS, "one", PODS, Severity.REJECT)
APP = Selector.label("app", "x")


def _many(name: str, pods: Selector = EVERYTHING, count: int = 30_000, start: int = 0) -> Policy:
    """Return a policy of so many rules that no search is done with it in time."""
    rules = tuple(
        Rule(Peers((PodPeer(pods=Selector.label("a", str(number))),)))
        for number in range(start, start + count)
    )
    return Policy("one", name, pods, INGRESS, rules)


def _taken_away(before: tuple[Policy, ...], after: tuple[Policy, ...], looks: int = 200) -> bool:
    """Tell whether a change takes something away, by a judge that does not look long."""
    judge = Judge(Options(), Looks(looks))
    return bool(judge.compare(State(before, TABLE), State(after, TABLE), (FLOW,)).rejected)


def test_deleting_what_alone_isolates_its_pods_only_opens_however_large_it_is() -> None:
    large = _many("large", APP)
    other = Policy("one", "other", Selector.label("app", "y"), INGRESS)
    assert not _taken_away((large, other), (other,))


def test_deleting_what_is_large_beside_what_isolates_its_pods_is_looked_at() -> None:
    large, deny = _many("large", APP, count=50), Policy("one", "deny", EVERYTHING, INGRESS)
    assert _taken_away((large, deny), (deny,), looks=10_000)


def test_adding_to_what_isolates_its_pods_already_takes_nothing_away_however_large_it_is() -> None:
    similar, large = _many("similar", EVERYTHING), _many("large", APP, start=7)
    assert not _taken_away((similar,), (similar, large))


def test_adding_what_isolates_pods_anew_is_looked_at() -> None:
    similar, small = _many("similar", APP, count=50), _many("small", EVERYTHING, count=50)
    assert _taken_away((similar,), (similar, small), looks=10_000)


def test_what_was_lost_before_is_left_out_where_there_is_no_time_for_it() -> None:
    similar, large = _many("similar"), _many("large", start=7)
    verdict = Judge(Options(), Looks(50)).compare(
        State((similar,), TABLE), State((similar, large), TABLE), (FLOW,)
    )
    assert verdict.losses == ()
    few, more = _many("few", count=3), _many("more", count=3, start=7)
    known = Judge(Options(), Unlimited()).compare(State((few,), TABLE), State((few, more), TABLE), (FLOW,))
    assert [loss.age for loss in known.losses] == [Age.OLD]
    new = Judge(Options(), Unlimited()).compare(
        State((few,), TABLE), State((few, more), TABLE), (FLOW,), wanted=Wanted.NEW
    )
    assert new.losses == ()


def test_what_the_change_takes_away_is_never_left_out() -> None:
    with pytest.raises(TooComplexError):
        _taken_away((), (_many("large"),), looks=20)


def test_a_rule_that_allows_everything_stands_for_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    open_one = replace(_many("open"), ingress=(*_many("open").ingress, ALLOW_ALL))
    assert open_one.allowing(Direction.INGRESS) == (ALLOW_ALL,)
    assert len(open_one.rules(Direction.INGRESS)) == 30_001
    assert not _taken_away((), (open_one,))
    assert not _taken_away((_many("similar"), open_one), (open_one,))
    few = replace(open_one, ingress=open_one.ingress[-3:])
    assert few.allowing(Direction.INGRESS) == few.ingress
    monkeypatch.setattr(policy_module, "_MANY_RULES", 2)
    assert few.allowing(Direction.INGRESS) == (ALLOW_ALL,)


def _random_policy(chance: Random, name: str) -> Policy:
    pods = chance.choice([EVERYTHING, APP, Selector.label("app", "y"), Selector.label("tier", "z")])
    some = [ALLOW_ALL, *_many("x", count=2).ingress, Rule(Peers((PodPeer(),)))]
    return Policy("one", name, pods, INGRESS, tuple(chance.sample(some, chance.randrange(3))))


@pytest.mark.parametrize("seed", range(200))
def test_with_and_without_the_short_cuts_the_same_is_taken_away(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both answers of the search itself: every point of a small world is asked for one by one."""
    chance = Random(seed)
    known = [_random_policy(chance, f"p-{number}") for number in range(4)]
    before = tuple(chance.sample(known, chance.randrange(4)))
    after = tuple(chance.sample(known, chance.randrange(4)))
    monkeypatch.setattr(policy_module, "_MANY_RULES", chance.choice([0, 32]))
    found = _taken_away(before, after, looks=1_000_000)
    values: list[str | None] = [None, "x", "y"]
    pods = [_labels(app, tier) for app, tier in product(values, [None, "z"])]
    peers = [("one", {}), ("two", {}), ("one", {"a": "0"}), ("two", {"a": "1"})]
    expected = any(
        _is_open(before, pod, peer) and not _is_open(after, pod, peer) for pod in pods for peer in peers
    )
    assert found == expected


def _labels(app: str | None, tier: str | None) -> dict[str, str]:
    return {key: value for key, value in (("app", app), ("tier", tier)) if value is not None}


def _is_open(policies: tuple[Policy, ...], pod: dict[str, str], peer: tuple[str, dict[str, str]]) -> bool:
    namespace, labels = peer
    isolating = [policy for policy in policies if policy.pods.matches(pod)]
    return not isolating or any(
        rule.peers is None
        or any(
            wanted.namespaces.matches(TABLE.namespaces[namespace].labels) and wanted.pods.matches(labels)
            for wanted in rule.peers.pods
        )
        for policy in isolating
        for rule in policy.ingress
    )


def test_nobody_looks_whether_thousands_of_peers_are_a_baseline() -> None:
    """Each peer would be held against each."""
    rules = tuple(Rule(Peers((PodPeer(pods=Selector.label("a", str(number))),))) for number in range(20_000))
    policy = Policy("one", "x", EVERYTHING, frozenset(Direction), rules, (ALLOW_ALL,))
    assert recognise(policy, Cluster()) is None
