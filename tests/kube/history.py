"""Every state of the NetworkPolicies and Namespaces that a watch saw, and whether one of them lost a flow.

A change of several steps must be harmless at each of them. What each state allows is judged by the engine,
for the sources that the API servers' calls really have, whatever the guard takes for these.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from app.cluster.state.manifests import read_state
from app.cluster.state.snapshot import Snapshot, snapshot_of
from app.engine.addresses import network_set
from app.engine.budget import Unlimited
from app.engine.cluster import Cluster, Provenance, Source
from app.engine.judge import Age, Judge, Loss, State
from app.engine.regions import NamespaceTable
from app.engine.required_flows import Options, guarded_namespaces, required_flows
from app.wire.text.documents import read_documents
from tests.kube.api import ApiClient
from tests.kube.watching import Change, Watch

Object = dict[str, Any]
_POLICIES = "/apis/networking.k8s.io/v1/networkpolicies"
_NAMESPACES = "/api/v1/namespaces"
_FACTS = (
    "/api/v1/services",
    "/apis/discovery.k8s.io/v1/endpointslices",
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
)
_CATCH_UP_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Moment:
    """One state, as the change of that resource version left it; `what` names the change."""

    version: int
    what: str
    policies: tuple[Object, ...]
    namespaces: tuple[Object, ...]


class PolicyHistory:
    """Records from its construction to `finish`; then `moments` are all states, the first as it was found."""

    def __init__(self, client: ApiClient, sources: Sequence[str]) -> None:
        """Start recording; `sources` are the addresses from which the API servers call webhooks."""
        self._client = client
        self._sources = tuple(_source(each) for each in sources)
        self._lock = threading.Lock()
        self._events: list[tuple[Change, Object]] = []
        self._watches = [Watch(client, path, self._on_change) for path in (_NAMESPACES, _POLICIES)]
        self._found = len(self._events)
        self.moments: tuple[Moment, ...] = ()

    def finish(self) -> None:
        """Stop recording when everything that has been stored so far has been seen."""
        try:
            deadline = time.monotonic() + _CATCH_UP_SECONDS
            while not self._is_up_to_date():
                assert time.monotonic() < deadline, "the watches do not see what is stored"
                time.sleep(0.05)
        finally:
            for each in self._watches:
                each.stop()
        gaps = [gap for each in self._watches for gap in each.gaps]
        assert not gaps, f"a watch had to start over, states may be missing: {gaps}"
        self.moments = tuple(self._replayed())

    def losses(self) -> tuple[tuple[Moment, Loss], ...]:
        """Return every required flow that some state does not allow although the first one did."""
        facts = self._facts()
        first = self._cluster(self.moments[0], facts)
        return tuple(
            (moment, loss)
            for moment in self.moments[1:]
            for loss in _newly_lost(first, self._cluster(moment, facts))
        )

    def assert_nothing_lost(self) -> None:
        """Fail with the states and flows if a required flow that was possible at first was not always."""
        lost = self.losses()
        words = [f"{moment.what}: {loss.flow.id.value} of {loss.flow.namespace}" for moment, loss in lost]
        assert not lost, "required flows were lost for a while:\n" + "\n".join(words)

    def _on_change(self, change: Change, changed: Object) -> None:
        with self._lock:
            self._events.append((change, changed))

    def _is_up_to_date(self) -> bool:
        stored: set[tuple[str, str]] = set()
        for path in (_NAMESPACES, _POLICIES):
            for each in self._client.request("GET", path).json()["items"]:
                stored.add((each["metadata"]["uid"], each["metadata"]["resourceVersion"]))
        with self._lock:
            seen = dict(_current(self._events))
        return stored == {(uid, each["metadata"]["resourceVersion"]) for uid, each in seen.items()}

    def _replayed(self) -> Iterator[Moment]:
        current = dict(_current(self._events[: self._found]))
        yield _moment(0, "as found", current)
        for change, changed in sorted(self._events[self._found :], key=lambda entry: _version(entry[1])):
            uid = changed["metadata"]["uid"]
            if change is Change.DELETED:
                current.pop(uid, None)
            else:
                current[uid] = changed
            yield _moment(_version(changed), f"{change} {_name(changed)}", current)

    def _facts(self) -> list[Object]:
        lists = [self._client.request("GET", path).json() for path in _FACTS]
        return [_typed(each, found) for found in lists for each in found["items"]]

    def _cluster(self, moment: Moment, facts: Sequence[Object]) -> Cluster:
        objects = [*moment.namespaces, *moment.policies, *facts]
        state = read_state(read_documents(json.dumps(_list_of(objects)), moment.what))
        assert not state.problems, state.problems
        snapshot = snapshot_of(state.facts, Snapshot(), declared=self._sources)
        return snapshot.with_policies(state.policies)


def _newly_lost(first: Cluster, now: Cluster) -> Iterator[Loss]:
    guarded = guarded_namespaces(now)
    table = NamespaceTable(now.namespaces)
    options = Options()
    for namespace in sorted(guarded):
        before = State(first.policies.get(namespace, ()), table)
        after = State(now.policies.get(namespace, ()), table)
        flows = required_flows(now, namespace, options, guarded)
        verdict = Judge(options, Unlimited()).compare(before, after, flows)
        yield from (loss for loss in verdict.losses if loss.age is Age.NEW)


def _current(events: Sequence[tuple[Change, Object]]) -> Iterator[tuple[str, Object]]:
    """Yield what the events leave, by uid."""
    current: dict[str, Object] = {}
    for change, changed in events:
        if change is Change.DELETED:
            current.pop(changed["metadata"]["uid"], None)
        else:
            current[changed["metadata"]["uid"]] = changed
    yield from current.items()


def _moment(version: int, what: str, current: dict[str, Object]) -> Moment:
    policies = tuple(
        {**each, "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
        for each in current.values()
        if "namespace" in each["metadata"]
    )
    namespaces = tuple(
        {**each, "apiVersion": "v1", "kind": "Namespace"}
        for each in current.values()
        if "namespace" not in each["metadata"]
    )
    return Moment(version, what, policies, namespaces)


def _typed(item: Object, listed: Object) -> Object:
    """Return an item of a list with the type that only the list has."""
    return {**item, "apiVersion": listed["apiVersion"], "kind": listed["kind"].removesuffix("List")}


def _list_of(objects: Sequence[Object]) -> Object:
    return {"apiVersion": "v1", "kind": "List", "items": list(objects)}


def _version(changed: Object) -> int:
    return int(changed["metadata"]["resourceVersion"])


def _name(changed: Object) -> str:
    metadata = changed["metadata"]
    return "/".join(filter(None, (metadata.get("namespace"), metadata["name"])))


def _source(address: str) -> Source:
    return Source(
        Provenance.DECLARED, f"the API server's real source {address}", network_set(ip_network(address))
    )
