"""A guard over the store: the real admission layer, by ledger or lists, and what it keeps of Services."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from msgspec import Raw

from app.admission.ledger.contents import Contents
from app.admission.ledger.protocol import Reviews
from app.admission.ledger.settling import Settler
from app.admission.ledger.writing import Writer
from app.admission.ledgered import LedgerJudge, OffloadedJudge
from app.admission.offload import Offload
from app.admission.ports import Decision
from app.admission.reviewer import Reviewer
from app.admission.rules import Rules
from app.cluster.state.facts import Facts
from app.cluster.state.snapshot import Snapshot, snapshot_of
from app.cluster.state.views import ClusterViews
from app.cluster.state.watched import stored_namespace, stored_policy
from app.cluster.state.webhook_services import with_memory
from app.deadline import Deadline, TimeLimits
from app.engine.cluster import Cluster, Source
from app.engine.policy import Namespace, Policy
from app.engine.required_flows import Options
from app.model.access import Access, AccessQuestion, Override, Scope
from app.model.kinds import MUTATING
from app.model.seen_services import Seen, read_seen, render_seen
from app.model.snapshot import Policies, Resource, Stored, StoredNamespace, Watched
from app.wire.objects.services import endpointslice_facts, service_facts
from app.wire.objects.webhooks import registrations
from tests.admission.sequences.store import Object, Review, Store, encoded
from tests.admission.world import InProcess

ADMIN = "admin"
"""The only user who may override."""
LIMITS = TimeLimits.of(30.0)


@dataclass(frozen=True)
class Setting:
    """What stays in a sequence: where calls come from, what the plugin does, and the guard's options."""

    sources: tuple[Source, ...]
    options: Options = field(default_factory=Options)
    has_cilium: bool = False
    has_ledger: bool = True


class Guard:
    """One replica: its watches are never behind. ``restart`` it, and it knows what it has kept."""

    def __init__(self, setting: Setting, loop: asyncio.AbstractEventLoop) -> None:
        """The store is told later: each needs the other."""
        self.setting = setting
        self.store = Store(self.admits)
        self.kept: dict[str, str] = {}
        self.data: dict[str, str] = {}
        self.decisions: list[Decision] = []
        self.now_ = 0.0
        self._loop = loop
        self._tokens = count()
        self._objects: dict[tuple[str, str], Any] = {}
        self._offload = Offload(InProcess())
        self.restart()

    def restart(self) -> None:
        """Begin anew with what is kept in ConfigMaps."""
        self._seen: Seen = read_seen(self.kept).services
        self._views, self._snapshot, self._facts = ClusterViews(), Snapshot(), Facts()
        self._watched: Watched[Policy] | None = None
        self._cluster: Cluster | None = None
        rules = Rules(options=self.setting.options, settling_seconds=5.0)
        judge = OffloadedJudge(lambda: self._views.facts(self._known()), rules, self._offload)
        writer = Writer(self, self)
        reviews = Reviews(judge, self, self, (self, writer))
        self._settler = Settler(judge, self, self, (self, writer, self))
        ledger = LedgerJudge(self, reviews, rules, self._offload) if self.setting.has_ledger else None
        self._reviewer = Reviewer(self, rules, self, self, ledger=ledger, offload=self._offload)

    def saw(self) -> None:
        """Take in what has changed in the store; keep what Services are, and drop what is settled."""
        self._watched = self._cluster = None
        self._snapshot = self._known()
        self.kept = {"format": "1", **render_seen(self._seen.values())}
        if self.setting.has_ledger:
            self._loop.run_until_complete(self._settler.tick())

    def admits(self, request: Review) -> bool:
        """Return what is answered to one request."""
        body = json.dumps(
            {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}
        )
        self._watched = self._cluster = None
        answered, _ = self._loop.run_until_complete(self._reviewer.respond(body.encode(), LIMITS))
        return bool(json.loads(answered)["response"]["allowed"])

    # -- what is watched -----------------------------------------------------------------------------------

    def _known(self) -> Snapshot:
        store = self.store
        objects = [] if store.configuration is None else registrations(store.configuration, MUTATING.name)
        services = [] if store.service is None else [service_facts(store.service)]
        slices = [] if store.endpoints is None else [endpointslice_facts(endpoints(store.endpoints))]
        namespaces = self.snapshot().namespaces
        facts = Facts(
            namespaces={
                name: Namespace(name, found.labels, found.terminating) for name, found in namespaces.items()
            },
            clients=tuple(found.client for found in objects),
            services={service.key: service for service in services},
            slices=tuple(slices),
            seen=self._seen,
            has_cilium=self.setting.has_cilium,
        )
        facts = with_memory(facts)
        self._seen = facts.seen
        if facts != self._facts:
            self._facts = facts
            self._snapshot = snapshot_of(facts, self._snapshot, declared=self.setting.sources)
        return self._snapshot

    def unusable(self) -> str | None:
        """Return that the ledger can be used."""
        return None

    def snapshot(self) -> Watched[Policy]:
        """Return what the store holds."""
        if self._watched is None:
            policies: dict[str, dict[str, Stored[Policy]]] = {}
            for (namespace, name), policy in self.store.policies.items():
                stored = self._parsed(policy, stored_policy)
                assert stored is not None
                policies.setdefault(namespace, {})[name] = stored
            spaces = {
                name: self._parsed(found, stored_namespace) for name, found in self.store.namespaces.items()
            }
            version = self.store.version
            self._watched = Watched(policies, version, spaces, version, dict(self.store.gone))
        return self._watched

    def _parsed(self, found: Object, parse: Any) -> Any:  # noqa: ANN401 - what parse returns
        metadata = found["metadata"]
        key = metadata["uid"], metadata["resourceVersion"]
        if key not in self._objects:
            self._objects[key] = parse(Raw(encoded(found)))
        return self._objects[key]

    def contents(self) -> Contents:
        """Return the ledger."""
        return Contents.decode(self.data)

    def cluster(self, watched: Watched[Policy], namespaces: Iterable[str] | None = None) -> Cluster:
        """Return a snapshot as a state to judge by."""
        return self._views.view(self._known(), watched, namespaces)

    # -- what is read and written --------------------------------------------------------------------------

    async def read(self, scope: Scope | None = None, deadline: Deadline | None = None) -> Any:  # noqa: ANN401, ARG002 - two Protocols
        """Return the ledger, or, for a guard without one, the state of the cluster."""
        if scope is None:
            return dict(self.data)
        if self._cluster is None:
            self._cluster = self.cluster(self.snapshot(), self.store.namespaces)
        return self._cluster

    async def merge(self, changes: Mapping[str, str | None]) -> Mapping[str, str]:
        """Write to the ledger."""
        self.data = {key: text for key, text in {**self.data, **changes}.items() if text is not None}
        return dict(self.data)

    async def policies(self, namespaces: Collection[str]) -> tuple[Mapping[str, Policies[Policy]], int]:
        """List policies."""
        watched = self.snapshot()
        return {name: watched.policies.get(name, {}) for name in namespaces}, self.store.version

    async def namespaces(self) -> tuple[Mapping[str, StoredNamespace], int]:
        """List namespaces."""
        return self.snapshot().namespaces, self.store.version

    async def touch(self, resource: Resource) -> int:  # noqa: ARG002 - one counter for both
        """Write something."""
        version = self.store.next_version()
        self._watched = None
        return version

    async def access(self, question: AccessQuestion, deadline: Deadline) -> Access:  # noqa: ARG002 - the Protocol's
        """Return whether a user may override."""
        return Access(question.username == ADMIN)

    # -- the rest ------------------------------------------------------------------------------------------

    def overridden(self, override: Override) -> None:
        """Make nothing known."""

    def decided(self, decision: Decision) -> None:
        """Keep a decision."""
        self.decisions.append(decision)

    def now(self) -> float:
        """Return the seconds of the sequence."""
        return self.now_

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        self.now_ += seconds

    def token(self) -> str:
        """Return a name never used before."""
        return f"t{next(self._tokens)}"

    def future(self) -> asyncio.Future[bool]:
        """Return a value to come."""
        return self._loop.create_future()


def endpoints(number: int) -> Object:
    """Return the EndpointSlice that the webhook's Service has while its pods run."""
    return {
        "metadata": {
            "name": "hook-1",
            "namespace": "ns-a",
            "labels": {"kubernetes.io/service-name": "hook"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.9.9.9"], "conditions": {"ready": True}}],
        "ports": [{"name": "https", "port": number, "protocol": "TCP"}],
    }
