"""What watches show, as states to judge by: the very same value while nothing of it changes.

Verdicts are remembered by the identity of the state they were found for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from app.cluster.state.snapshot import Snapshot
from app.engine.cluster import MANAGED, Cluster
from app.engine.policy import Namespace, Policy
from app.model.snapshot import Policies, StoredNamespace, Watched

_MOST = 4_096
"""States of single namespaces that are remembered."""

PolicyTuple = tuple[Policy, ...]


class ClusterViews:
    """States made of snapshots; those of one namespace are remembered."""

    def __init__(self) -> None:
        self._facts: tuple[Snapshot | None, Cluster] = (None, Cluster())
        self._namespaces: tuple[object, Mapping[str, Namespace]] = (None, {})
        self._views: dict[str, tuple[tuple[object, ...], Cluster]] = {}
        self._policies: dict[str, tuple[object, PolicyTuple]] = {}

    def facts(self, snapshot: Snapshot) -> Cluster:
        """Return what ``snapshot`` knows, without namespaces and policies."""
        known, facts = self._facts
        if known is not snapshot:
            facts = snapshot.with_policies({}, {})
            self._facts = (snapshot, facts)
        return facts

    def view(self, snapshot: Snapshot, watched: Watched[Policy], names: Iterable[str] | None) -> Cluster:
        """Return the state with the policies of ``names``, else of all managed namespaces."""
        namespaces = self._named(watched.namespaces)
        if names is None:
            every = (name for name, found in namespaces.items() if MANAGED.matches(found.labels))
            return snapshot.with_policies(self._policies_of(watched, every), namespaces)
        policies = self._policies_of(watched, names)
        key, parts = "/".join(policies), (snapshot, namespaces, *policies.values())
        known = self._views.get(key)
        if known is not None and _is_same(known[0], parts):
            return known[1]
        if len(self._views) >= _MOST:
            self._views.clear()
        made = snapshot.with_policies(policies, namespaces)
        self._views[key] = (parts, made)
        return made

    def _named(self, stored: Mapping[str, StoredNamespace]) -> Mapping[str, Namespace]:
        known, namespaces = self._namespaces
        if known is not stored:
            new = {name: Namespace(name, found.labels, found.terminating) for name, found in stored.items()}
            namespaces = namespaces if namespaces == new else new
            self._namespaces = (stored, namespaces)
        return namespaces

    def _policies_of(self, watched: Watched[Policy], names: Iterable[str]) -> dict[str, PolicyTuple]:
        return {name: self._listed(name, watched.policies.get(name, {})) for name in names}

    def _listed(self, namespace: str, stored: Policies[Policy]) -> PolicyTuple:
        known = self._policies.get(namespace)
        if known is not None and known[0] is stored:
            return known[1]
        policies = tuple(
            replace(found.value, terminating=True) if found.terminating else found.value
            for found in stored.values()
        )
        if known is not None and _is_same(known[1], policies):
            policies = known[1]
        if len(self._policies) >= _MOST:
            self._policies.clear()
        self._policies[namespace] = (stored, policies)
        return policies


def _is_same(old: tuple[object, ...], new: tuple[object, ...]) -> bool:
    return len(old) == len(new) and all(before is after for before, after in zip(old, new, strict=True))
