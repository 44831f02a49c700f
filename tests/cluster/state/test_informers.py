from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from ipaddress import ip_address

import pytest

from app.cluster.client.connection import Request
from app.cluster.client.errors import refusal
from app.cluster.state import reflector as feeds
from app.cluster.state.facts import Agent
from app.cluster.state.informers import Caches
from app.cluster.state.webhook_services import find_webhooks
from app.deadline import Deadline
from app.model.measured_sources import Memory, Remembered, render_measured
from app.model.measurement import Place
from tests.cluster.builders import KEY, MANAGED
from tests.cluster.fake_api import FakeStream, event, page

NAMESPACES = "/api/v1/namespaces"
MUTATING = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
SERVICES = f"{NAMESPACES}/{KEY[0]}/services"
PODS = f"{NAMESPACES}/kube-system/pods"
NODES = "/api/v1/nodes"
MEMORY = f"{NAMESPACES}/guards/configmaps"
SEEN = datetime(2026, 11, 25, 12, tzinfo=UTC)
REMEMBERED = Remembered(Place(ip_address("10.98.0.13")), SEEN, SEEN)


def stored(name: str, **members: object) -> dict[str, object]:
    """Return an object as a list has it: without kind."""
    metadata = {"name": name, "namespace": KEY[0], "uid": f"uid-{name}", "resourceVersion": "1"}
    return {"metadata": {**metadata, **members.pop("metadata", {})}, **members}  # type: ignore[dict-item]


NAMESPACE = stored(KEY[0], metadata={"labels": MANAGED})
CLIENT = {"service": {"namespace": KEY[0], "name": KEY[1]}}
CONFIGURATION = stored("hook", webhooks=[{"name": "hook.example.test", "clientConfig": CLIENT}])
SERVICE = stored(KEY[1], spec={"selector": {"app": "hook"}, "ports": [{"port": 443, "targetPort": 9443}]})


class Cluster:
    """An API server by path: objects, or a status to refuse with; ``streams`` are its open watches."""

    def __init__(self, contents: Mapping[str, list[object] | int]) -> None:
        self.contents = dict(contents)
        self.held: dict[str, threading.Event] = {}
        self._streams: dict[str, queue.Queue[FakeStream]] = {}

    def fetch(self, request: Request, deadline: Deadline) -> bytes:
        held = self.held.get(request.path)
        if held is not None:
            held.wait(deadline.left)
        found = self.contents.get(request.path, [])
        if isinstance(found, int):
            raise refusal(found, b"", request.wanted)
        return page(*found)

    def watch(self, request: Request, seconds: float) -> FakeStream:  # noqa: ARG002 - the interface
        stream = FakeStream()
        self.streams(request.path).put(stream)
        return stream

    def streams(self, path: str) -> queue.Queue[FakeStream]:
        return self._streams.setdefault(path, queue.Queue())


def full(**changes: list[object] | int) -> Cluster:
    """Return a cluster with one webhook Service, changed as told."""
    contents: dict[str, list[object] | int] = {
        NAMESPACES: [NAMESPACE],
        MUTATING: [CONFIGURATION],
        SERVICES: [SERVICE],
    }
    return Cluster(contents | changes)


@contextmanager
def caching(cluster: Cluster) -> Iterator[Caches]:
    caches = Caches(cluster, "guards")
    caches.start()
    try:
        yield caches
    finally:
        caches.stop()


@pytest.fixture(autouse=True)
def no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST_PAUSE", "LONGEST_PAUSE", "REFUSED_PAUSE"):
        monkeypatch.setattr(feeds, name, 0.01)


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def until_synced(caches: Caches) -> None:
    until(lambda: caches.missing() is None)


def webhooks(caches: Caches) -> list[tuple[str, bool]]:
    return [(one.name, one.assumed) for one in find_webhooks(caches.facts()).services]


def test_it_is_in_sync_only_when_the_services_that_webhooks_name_were_read_too() -> None:
    cluster = full()
    cluster.held[SERVICES] = threading.Event()
    with caching(cluster) as caches:
        until(lambda: f"Service {'/'.join(KEY)}" in str(caches.missing()))
        cluster.held[SERVICES].set()
        until_synced(caches)
        assert webhooks(caches) == [("hook", False)]


def test_what_was_read_a_moment_ago_counts_also_before_it_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told = threading.Event()

    def tell_late(caches: Caches) -> None:
        told.wait(10)
        tell(caches)

    tell = Caches._on_change
    monkeypatch.setattr(Caches, "_on_change", tell_late)
    cluster = full()
    cluster.held[SERVICES] = threading.Event()
    with caching(cluster) as caches:
        try:
            until(lambda: "Service" in str(caches.missing()))
            told.set()
            cluster.held[SERVICES].set()
            until_synced(caches)
            assert webhooks(caches) == [("hook", False)]
        finally:
            told.set()


def test_facts_are_the_same_object_until_something_changes() -> None:
    cluster = full()
    with caching(cluster) as caches:
        until_synced(caches)
        before = caches.facts()
        assert caches.facts() is before
        cluster.streams(NAMESPACES).get(timeout=10).send(event("ADDED", stored("other")))
        until(lambda: caches.facts() is not before)
        assert set(caches.facts().namespaces) == {KEY[0], "other"}


def test_a_namespace_that_is_no_longer_managed_has_its_services_no_longer_watched() -> None:
    cluster = full()
    with caching(cluster) as caches:
        until_synced(caches)
        cluster.streams(NAMESPACES).get(timeout=10).send(event("MODIFIED", stored(KEY[0])))
        until(lambda: not caches.facts().services)
        until(lambda: all("/".join(KEY) not in thread.name for thread in threading.enumerate()))


def test_once_in_sync_it_stays_so_whatever_fails_later() -> None:
    cluster = full()
    with caching(cluster) as caches:
        until_synced(caches)
        cluster.contents = dict.fromkeys((NAMESPACES, MUTATING, SERVICES), 503)
        cluster.streams(NAMESPACES).get(timeout=10).send(event("ERROR", {"code": 410}))
        until(lambda: any("503" in note for note in caches.facts().unread))
        assert caches.missing() is None
        assert set(caches.facts().namespaces) == {KEY[0]}


def test_what_is_remembered_of_sources_follows_the_config_map_of_the_guards_namespace() -> None:
    cluster = full()
    with caching(cluster) as caches:
        until_synced(caches)
        assert caches.facts().memory == Memory()
        told = stored("netpol-guard-sources", data=render_measured([REMEMBERED]))
        cluster.streams(MEMORY).get(timeout=10).send(event("ADDED", told))
        until(lambda: caches.facts().memory.measured == (REMEMBERED,))


def test_measured_sources_that_must_not_be_read_are_a_note_that_names_the_rule() -> None:
    with caching(full(**{MEMORY: 403})) as caches:
        until_synced(caches)
        (note,) = caches.facts().unread
        assert 'resources: ["configmaps"], verbs: ["list"] in namespace guards' in note


def test_namespaces_that_must_not_be_read_keep_it_from_being_in_sync() -> None:
    with caching(full(**{NAMESPACES: 403})) as caches:
        until(lambda: 'resources: ["namespaces"]' in str(caches.missing()))


def test_mutating_configurations_that_must_not_be_read_are_replaced_by_the_documented_default() -> None:
    with caching(full(**{MUTATING: 403})) as caches:
        until_synced(caches)
        assert webhooks(caches) == [("spark-operator", True)]
        assert any("mutatingwebhookconfigurations" in note for note in caches.facts().unread)


def test_a_service_that_must_not_be_read_is_assumed_to_be_as_documented() -> None:
    with caching(full(**{SERVICES: 403})) as caches:
        until_synced(caches)
        assert webhooks(caches) == [("hook", True)]


def test_nodes_and_agents_that_must_not_be_read_are_noted() -> None:
    with caching(full(**{NODES: 403, PODS: 403})) as caches:
        until_synced(caches)
        assert len(caches.facts().unread) == 3


def test_nodes_and_konnectivity_agents_are_known() -> None:
    agent = stored("agent", metadata={"namespace": "kube-system", "labels": {"app": "konnectivity-agent"}})
    node = stored("cp-1", metadata={"labels": {"node-role.kubernetes.io/control-plane": ""}})
    cluster = full()
    cluster.contents |= {NODES: [node], PODS: [agent]}
    with caching(cluster) as caches:
        until_synced(caches)
        assert [one.name for one in caches.facts().nodes] == ["cp-1"]
        assert caches.facts().agents == {Agent("app")}
