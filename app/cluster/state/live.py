"""The state of a live cluster: what a decision is about is read fresh, the rest comes from watches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

from app.cluster.client.connection import Connection, WritingApi, configuration
from app.cluster.client.server import ask
from app.cluster.client.sharing import SharedReads
from app.cluster.state.facts import Facts, Known, managed_names
from app.cluster.state.fresh import FEW, FreshReads
from app.cluster.state.informers import Informers
from app.cluster.state.snapshot import Snapshot, is_same, snapshot_of
from app.cluster.state.views import ClusterViews
from app.cluster.state.watched import WatchedState
from app.deadline import Deadline
from app.engine.cluster import Cluster, Source
from app.engine.policy import Namespace, Policy
from app.errors import StateUnreadable
from app.model.access import Access, AccessQuestion, Scope
from app.model.measured_sources import Memory
from app.model.seen_services import Seen, SeenServices
from app.model.snapshot import Watched
from app.names import NAME

_THREADS = 32
"""As many requests may wait for the API server at a time; threads are made when they are needed."""
_REMEMBERED_CLUSTERS = 256
_LEAST_SECONDS = 0.01
"""A token for a call that is made although its time is up: what answers at once is still of use."""

T = TypeVar("T")
PoliciesByNamespace = dict[str, tuple[Policy, ...]]


class LiveState:
    """A cluster through its API server; ``run`` it, and ``read`` as soon as ``ready`` says None.

    Reads block in a few threads of their own, so that the event loop never waits for the network.
    """

    def __init__(
        self, api: WritingApi, *, declared: tuple[Source, ...] = (), guard_namespace: str = NAME
    ) -> None:
        """Nothing is sent yet; ``declared`` sources override those that are remembered and found."""
        self.api = api
        self._declared = declared
        self._caches = Informers(api, guard_namespace)
        self._fresh = FreshReads(api)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="fresh-read")
        self._reads = SharedReads(self._read, lambda scope: f"the NetworkPolicies of {scope}")
        self._derived: tuple[Facts | None, Snapshot] = (None, Snapshot())
        self._clusters: dict[Scope, Cluster] = {}
        self.watched = WatchedState(api, guard_namespace)
        self._views = ClusterViews()

    @classmethod
    def connect(
        cls,
        *,
        kubeconfig: Path | None = None,
        context: str | None = None,
        declared: tuple[Source, ...] = (),
        guard_namespace: str = NAME,
    ) -> LiveState:
        """Return the state of the cluster that the kubeconfig names, or else of the one that we run in.

        Raises ``SettingsError`` where neither is there or usable.
        """
        connection = Connection(configuration(kubeconfig, context))
        return cls(connection, declared=declared, guard_namespace=guard_namespace)

    def known(self) -> Known | None:
        """Return the sources that are known now, and what else a review's peer is held against.

        None before the first sync.
        """
        if self.ready() is not None:
            return None
        facts = self._caches.facts()
        proxies = frozenset(address for agent in facts.agents for address in agent.addresses)
        return Known(self._snapshot().sources, facts.memory, proxies)

    def memory(self) -> Memory | None:
        """Return what is remembered of measured sources, None before the first sync."""
        return None if self.ready() is not None else self._caches.facts().memory

    def ready(self) -> str | None:
        """Return None when everything was read once, else what is missing and why."""
        return self._caches.missing()

    @property
    def notes(self) -> tuple[str, ...]:
        """What is not judged or not known, and why, in words."""
        return self._snapshot().notes

    async def run(self) -> None:
        """Keep the watches going until cancelled."""
        self._caches.start()
        self.watched.start()
        try:
            await asyncio.Event().wait()
        finally:
            # In a thread: a watch may need a moment to notice.
            await asyncio.to_thread(self._caches.stop)
            await asyncio.to_thread(self.watched.stop)

    def seen_services(self) -> tuple[SeenServices | None, Seen]:
        """Return what is kept of webhooks' Services, None where there is no ConfigMap, and what is to be."""
        return self._caches.kept(), self._caches.seen()

    def facts(self) -> Cluster:
        """Return sources, webhooks and API servers as they are known; the same while nothing changes."""
        return self._views.facts(self._snapshot())

    def view(self, watched: Watched[Policy], namespaces: Iterable[str] | None = None) -> Cluster:
        """Return what watches show as a state to judge by, with the policies of ``namespaces``, else of all.

        The very same value while nothing of it changes.
        """
        return self._views.view(self._snapshot(), watched, namespaces)

    async def read(self, scope: Scope, deadline: Deadline) -> Cluster:
        """Return the cluster, with the policies of ``scope`` and their namespaces as they are at this moment.

        What has not changed since the last read is the same object. Raises ``StateUnreadable`` before the
        first sync, and where the API server gives no usable answer by the ``deadline``. Reviews that wait for
        the same scope share a read that begins after each of them asked.
        """
        missing = self.ready()
        if missing is not None:
            raise StateUnreadable("the state of the cluster", missing, "wait for the first sync")
        return await self._reads.get(scope, Deadline.after(max(_LEAST_SECONDS, deadline.left)))

    async def _read(self, scope: Scope, deadline: Deadline) -> Cluster:
        if scope.only is None:
            return await self._read_managed(scope, deadline)
        return await self._read_one(scope, scope.only, deadline)

    async def access(self, question: AccessQuestion, deadline: Deadline) -> Access:
        """Return whether the user may do this; unknown, with the reason, where there is no answer in time."""
        deadline = Deadline.after(max(_LEAST_SECONDS, deadline.left))
        try:
            async with asyncio.timeout(deadline.seconds):
                return await self._thread(lambda: ask(self.api, question, deadline))
        except TimeoutError:
            return Access.unknown(f"the API server did not answer within {deadline.seconds:.1f} s")

    async def _read_one(self, scope: Scope, name: str, deadline: Deadline) -> Cluster:
        policies, namespace = await asyncio.gather(
            self._thread(lambda: self._fresh.policies(name, deadline)),
            self._thread(lambda: self._fresh.namespace(name, deadline)),
        )
        return self._cluster(scope, {name: policies}, {name: namespace})

    async def _read_managed(self, scope: Scope, deadline: Deadline) -> Cluster:
        listed = await self._thread(lambda: self._fresh.managed(deadline))
        fresh: dict[str, Namespace | None] = {namespace.name: namespace for namespace in listed}
        # What the cache takes for managed and is not any more: deleted, or without the label.
        gone = sorted(managed_names(self._snapshot().namespaces) - fresh.keys())
        fresh.update(zip(gone, await self._each(gone, self._fresh.namespace, deadline), strict=True))
        names = sorted(namespace.name for namespace in listed)
        return self._cluster(scope, await self._policies_of(names, deadline), fresh)

    async def _policies_of(self, names: list[str], deadline: Deadline) -> PoliciesByNamespace:
        """Read the policies of each namespace by itself where they are few, else all in one list."""
        if len(names) > FEW:
            return await self._thread(lambda: self._fresh.policies_of(names, deadline))
        return dict(zip(names, await self._each(names, self._fresh.policies, deadline), strict=True))

    async def _each(
        self, names: list[str], read: Callable[[str, Deadline], T], deadline: Deadline
    ) -> list[T]:
        return await asyncio.gather(*(self._thread(partial(read, name, deadline)) for name in names))

    async def _thread(self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    def _snapshot(self) -> Snapshot:
        facts = self._caches.facts()
        known, snapshot = self._derived
        if known is not facts:
            snapshot = snapshot_of(facts, snapshot, declared=self._declared)
            self._derived = (facts, snapshot)
        return snapshot

    def _cluster(
        self, scope: Scope, policies: PoliciesByNamespace, fresh: Mapping[str, Namespace | None]
    ) -> Cluster:
        """Return the cluster of ``scope``: the one of the last time, where nothing is different."""
        snapshot = self._snapshot()
        namespaces = _overlaid(snapshot.namespaces, fresh)
        new = snapshot.with_policies(policies, namespaces)
        old = self._clusters.get(scope)
        if old is not None and is_same(old, new):
            return old
        if len(self._clusters) >= _REMEMBERED_CLUSTERS:
            self._clusters.clear()
        self._clusters[scope] = new
        return new


def _overlaid(
    cached: Mapping[str, Namespace], fresh: Mapping[str, Namespace | None]
) -> Mapping[str, Namespace]:
    """Return the namespaces, those just read in place of the cached ones; None is one that does not exist."""
    differing = {name: namespace for name, namespace in fresh.items() if cached.get(name) != namespace}
    if not differing:
        return cached
    merged = {**cached, **differing}
    return {name: namespace for name, namespace in merged.items() if namespace is not None}
