from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from app.cluster.state import reflector
from app.cluster.state.watched import WatchedState
from app.engine.policy import Direction, Policy
from app.model.snapshot import Watched
from tests.cluster.fake_api import event, page
from tests.cluster.routed_api import RoutedApi, until

POLICIES = "/apis/networking.k8s.io/v1/networkpolicies"
NAMESPACES = "/api/v1/namespaces"
LEDGER = "/api/v1/namespaces/netpol-guard/configmaps"
MANAGED = {"iomete.com/managed": "true"}
SLICES = "/apis/discovery.k8s.io/v1/namespaces/netpol-guard/endpointslices"
Object = dict[str, Any]


def policy(namespace: str, name: str, version: int, uid: str = "", **more: object) -> Object:
    metadata = {"namespace": namespace, "name": name, "uid": uid or f"{name}-uid", **more}
    spec = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]}
    return {"metadata": {**metadata, "resourceVersion": str(version)}, "spec": spec}


def home(name: str, version: int, labels: dict[str, str] | None = None) -> Object:
    labels = MANAGED if labels is None else labels
    return {"metadata": {"name": name, "uid": name, "resourceVersion": str(version), "labels": labels}}


def config_map(version: int, **data: str) -> Object:
    metadata = {"name": "netpol-guard-ledger", "uid": "ledger", "resourceVersion": str(version)}
    return {"metadata": metadata, "data": data}


def answering(*pods: str) -> Object:
    metadata = {"name": "netpol-guard-x", "namespace": "netpol-guard", "uid": "slice", "resourceVersion": "3"}
    targets = [{"targetRef": {"kind": "Pod", "name": name}} for name in pods]
    starting = {"targetRef": {"kind": "Pod", "name": "starting"}, "conditions": {"ready": False}}
    return {"metadata": metadata, "endpoints": [*targets, starting]}


def bookmark(version: int | str) -> bytes:
    return event("BOOKMARK", {"metadata": {"resourceVersion": str(version)}})


def cluster_of(**lists: bytes | int) -> RoutedApi:
    """Return a cluster with a managed namespace of one policy, another namespace, and a ledger."""
    policies = page(policy("a", "p", 5), policy("web", "q", 6), version="10")
    namespaces = page(home("a", 1), home("web", 2, {}), version="8")
    ledger = page(config_map(3, format="1"), version="9")
    return RoutedApi(
        {
            POLICIES: lists.get("policies", policies),
            NAMESPACES: lists.get("namespaces", namespaces),
            LEDGER: lists.get("ledger", ledger),
            SLICES: lists.get("slices", page(answering("guard-1"), version="9")),
        }
    )


@contextmanager
def watching(api: RoutedApi) -> Iterator[WatchedState]:
    state = WatchedState(api, "netpol-guard")
    state.start()
    try:
        yield state
    finally:
        state.stop()


@contextmanager
def synced(api: RoutedApi) -> Iterator[WatchedState]:
    with watching(api) as state:
        until(lambda: sum("watch" in request.query for request in api.requests) >= 4)
        assert state.missing() is None
        yield state


@pytest.fixture(autouse=True)
def no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST_PAUSE", "LONGEST_PAUSE", "REFUSED_PAUSE"):
        monkeypatch.setattr(reflector, name, 0.01)


def names(snapshot: Watched[Policy]) -> dict[str, set[str]]:
    return {namespace: set(found) for namespace, found in snapshot.policies.items() if found}


def test_only_policies_of_managed_namespaces_are_kept() -> None:
    with synced(cluster_of()) as state:
        snapshot = state.snapshot()
        assert names(snapshot) == {"a": {"p"}}
        assert snapshot.namespaces.keys() == {"a", "web"}
        assert (snapshot.policies_version, snapshot.namespaces_version) == (10, 8)


def test_policies_are_read_after_the_namespaces() -> None:
    api = cluster_of()
    with synced(api):
        paths = [request.path for request in api.requests if "watch" not in request.query]
        assert paths.index(NAMESPACES) < paths.index(POLICIES)


def test_nothing_is_known_before_all_three_are_read() -> None:
    with watching(cluster_of(ledger=503)) as state:
        until(lambda: "503" in (state.missing() or ""))
        assert "the ledger" in str(state.missing())


def test_versions_move_with_events_and_bookmarks_even_of_what_is_not_kept() -> None:
    api = cluster_of()
    with synced(api) as state:
        stream = api.watched(POLICIES)
        stream.send(event("ADDED", policy("a", "new", 11)))
        until(lambda: state.snapshot().policies_version == 11)
        assert names(state.snapshot()) == {"a": {"p", "new"}}
        stream.send(event("ADDED", policy("web", "other", 12)))
        until(lambda: state.snapshot().policies_version == 12)
        stream.send(bookmark(20))
        until(lambda: state.snapshot().policies_version == 20)
        assert names(state.snapshot()) == {"a": {"p", "new"}}


def test_a_change_of_metadata_alone_leaves_what_a_policy_says_the_very_same() -> None:
    api = cluster_of()
    with synced(api) as state:
        before = state.snapshot().policies["a"]["p"]
        api.watched(POLICIES).send(event("MODIFIED", policy("a", "p", 11)))
        until(lambda: state.snapshot().policies["a"]["p"].version == 11)
        assert state.snapshot().policies["a"]["p"].value is before.value


def test_the_version_of_namespaces_moves_by_itself() -> None:
    api = cluster_of()
    with synced(api) as state:
        api.watched(NAMESPACES).send(event("MODIFIED", home("web", 30, {"team": "x"})))
        until(lambda: state.snapshot().namespaces_version == 30)
        assert state.snapshot().namespaces["web"].labels["team"] == "x"
        assert state.snapshot().policies_version == 10


def test_a_version_that_is_no_number_is_none() -> None:
    api = cluster_of()
    with synced(api) as state:
        api.watched(POLICIES).send(bookmark("etcd-7"))
        until(lambda: state.snapshot().policies_version is None)


def test_a_snapshot_is_the_same_value_while_nothing_changes_and_another_afterwards() -> None:
    api = cluster_of()
    with synced(api) as state:
        before = state.snapshot()
        assert state.snapshot() is before
        api.watched(POLICIES).send(event("DELETED", policy("a", "p", 11)))
        until(lambda: state.snapshot().policies_version == 11)
        after = state.snapshot()
        assert names(before) == {"a": {"p"}}, "whoever holds the old one goes on seeing what was"
        assert names(after) == {}
        assert after.namespaces is before.namespaces


def test_a_version_never_promises_what_is_not_there_yet() -> None:
    api = cluster_of()
    with synced(api) as state:
        stream = api.watched(POLICIES)
        for number in range(200):
            stream.send(event("ADDED", policy("a", f"p{number}", 100 + number)))
        while (snapshot := state.snapshot()).policies_version != 299:
            reached = snapshot.policies_version
            assert reached is not None
            there = snapshot.policies["a"]
            assert all(f"p{number}" in there for number in range(max(0, reached - 99)))


def test_a_namespace_that_becomes_managed_makes_the_version_unknown_until_it_is_listed_anew() -> None:
    api = cluster_of()
    with synced(api) as state:
        api.watched(POLICIES)
        api.lists[POLICIES] = 503
        stream = api.watched(NAMESPACES)
        stream.send(event("MODIFIED", home("web", 30)))
        until(lambda: state.snapshot().namespaces_version == 30)
        assert state.snapshot().policies_version is None
        api.lists[POLICIES] = page(policy("a", "p", 5), policy("web", "q", 6), version="31")
        until(lambda: state.snapshot().policies_version == 31)
        assert names(state.snapshot()) == {"a": {"p"}, "web": {"q"}}


def test_a_namespace_that_is_created_managed_is_listed_too() -> None:
    api = cluster_of()
    with synced(api) as state:
        api.lists[POLICIES] = page(policy("new", "r", 40), version="41")
        api.watched(NAMESPACES).send(event("ADDED", home("new", 35)))
        until(lambda: state.snapshot().policies_version == 41)
        assert names(state.snapshot()) == {"new": {"r"}}


def test_a_namespace_that_is_not_managed_any_more_lists_nothing_anew() -> None:
    api = cluster_of()
    with synced(api) as state:
        api.watched(POLICIES)
        listed = sum("watch" not in request.query for request in api.requests)
        api.watched(NAMESPACES).send(event("MODIFIED", home("a", 30, {})))
        until(lambda: state.snapshot().namespaces_version == 30)
        assert state.snapshot().policies_version == 10
        assert sum("watch" not in request.query for request in api.requests) == listed


def test_a_terminating_policy_is_kept_as_it_stands() -> None:
    going = policy("a", "p", 5, deletionTimestamp="2026-01-01T00:00:00Z")
    with synced(cluster_of(policies=page(going))) as state:
        stored = state.snapshot().policies["a"]["p"]
        assert stored.terminating
        assert not stored.value.terminating
        assert stored.value.ingress, "it allows what it allows"


def test_a_policy_that_is_not_understood_isolates_everything() -> None:
    odd = {**policy("a", "p", 5), "spec": {"podSelector": {"matchLabels": 7}}}
    with synced(cluster_of(policies=page(odd))) as state:
        stored = state.snapshot().policies["a"]["p"]
        assert stored.value.types == frozenset(Direction)
        assert not stored.value.ingress
        assert (stored.uid, stored.version) == ("p-uid", 5)


def test_what_went_is_remembered_by_uid_and_by_name() -> None:
    api = cluster_of()
    with synced(api) as state:
        stream = api.watched(POLICIES)
        stream.send(event("DELETED", policy("a", "p", 11)), event("DELETED", policy("web", "q", 12)))
        until(lambda: state.snapshot().policies_version == 12)
        assert dict(state.snapshot().gone) == {"p-uid": 11, "a/p": 11}


def test_only_the_last_that_went_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.cluster.state.watched._MOST_GONE", 4)
    api = cluster_of()
    with synced(api) as state:
        stream = api.watched(POLICIES)
        for number in range(3):
            stream.send(event("DELETED", policy("a", f"p{number}", 20 + number)))
        until(lambda: state.snapshot().policies_version == 22)
        assert state.snapshot().gone.keys() == {"p1-uid", "a/p1", "p2-uid", "a/p2"}


def test_what_a_new_list_shows_unchanged_is_the_same_object() -> None:
    api = cluster_of(policies=page(policy("a", "p", 5), policy("a", "q", 6), version="10"))
    with synced(api) as state:
        before = state.snapshot().policies["a"]
        api.lists[POLICIES] = page(policy("a", "p", 5), policy("a", "q", 12), version="15")
        api.watched(POLICIES).send(event("ERROR", {"code": 410, "message": "too old"}))
        until(lambda: state.snapshot().policies_version == 15)
        after = state.snapshot().policies["a"]
        assert after["p"] is before["p"]
        assert after["q"].version == 12


def test_a_policy_of_the_same_name_and_version_with_another_uid_is_another() -> None:
    api = cluster_of()
    with synced(api) as state:
        api.lists[POLICIES] = page(policy("a", "p", 5, uid="other"), version="15")
        api.watched(POLICIES).send(event("ERROR", {"code": 410, "message": "too old"}))
        until(lambda: state.snapshot().policies_version == 15)
        assert state.snapshot().policies["a"]["p"].uid == "other"


@pytest.mark.parametrize("path", [POLICIES, NAMESPACES, LEDGER])
def test_a_watch_that_is_refused_is_missing_although_the_list_is_not(path: str) -> None:
    api = cluster_of()
    api.refused_watches = {path: 403}
    with watching(api) as state:
        until(lambda: "403" in (state.missing() or ""))
        api.refused_watches = {}
        until(lambda: state.missing() is None)


def test_a_watch_that_cannot_be_opened_for_a_moment_is_no_reason() -> None:
    api = cluster_of()
    api.refused_watches = {POLICIES: 503}
    with synced(api) as state:
        asked = len(api.requests)
        until(lambda: len(api.requests) > asked + 8)
        assert state.missing() is None


@pytest.mark.parametrize("status", [403, 404])
def test_a_list_that_is_refused_is_missing(status: int) -> None:
    with watching(cluster_of(policies=status)) as state:
        until(lambda: str(status) in (state.missing() or ""))


def test_the_ledger_is_what_its_config_map_holds() -> None:
    api = cluster_of()
    with synced(api) as state:
        assert state.ledger() == {"format": "1"}
        stream = api.watched(LEDGER)
        stream.send(event("MODIFIED", config_map(12, format="1", key="value")))
        until(lambda: state.ledger() == {"format": "1", "key": "value"})
        stream.send(event("DELETED", config_map(13)))
        until(lambda: state.ledger() is None)
        assert state.missing() is None
        stream.send(event("ADDED", config_map(14)))
        until(lambda: state.ledger() == {})


def test_without_its_config_map_there_is_no_ledger() -> None:
    with synced(cluster_of(ledger=page())) as state:
        assert state.ledger() is None


def test_which_replicas_answer_is_watched() -> None:
    api = cluster_of()
    with synced(api) as state:
        assert state.replicas() == {"guard-1"}
        api.watched(SLICES).send(event("MODIFIED", answering("guard-1", "old-1")))
        until(lambda: state.replicas() == {"guard-1", "old-1"})


def test_which_replicas_answer_is_waited_for_and_done_without() -> None:
    with watching(cluster_of(slices=403)) as state:
        until(lambda: state.waiting() is None)
        assert state.missing() is None
        assert state.replicas() == frozenset()
