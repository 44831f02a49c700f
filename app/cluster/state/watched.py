"""Policies and namespaces as watches show them, with how far each watch has come: what the ledger judges by.

Of namespaces that are not managed no policy is kept. One that becomes managed is listed anew, and until its
policies are there no version counts as reached: nobody may judge by them.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial

import msgspec

from app.cluster.client.connection import Api
from app.cluster.client.listing import Collection, Listed, list_all, list_kept
from app.cluster.state.reflector import BOOKMARK, DELETED, LIST_SECONDS, Phase, Reflector, WatchEvent
from app.cluster.state.resources import NAMESPACES, POLICIES, ledger, slices
from app.deadline import Deadline
from app.engine.cluster import MANAGED
from app.engine.policy import Direction, Policy
from app.engine.selectors import EVERYTHING
from app.logs import EventLog
from app.model.snapshot import Policies, Stored, StoredNamespace, Version, Watched, version_of
from app.names import NAME
from app.wire.networkpolicy.parse import parse_stored
from app.wire.objects.metadata import NO_METADATA, Metadata
from app.wire.objects.namespaces import namespace_of
from app.wire.objects.services import endpointslice_facts
from app.wire.objects.workloads import config_map_data

_LOG = EventLog(__name__)

_MOST_GONE = 4_096
"""Deleted policies that are remembered by uid, for entries that wait for one that came and went."""
_JOIN_SECONDS = 2.0


class _Object(msgspec.Struct):
    metadata: Metadata = NO_METADATA


_decode_object = msgspec.json.Decoder(_Object).decode


def stored_policy(raw: msgspec.Raw | bytes) -> Stored[Policy] | None:
    """Return the policy that an API server keeps, as it stands; None where the object is no policy."""
    parsed = parse_stored(raw)
    policy, metadata = parsed.policy, parsed.metadata
    if policy is None:
        return None
    as_it_stands = replace(policy, terminating=False) if policy.terminating else policy
    return Stored(metadata.uid, version_of(metadata.resource_version), as_it_stands, policy.terminating)


def stored_namespace(raw: msgspec.Raw | bytes) -> StoredNamespace:
    """Return the namespace that an API server keeps."""
    parsed = namespace_of(raw)
    metadata = parsed.metadata
    namespace, version = parsed.namespace, version_of(metadata.resource_version)
    return StoredNamespace(metadata.uid, version, namespace.labels, namespace.terminating)


_Kept = tuple[str, str, Stored[Policy]]
"""Namespace and name of a policy, and what is kept of it."""


def policies_in(listed: Listed[msgspec.Raw], namespaces: frozenset[str]) -> dict[str, Policies[Policy]]:
    """Return the policies of ``namespaces`` by name."""
    return _by_namespace(_kept(namespaces, {}, listed.items))


def _kept(
    namespaces: frozenset[str], known: Mapping[str, Policies[Policy]], items: Iterable[msgspec.Raw]
) -> Iterator[_Kept]:
    """Yield what is kept of the policies of ``namespaces``; if unchanged, what is ``known``."""
    for item in items:
        metadata = _decode_object(item).metadata
        if metadata.namespace in namespaces:
            stored = known.get(metadata.namespace, {}).get(metadata.name)
            if stored is None or _identity(stored) != _identity_in(metadata):
                stored = _policy(item, metadata, stored)
            yield metadata.namespace, metadata.name, stored


def _by_namespace(kept: Iterable[_Kept]) -> dict[str, Policies[Policy]]:
    found: dict[str, dict[str, Stored[Policy]]] = {}
    for namespace, name, stored in kept:
        found.setdefault(namespace, {})[name] = stored
    return dict(found)


def namespaces_in(items: Iterable[msgspec.Raw]) -> dict[str, StoredNamespace]:
    """Return the namespaces of a list, by name."""
    return {_decode_object(item).metadata.name: stored_namespace(item) for item in items}


def _managed(namespaces: Mapping[str, StoredNamespace]) -> frozenset[str]:
    return frozenset(name for name, found in namespaces.items() if MANAGED.matches(found.labels))


def _identity(stored: Stored[Policy]) -> tuple[str, Version]:
    return stored.uid, stored.version


def _identity_in(metadata: Metadata) -> tuple[str, Version]:
    return metadata.uid, version_of(metadata.resource_version)


def _policy(item: msgspec.Raw, metadata: Metadata, known: Stored[Policy] | None) -> Stored[Policy]:
    """Return the policy; one that cannot be understood isolates everything and allows nothing, to be safe.

    What it says stays the very same value as long as only its metadata change.
    """
    stored = stored_policy(item)
    if stored is not None and known is not None and known.value == stored.value:
        return replace(stored, value=known.value)
    if stored is not None:
        return stored
    _LOG.warning("a policy is not understood", namespace=metadata.namespace, name=metadata.name)
    uid, version = _identity_in(metadata)
    return Stored(uid, version, Policy(metadata.namespace, metadata.name, EVERYTHING, frozenset(Direction)))


class _VersionedReflector(Reflector[object]):
    """A reflector whose objects a subclass keeps, with the version that the watch has reached."""

    def __init__(self, api: Api, collection: Collection, changed: Callable[[], None]) -> None:
        super().__init__(api, collection, parse=lambda _: None, changed=changed)
        self.version: Version = None

    def _list(self) -> str:
        version = self._put_all(Deadline.after(LIST_SECONDS))
        self.version = version_of(version)
        self._synced(is_news=True)
        return version

    def _put_all(self, deadline: Deadline) -> str:
        """Read and keep the whole list; return its version."""
        raise NotImplementedError

    def _put_one(self, metadata: Metadata, item: msgspec.Raw | None) -> None:
        raise NotImplementedError

    def _take(self, event: WatchEvent) -> None:
        metadata = _decode_object(event.object).metadata
        if event.type != BOOKMARK:
            self._put_one(metadata, None if event.type == DELETED else event.object)
        # What it holds first: a version must never promise what is not there yet.
        self.version = version_of(metadata.resource_version)
        self._synced(is_news=True)


class _Policies(_VersionedReflector):
    """The policies of those namespaces that were managed when the list was read, by namespace and name."""

    def __init__(self, api: Api, managed: Callable[[], frozenset[str]], changed: Callable[[], None]) -> None:
        super().__init__(api, POLICIES, changed)
        self._managed = managed
        self.listing: frozenset[str] = frozenset()
        self.held: tuple[frozenset[str], Mapping[str, Policies[Policy]]] = (frozenset(), {})
        """Whose policies are kept, and those: in one, for whoever reads them from another thread."""
        self._gone: OrderedDict[str, Version] = OrderedDict()

    @property
    def gone(self) -> Mapping[str, Version]:
        """The uids of policies that went lately, with the version of the event."""
        return dict(self._gone)

    def _begin(self) -> None:
        # Before the list is read: a namespace that becomes managed meanwhile is then seen to be missing.
        self.listing = self._managed()

    def _put_all(self, deadline: Deadline) -> str:
        # Page by page: the text of a hundred thousand policies is as large again as what is kept of them.
        keep = partial(_kept, self.listing, self.held[1])
        listed = list_kept(self._api, self.collection, deadline, keep)
        self.held = (self.listing, _by_namespace(listed.items))
        return listed.resource_version

    def _put_one(self, metadata: Metadata, item: msgspec.Raw | None) -> None:
        kept, by_namespace = self.held
        if metadata.namespace not in kept:
            return
        policies = dict(by_namespace.get(metadata.namespace, {}))
        if item is not None:
            policies[metadata.name] = _policy(item, metadata, policies.get(metadata.name))
        else:
            policies.pop(metadata.name, None)
            version = version_of(metadata.resource_version)
            self._gone[metadata.uid] = version
            self._gone[f"{metadata.namespace}/{metadata.name}"] = version
            while len(self._gone) > _MOST_GONE:
                self._gone.popitem(last=False)
        # Whoever holds the mapping of before goes on seeing what was.
        self.held = (kept, {**by_namespace, metadata.namespace: policies})


class _Namespaces(_VersionedReflector):
    """All namespaces, by name."""

    def __init__(self, api: Api, changed: Callable[[], None]) -> None:
        super().__init__(api, NAMESPACES, changed)
        self.held: tuple[Mapping[str, StoredNamespace], frozenset[str]] = ({}, frozenset())
        """All of them, and the names of the managed ones: in one, as for policies."""

    def managed(self) -> frozenset[str]:
        """Return the names of those that carry the managed label."""
        return self.held[1]

    def _hold(self, by_name: Mapping[str, StoredNamespace]) -> None:
        self.held = (by_name, _managed(by_name))

    def _put_all(self, deadline: Deadline) -> str:
        listed = list_kept(self._api, self.collection, deadline, lambda items: namespaces_in(items).items())
        self._hold(dict(listed.items))
        return listed.resource_version

    def _put_one(self, metadata: Metadata, item: msgspec.Raw | None) -> None:
        by_name = dict(self.held[0])
        if item is None:
            by_name.pop(metadata.name, None)
        else:
            by_name[metadata.name] = stored_namespace(item)
        self._hold(by_name)


class _LedgerData(_VersionedReflector):
    """The ``data`` of the ledger's ConfigMap."""

    def __init__(self, api: Api, guard_namespace: str, changed: Callable[[], None]) -> None:
        super().__init__(api, ledger(guard_namespace), changed)
        self.data: Mapping[str, str] | None = None

    def _put_all(self, deadline: Deadline) -> str:
        listed = list_all(self._api, self.collection, deadline)
        self.data = next((config_map_data(item) for item in listed.items), None)
        return listed.resource_version

    def _put_one(self, metadata: Metadata, item: msgspec.Raw | None) -> None:
        del metadata
        self.data = None if item is None else config_map_data(item)


def _answering(item: msgspec.Raw) -> frozenset[str]:
    """Return the Pods of an EndpointSlice that requests may reach."""
    return frozenset(found.pod for found in endpointslice_facts(item).endpoints if found.may_answer)


class WatchedState:
    """Policies of managed namespaces, all namespaces, and the ledger, as three watches show them.

    A fourth shows which replicas of the guard answer, without which the others are as good.
    """

    def __init__(self, api: Api, guard_namespace: str) -> None:
        """Nothing is read yet; the ledger is in ``guard_namespace``."""
        self._lock = threading.RLock()
        self._namespaces = _Namespaces(api, self._on_namespaces)
        self._policies = _Policies(api, self._namespaces.managed, self._on_change)
        self._ledger = _LedgerData(api, guard_namespace, self._on_change)
        self._replicas = Reflector(
            api, slices(guard_namespace, NAME), parse=_answering, changed=self._on_replicas
        )
        self._reflectors = (self._namespaces, self._policies, self._ledger)
        self._answering: frozenset[str] = frozenset()
        self._snapshot: Watched[Policy] | None = None
        self._has_begun = False

    def start(self) -> None:
        """Begin to read: namespaces first, for they say whose policies are kept."""
        self._namespaces.start()
        self._ledger.start()
        self._replicas.start()

    def stop(self) -> None:
        """End all watches; waits a moment for their threads."""
        reflectors = (*self._reflectors, self._replicas)
        for reflector in reflectors:
            reflector.stop()
        for reflector in reflectors:
            reflector.join(_JOIN_SECONDS / len(reflectors))

    def missing(self) -> str | None:
        """Return what has not been read even once, or must not be, and why; None where all is there."""
        for reflector in self._reflectors:
            if reflector.phase is not Phase.SYNCED or reflector.is_watch_refused:
                return reflector.problem or f"{reflector.collection.words}: not read yet"
        return None

    def waiting(self) -> str | None:
        """Return what has been neither read nor refused yet; None where there is nothing to wait for."""
        for reflector in (*self._reflectors, self._replicas):
            if reflector.phase is Phase.WAITING:
                return f"{reflector.collection.words}: not read yet"
        return None

    def snapshot(self) -> Watched[Policy]:
        """Return what the watches show; the very same value while nothing changes."""
        with self._lock:
            if self._snapshot is None:
                self._snapshot = self._taken()
            return self._snapshot

    def ledger(self) -> Mapping[str, str] | None:
        """Return the ledger's ``data`` as watched, None where there is no such ConfigMap."""
        return self._ledger.data

    def replicas(self) -> frozenset[str]:
        """Return the Pods of the guard that reviews may reach, as far as is known."""
        return self._answering

    def _on_replicas(self) -> None:
        self._answering = frozenset[str]().union(*self._replicas.values) - {""}

    def _taken(self) -> Watched[Policy]:
        """Put a snapshot together; versions first, so that none promises more than is there."""
        namespaces, policies = self._namespaces, self._policies
        namespaces_version, policies_version = namespaces.version, policies.version
        (kept, by_namespace), gone, (by_name, managed) = policies.held, policies.gone, namespaces.held
        if not managed <= kept:
            policies_version = None
        return Watched(by_namespace, policies_version, by_name, namespaces_version, gone)

    def _on_namespaces(self) -> None:
        """Read policies once it is known of which namespaces; anew, where one has become managed since."""
        with self._lock:
            self._snapshot = None
            if self._namespaces.phase is not Phase.SYNCED:
                return
            if not self._has_begun:
                self._has_begun = True
                self._policies.start()
            elif not self._namespaces.managed() <= self._policies.listing:
                self._policies.relist()

    def _on_change(self) -> None:
        with self._lock:
            self._snapshot = None
