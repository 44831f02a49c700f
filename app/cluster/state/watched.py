"""Policies and namespaces as watches show them, with how far each watch has come: what the ledger judges by.

Of namespaces that are not managed no policy is kept. One that becomes managed is listed anew, and until its
policies are there the state says of itself that it must not be judged by.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import msgspec

from app.cluster.client.connection import Api
from app.cluster.state.reflector import Phase, Reflector
from app.cluster.state.resources import NAMESPACES, POLICIES
from app.engine.cluster import MANAGED
from app.engine.policy import Policy
from app.errors import StateUnreadable
from app.model.snapshot import Snapshot, Stored, StoredNamespace, Version, version_of
from app.wire.errors import UnusableObject
from app.wire.networkpolicy.parse import parse_stored
from app.wire.objects.metadata import Metadata
from app.wire.objects.namespaces import namespace_of

_MOST_GONE = 4_096
"""Deleted policies that are remembered by uid, for entries that wait for one that came and went."""
_JOIN_SECONDS = 2.0


class _Placed(msgspec.Struct):
    metadata: Metadata = Metadata()


_decode_metadata = msgspec.json.Decoder(_Placed).decode


def stored_policy(raw: msgspec.Raw | bytes) -> Stored[Policy]:
    """Return the policy that an API server keeps, as it stands. Raises ``UnusableObject``."""
    parsed = parse_stored(raw)
    if parsed.policy is None:
        raise UnusableObject(f"NetworkPolicy {parsed.metadata.name!r}", "; ".join(map(str, parsed.errors)))
    policy, metadata = parsed.policy, parsed.metadata
    as_it_stands = replace(policy, terminating=False) if policy.terminating else policy
    return Stored(metadata.uid, version_of(metadata.resource_version), as_it_stands, policy.terminating)


def stored_namespace(raw: msgspec.Raw | bytes) -> StoredNamespace:
    """Return the namespace that an API server keeps."""
    parsed = namespace_of(raw)
    metadata = parsed.metadata
    return StoredNamespace(metadata.uid, version_of(metadata.resource_version), parsed.namespace.labels)


class _PolicyReflector(Reflector[Stored[Policy]]):
    """The policies of those namespaces that were managed when the list was read, by namespace and name."""

    def __init__(
        self, api: Api, managed: Callable[[], frozenset[str]], changed: Callable[[], None]
    ) -> None:
        super().__init__(api, POLICIES, parse=stored_policy, changed=changed)
        self._managed = managed
        self._guard = threading.Lock()
        self._by_namespace: dict[str, Mapping[str, Stored[Policy]]] = {}
        self._gone: OrderedDict[str, Version] = OrderedDict()
        self._version: Version = None
        self.kept: frozenset[str] = frozenset()

    def contents(self) -> tuple[Mapping[str, Policies], Version, Mapping[str, Version]]:
        """Return the policies, how far the watch has come, and what went lately; never changed afterwards."""
        with self._guard:
            return dict(self._by_namespace), self._version, dict(self._gone)

    def _list(self) -> Listed:
        # Before the list is read: a namespace that becomes managed while it is read is seen to be missing.
        self._listing = self._managed()
        return super()._list()

    def _replace(self, items: Iterable[msgspec.Raw], version: str) -> None:
        found: dict[str, dict[str, Stored[Policy]]] = {}
        for item in items:
            metadata = _decode_metadata(item).metadata
            if metadata.namespace in self._listing:
                known = self._by_namespace.get(metadata.namespace, {}).get(metadata.name)
                stored = self._stored(item, metadata, known)
                if stored is not None:
                    found.setdefault(metadata.namespace, {})[metadata.name] = stored
        with self._guard:
            self._by_namespace, self.kept = dict(found), self._listing
            self._version = version_of(version)
        self._synced()

    def _take(self, event: str, item: msgspec.Raw) -> None:
        metadata = _decode_metadata(item).metadata
        kept = event != BOOKMARK and metadata.namespace in self.kept
        stored = self._stored(item, metadata, None) if kept and event != DELETED else None
        with self._guard:
            if kept:
                mine = dict(self._by_namespace.get(metadata.namespace, {}))
                if stored is None:
                    mine.pop(metadata.name, None)
                    self._gone[metadata.uid] = version_of(metadata.resource_version)
                    while len(self._gone) > _MOST_GONE:
                        self._gone.popitem(last=False)
                else:
                    mine[metadata.name] = stored
                self._by_namespace[metadata.namespace] = mine
            self._version = version_of(metadata.resource_version)
        self._synced()
