"""A small IOMETE cluster with a ledger, everything in memory and at once, and a reviewer over it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count

from app.admission.ledger.contents import Contents
from app.admission.ledger.protocol import Reviews
from app.admission.ledger.writing import Writer
from app.admission.ledgered import LedgerJudge, OffloadedJudge
from app.admission.offload import Offload
from app.admission.reviewer import Reviewer
from app.admission.rules import Rules
from app.cluster.state.snapshot import Snapshot
from app.cluster.state.views import ClusterViews
from app.deadline import Deadline, TimeLimits
from app.engine.cluster import Cluster
from app.engine.policy import Policy
from app.errors import StateUnreadable
from app.model.access import Scope
from app.model.snapshot import Policies, Resource, Stored, StoredNamespace, Watched
from tests.admission import world
from tests.admission.world import MANAGED, NS, Answer, FakeState, InProcess, Log, Object

VERSION = 100
Labels = Mapping[str, str]


def uid_of(name: str) -> str:
    """Return the uid of what has this name."""
    return f"uid-of-{name}"


def stored_manifest(policy: Policy, version: int = 50, **metadata: object) -> Object:
    """Return a policy as the API server sends what it keeps."""
    manifest = world.rendered(policy)
    more = {"uid": uid_of(policy.name), "resourceVersion": str(version), **metadata}
    return {**manifest, "metadata": {**manifest["metadata"], **more}}


class FreshState(FakeState):
    """What a guard without the ledger reads; counts how often it is read."""

    reads = 0

    async def read(self, scope: Scope, deadline: Deadline) -> Cluster:
        """Return the state."""
        self.reads += 1
        return await super().read(scope, deadline)


@dataclass
class LedgerWorld:
    """Watches, consistent reads, the ConfigMap and time of one replica; ``merges`` are its writes."""

    policies_: list[Policy]
    labels: dict[str, Labels] = field(
        default_factory=lambda: {NS: MANAGED, "iomete-system": MANAGED, "web": {}}
    )
    rules: Rules = field(default_factory=Rules)
    data: dict[str, str] = field(default_factory=dict)
    merges: list[Mapping[str, str | None]] = field(default_factory=list)
    reads: int = 0
    lists: int = 0
    why: str | None = None
    why_after_a_failure: str | None = None
    is_cilium: bool = False
    is_down: bool = False
    hangs: bool = False

    def __post_init__(self) -> None:
        facts = world.cluster()
        self._tokens, self._views = count(), ClusterViews()
        matches = False if self.is_cilium else None
        self._facts = Snapshot(sources=facts.sources, webhooks=facts.webhooks, blocks_match_pods=matches)
        self._watched = self._taken()
        self.fresh = FreshState(world.cluster(*self.policies_))
        self.log = Log()
        offload = Offload(InProcess())
        judge = OffloadedJudge(lambda: self._views.facts(self._facts), self.rules, offload)
        reviews = Reviews(judge, self, self, (self, Writer(self, self)))
        self.judge = LedgerJudge(self, reviews, self.rules, offload)
        self.reviewer = Reviewer(
            self.fresh, self.rules, self.log, self.fresh, ledger=self.judge, offload=offload
        )

    def _taken(self) -> Watched[Policy]:
        policies = {policy.name: Stored(uid_of(policy.name), 50, policy) for policy in self.policies_}
        namespaces = {
            name: StoredNamespace(uid_of(name), 40, {**labels, "kubernetes.io/metadata.name": name})
            for name, labels in self.labels.items()
        }
        return Watched({NS: policies}, VERSION, namespaces, VERSION)

    @property
    def entries(self) -> list[str]:
        """The values of all entries that stand in the ledger."""
        return [value for key, value in self.data.items() if key.startswith("entry.")]

    @property
    def calls(self) -> int:
        """How often anybody was asked for anything."""
        return len(self.merges) + self.reads + self.lists + self.fresh.reads

    # -- what the watches show -----------------------------------------------------------------------------

    def unusable(self) -> str | None:
        """Return why the ledger cannot be used."""
        return self.why

    def snapshot(self) -> Watched[Policy]:
        """Return what is watched: the same all the time."""
        return self._watched

    def contents(self) -> Contents:
        """Return the ledger."""
        return Contents.decode(self.data)

    def cluster(self, watched: Watched[Policy], namespaces: Iterable[str] | None = None) -> Cluster:
        """Return the state to judge by."""
        return self._views.view(self._facts, watched, namespaces)

    # -- the API server ------------------------------------------------------------------------------------

    async def _answered(self) -> None:
        if self.hangs:
            await asyncio.sleep(60)
        if self.is_down:
            self.why = self.why_after_a_failure
            raise StateUnreadable("the ledger", "no answer", "try again")

    async def merge(self, changes: Mapping[str, str | None]) -> Mapping[str, str]:
        """Write."""
        await self._answered()
        self.merges.append(changes)
        for key, value in changes.items():
            if value is None:
                self.data.pop(key, None)
            else:
                self.data[key] = value
        return dict(self.data)

    async def read(self) -> Mapping[str, str]:
        """Return the ledger as it is."""
        await self._answered()
        self.reads += 1
        return dict(self.data)

    async def policies(self, namespaces: Collection[str]) -> tuple[Mapping[str, Policies[Policy]], int]:
        """List."""
        self.lists += 1
        return {name: self._watched.policies.get(name, {}) for name in namespaces}, VERSION

    async def namespaces(self) -> tuple[Mapping[str, StoredNamespace], int]:
        """List."""
        self.lists += 1
        return self._watched.namespaces, VERSION

    async def touch(self, resource: Resource) -> int:
        """Never: nothing expires here."""
        raise AssertionError(resource)

    # -- time and chance -----------------------------------------------------------------------------------

    def now(self) -> float:
        """Return a moment: it is always the same."""
        return 0.0

    async def sleep(self, seconds: float) -> None:
        """Wait no time at all."""

    def token(self) -> str:
        """Return a name never used before."""
        return f"t{next(self._tokens)}"

    def future(self) -> asyncio.Future[bool]:
        """Return a value to come."""
        return asyncio.get_running_loop().create_future()

    # -- reviews -------------------------------------------------------------------------------------------

    def ask(self, asked: Object, *, seconds: float = 5.0) -> Answer:
        """Return the answer to one review."""
        return asyncio.run(self._ask(asked, seconds))

    def ask_at_once(self, *asked: Object) -> list[Answer]:
        """Return the answers to reviews that are under way at the same time."""

        async def together() -> list[Answer]:
            return list(await asyncio.gather(*(self._ask(each, 5.0) for each in asked)))

        return asyncio.run(together())

    async def _ask(self, asked: Object, seconds: float) -> Answer:
        body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": asked}
        answered, afterwards = await self.reviewer.respond(
            json.dumps(body).encode(), TimeLimits.of(seconds), "10.20.0.10"
        )
        announced = tuple(self.fresh.announced)
        return Answer(json.loads(answered)["response"], self.log.decisions[-1], afterwards, announced)
