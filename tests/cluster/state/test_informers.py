from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from ipaddress import ip_address

import pytest

from app.cluster.client.connection import ApiRequest
from app.cluster.client.errors import refusal
from app.cluster.state import reflector as feeds
from app.cluster.state.facts import Agent
from app.cluster.state.informers import Informers
from app.cluster.state.webhook_services import find_webhooks
from app.deadline import Deadline
from app.engine.cluster import TargetPort
from app.engine.ports import Protocol
from app.model.measured_sources import Memory, Remembered
from app.model.measurement import CallerPlace
from app.model.seen_services import SeenService, render_seen
from app.model.sources_config_map import render_measured
from tests.cluster.builders import CLIENT as HOOK
from tests.cluster.builders import KEY, MANAGED
from tests.cluster.fake_api import FakeStream, event, page

NAMESPACES = "/api/v1/namespaces"
MUTATING = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
SERVICES = f"{NAMESPACES}/{KEY[0]}/services"
PODS = f"{NAMESPACES}/kube-system/pods"
NODES = "/api/v1/nodes"
MEMORY = f"{NAMESPACES}/guards/configmaps"
SEEN = datetime(2026, 11, 25, 12, tzinfo=UTC)
REMEMBERED = Remembered(CallerPlace(ip_address("10.98.0.13")), SEEN, SEEN)


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

    def fetch(self, request: ApiRequest, deadline: Deadline) -> bytes:
        held = self.held.get(request.path)
        if held is not None:
            held.wait(deadline.left)
        found = self.contents.get(request.path, [])
        if isinstance(found, int):
            raise refusal(found, b"", request.purpose)
        return page(*found)

    def watch(self, request: ApiRequest, seconds: float) -> FakeStream:  # noqa: ARG002 - the interface
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
def caching(cluster: Cluster) -> Iterator[Informers]:
    informers = Informers(cluster, "guards")
    informers.start()
    try:
        yield informers
    finally:
        informers.stop()


@pytest.fixture(autouse=True)
def no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST_PAUSE", "LONGEST_PAUSE", "REFUSED_PAUSE"):
        monkeypatch.setattr(feeds, name, 0.01)


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def until_synced(informers: Informers) -> None:
    until(lambda: informers.missing() is None)


def webhooks(informers: Informers) -> list[tuple[str, bool]]:
    return [(service.name, service.assumed) for service in find_webhooks(informers.facts()).services]


def test_it_is_in_sync_only_when_the_services_that_webhooks_name_were_read_too() -> None:
    cluster = full()
    cluster.held[SERVICES] = threading.Event()
    with caching(cluster) as informers:
        until(lambda: f"Service {'/'.join(KEY)}" in str(informers.missing()))
        cluster.held[SERVICES].set()
        until_synced(informers)
        assert webhooks(informers) == [("hook", False)]


def test_what_was_read_a_moment_ago_counts_also_before_it_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told = threading.Event()

    def tell_late(informers: Informers) -> None:
        told.wait(10)
        tell(informers)

    tell = Informers._on_change
    monkeypatch.setattr(Informers, "_on_change", tell_late)
    cluster = full()
    cluster.held[SERVICES] = threading.Event()
    with caching(cluster) as informers:
        try:
            until(lambda: "Service" in str(informers.missing()))
            told.set()
            cluster.held[SERVICES].set()
            until_synced(informers)
            assert webhooks(informers) == [("hook", False)]
        finally:
            told.set()


def test_facts_are_the_same_object_until_something_changes() -> None:
    cluster = full()
    with caching(cluster) as informers:
        until_synced(informers)
        before = informers.facts()
        assert informers.facts() is before
        cluster.streams(NAMESPACES).get(timeout=10).send(event("ADDED", stored("other")))
        until(lambda: informers.facts() is not before)
        assert set(informers.facts().namespaces) == {KEY[0], "other"}


def test_a_namespace_that_is_no_longer_managed_has_its_services_no_longer_watched() -> None:
    cluster = full()
    with caching(cluster) as informers:
        until_synced(informers)
        cluster.streams(NAMESPACES).get(timeout=10).send(event("MODIFIED", stored(KEY[0])))
        until(lambda: not informers.facts().services)
        until(lambda: all("/".join(KEY) not in thread.name for thread in threading.enumerate()))


def test_once_in_sync_it_stays_so_whatever_fails_later() -> None:
    cluster = full()
    with caching(cluster) as informers:
        until_synced(informers)
        cluster.contents = dict.fromkeys((NAMESPACES, MUTATING, SERVICES), 503)
        cluster.streams(NAMESPACES).get(timeout=10).send(event("ERROR", {"code": 410}))
        until(lambda: any("503" in note for note in informers.facts().unread))
        assert informers.missing() is None
        assert set(informers.facts().namespaces) == {KEY[0]}


def test_what_is_remembered_of_sources_follows_the_config_map_of_the_guards_namespace() -> None:
    cluster = full()
    with caching(cluster) as informers:
        until_synced(informers)
        assert informers.facts().memory == Memory()
        told = stored("netpol-guard-sources", data=render_measured([REMEMBERED]))
        cluster.streams(MEMORY).get(timeout=10).send(event("ADDED", told))
        until(lambda: informers.facts().memory.measured == (REMEMBERED,))


def test_config_maps_of_the_guard_that_must_not_be_read_are_notes_that_name_the_rule() -> None:
    with caching(full(**{MEMORY: 403})) as informers:
        until_synced(informers)
        notes = informers.facts().unread
        assert len(notes) == 2, "what webhook Services were, and the measured sources"
        assert all('resources: ["configmaps"], verbs: ["list"] in namespace guards' in note for note in notes)


def test_namespaces_that_must_not_be_read_keep_it_from_being_in_sync() -> None:
    with caching(full(**{NAMESPACES: 403})) as informers:
        until(lambda: 'resources: ["namespaces"]' in str(informers.missing()))


def test_mutating_configurations_that_must_not_be_read_are_replaced_by_the_documented_default() -> None:
    with caching(full(**{MUTATING: 403})) as informers:
        until_synced(informers)
        assert webhooks(informers) == [("spark-operator", True)]
        assert any("mutatingwebhookconfigurations" in note for note in informers.facts().unread)


def test_a_service_that_must_not_be_read_is_assumed_to_be_as_documented() -> None:
    with caching(full(**{SERVICES: 403})) as informers:
        until_synced(informers)
        assert webhooks(informers) == [("hook", True)]


def test_nodes_and_agents_that_must_not_be_read_are_noted() -> None:
    with caching(full(**{NODES: 403, PODS: 403})) as informers:
        until_synced(informers)
        assert len(informers.facts().unread) == 3


def test_nodes_and_konnectivity_agents_are_known() -> None:
    agent = stored("agent", metadata={"namespace": "kube-system", "labels": {"app": "konnectivity-agent"}})
    node = stored("cp-1", metadata={"labels": {"node-role.kubernetes.io/control-plane": ""}})
    cluster = full()
    cluster.contents |= {NODES: [node], PODS: [agent]}
    with caching(cluster) as informers:
        until_synced(informers)
        assert [found.name for found in informers.facts().nodes] == ["cp-1"]
        assert informers.facts().agents == {Agent("app")}


KEPT = stored(
    "netpol-guard-webhook-services",
    data=render_seen(
        [SeenService(KEY, {"app": "hook"}, {443: TargetPort(Protocol.TCP, number=9443)}, (HOOK,))]
    ),
)


def kept(*absent: str) -> Cluster:
    """Return a cluster whose guard kept what the Service was, without what is at these paths."""
    changed: dict[str, list[object] | int] = {path: [] for path in absent}
    changed[MEMORY] = [KEPT]
    return full(**changed)


def missing_webhooks(informers: Informers) -> list[tuple[str, bool]]:
    return [
        (found.configurations[0], found.is_missing) for found in find_webhooks(informers.facts()).services
    ]


class TestWhatWebhookServicesWere:
    """It is remembered by the process, and across restarts by the ConfigMap."""

    def test_a_service_that_is_deleted_stays_as_it_was_last(self) -> None:
        cluster = full()
        with caching(cluster) as informers:
            until_synced(informers)
            watch = cluster.streams(SERVICES).get(timeout=10)
            changed = stored(
                KEY[1], spec={"selector": {"app": "new"}, "ports": [{"port": 443, "targetPort": 1}]}
            )
            # Nobody asks for facts in between: what was there for a moment alone counts, too.
            watch.send(event("MODIFIED", changed))
            watch.send(event("DELETED", changed))
            until(lambda: missing_webhooks(informers) == [(HOOK.configuration, True)])
            assert informers.seen()[KEY].selector == {"app": "new"}

    @pytest.mark.parametrize("absent", [SERVICES, MUTATING], ids=["the Service", "the configuration"])
    def test_after_a_restart_what_is_missing_is_known_by_the_config_map(self, absent: str) -> None:
        with caching(kept(absent)) as informers:
            until_synced(informers)
            told = HOOK.configuration if absent == SERVICES else f"{HOOK.configuration} (deleted)"
            assert missing_webhooks(informers) == [(told, absent == SERVICES)]

    def test_when_both_are_gone_it_is_over_although_the_config_map_still_says_it(self) -> None:
        cluster = kept(SERVICES, MUTATING)
        with caching(cluster) as informers:
            until(lambda: informers.missing() is None and not informers.seen())
            assert (missing_webhooks(informers), informers.facts().clients) == ([], ())
            # Whatever else happens, it stays over.
            cluster.streams(NAMESPACES).get(timeout=10).send(event("ADDED", stored("other")))
            until(lambda: "other" in informers.facts().namespaces)
            assert (missing_webhooks(informers), informers.seen()) == ([], {})

    def test_nothing_is_over_before_the_configurations_were_read(self) -> None:
        cluster = kept(SERVICES)
        cluster.held[MUTATING] = threading.Event()
        with caching(cluster) as informers:
            until(lambda: cluster.streams(SERVICES).qsize() > 0)
            assert informers.seen().keys() == {KEY}
            cluster.held[MUTATING].set()
            until_synced(informers)
            assert missing_webhooks(informers) == [(HOOK.configuration, True)]

    def test_a_configuration_that_is_back_means_its_service_as_it_is_now(self) -> None:
        cluster = kept(MUTATING)
        with caching(cluster) as informers:
            until_synced(informers)
            cluster.streams(MUTATING).get(timeout=10).send(event("ADDED", CONFIGURATION))
            until(lambda: missing_webhooks(informers) == [(HOOK.configuration, False)])
