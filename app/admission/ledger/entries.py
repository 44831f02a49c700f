"""One change under way, as one key and value of the ConfigMap.

The key is ``entry.<namespace>.<token>``, the token never used twice: an entry is taken out by the review that
wrote it, or when it is settled, never because another looks like it. The value names what it waits for::

    policy created 0e8a... default-deny         CREATE: until that uid is seen
    policy moved 10442 default-deny             UPDATE, DELETE: until the object is newer, or gone
    half created 0e8a... iomete-spark-operator  as ``policy``; stays until the other half of the pair stands
    labels moved 10431 {"both": {}, "old": {"team": "x"}, "new": {}}
    whole                                       anything in the namespace; ``_`` for a namespace: anywhere

What is not understood is kept as it is, and counts as a change of everything in its namespace.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from app.admission.ledger.values import Change, LabelChange
from app.model.snapshot import Labels, P, Resource, Version, Watched, version_of

PREFIX = "entry."
LONGEST_VALUE = 16_384
"""Characters of a value; only labels can be so long, and such a change is refused."""
EVERYWHERE = ""
_KEY = re.compile(r"[a-z]+\.(_|[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)\.[-._a-zA-Z0-9]+")


@dataclass(frozen=True, slots=True)
class Created:
    """Waits for the object with this uid to be seen."""

    uid: str


@dataclass(frozen=True, slots=True)
class Moved:
    """Waits for the object to be newer than this resourceVersion, or gone."""

    version: Version


Awaited: TypeAlias = Created | Moved


@dataclass(frozen=True, slots=True)
class PolicyEntry:
    """A change of one policy."""

    namespace: str
    name: str
    awaited: Awaited

    resource = Resource.POLICIES


@dataclass(frozen=True, slots=True)
class HalfEntry:
    """The creation of one half of a pair; when it is made, it stays until the other half stands."""

    namespace: str
    name: str
    awaited: Created

    resource = Resource.POLICIES


@dataclass(frozen=True, slots=True)
class LabelsEntry:
    """A change of one namespace's labels; ``old`` is None where the namespace is created."""

    namespace: str
    awaited: Awaited
    old: Labels | None
    new: Labels

    resource = Resource.NAMESPACES


@dataclass(frozen=True, slots=True)
class WholeEntry:
    """Anything in ``namespace`` may change, or anything at all: it goes by time alone."""

    namespace: str

    resource = Resource.POLICIES


@dataclass(frozen=True, slots=True)
class UnknownEntry:
    """An entry that this version does not understand: anything in ``namespace`` may change."""

    namespace: str

    resource = Resource.POLICIES


Entry: TypeAlias = PolicyEntry | HalfEntry | LabelsEntry | WholeEntry | UnknownEntry


def entry_of(change: Change[P]) -> Entry:
    """Return the entry of a change."""
    awaited = Created(change.uid) if change.old is None else Moved(change.old.version)
    if isinstance(change, LabelChange):
        old = None if change.old is None else change.old.labels
        return LabelsEntry(change.name, awaited, old, change.labels)
    if change.assumed and isinstance(awaited, Created):
        return HalfEntry(change.namespace, change.name, awaited)
    return PolicyEntry(change.namespace, change.name, awaited)


def adds_management(entry: LabelsEntry, is_managed: Callable[[Labels], bool]) -> bool:
    """Tell whether a namespace becomes a managed one."""
    return is_managed(entry.new) and (entry.old is None or not is_managed(entry.old))


def key_of(entry: Entry, token: str) -> str:
    """Return the key of an entry in the ConfigMap."""
    return f"{PREFIX}{entry.namespace or '_'}.{token}"


def encoded(entry: Entry) -> str:
    """Return the value of an entry in the ConfigMap.

    >>> encoded(PolicyEntry("team-a", "default-deny", Moved(10442)))
    'policy moved 10442 default-deny'
    """
    match entry:
        case PolicyEntry():
            return f"policy {_awaited_text(entry.awaited)} {entry.name}"
        case HalfEntry():
            return f"half {_awaited_text(entry.awaited)} {entry.name}"
        case LabelsEntry():
            return f"labels {_awaited_text(entry.awaited)} {_labels_text(entry)}"
        case WholeEntry():
            return "whole"
        case UnknownEntry():
            raise ValueError("an entry that is not understood is never written anew")


def _awaited_text(awaited: Awaited) -> str:
    if isinstance(awaited, Created):
        return f"created {awaited.uid}"
    return f"moved {'-' if awaited.version is None else awaited.version}"


def _labels_text(entry: LabelsEntry) -> str:
    old, new = entry.old, entry.new
    both = {} if old is None else {key: value for key, value in new.items() if old.get(key) == value}
    parts = {
        "both": both,
        "old": None if old is None else {key: value for key, value in old.items() if key not in both},
        "new": {key: value for key, value in new.items() if key not in both},
    }
    return json.dumps(parts, separators=(",", ":"), sort_keys=True)


@lru_cache(maxsize=8_192)
def decoded(key: str, value: str) -> Entry:
    """Return the entry of a key and its value.

    >>> decoded("entry.team-a.7f", "policy moved 10442 default-deny")
    PolicyEntry(namespace='team-a', name='default-deny', awaited=Moved(version=10442))
    >>> decoded("entry.team-a.7f", "epoch 7")
    UnknownEntry(namespace='team-a')
    """
    found = _KEY.fullmatch(key)
    namespace = found[1].strip("_") if found else EVERYWHERE
    if value == "whole" and found and key.startswith(PREFIX):
        return WholeEntry(namespace)
    try:
        kind, how, what, rest = value.split(" ", 3)
        awaited = _awaited(how, what)
        if not namespace or not key.startswith(PREFIX):
            return UnknownEntry(namespace)
        if kind == "policy" and rest:
            return PolicyEntry(namespace, rest, awaited)
        if kind == "half" and rest and isinstance(awaited, Created):
            return HalfEntry(namespace, rest, awaited)
        if kind == "labels":
            return _labels_entry(namespace, awaited, json.loads(rest))
    except (ValueError, TypeError, KeyError, AttributeError):
        pass
    return UnknownEntry(namespace)


def _awaited(how: str, what: str) -> Awaited:
    if how == "created" and what:
        return Created(what)
    if how == "moved":
        return Moved(version_of(what))
    raise ValueError(how)


def _labels_entry(namespace: str, awaited: Awaited, parts: dict[str, Any]) -> LabelsEntry:
    both = _labels(parts["both"])
    old = None if parts["old"] is None else {**both, **_labels(parts["old"])}
    return LabelsEntry(namespace, awaited, old, {**both, **_labels(parts["new"])})


def _labels(raw: dict[str, Any]) -> dict[str, str]:
    if not all(isinstance(value, str) for value in raw.values()):
        raise ValueError(raw)
    return dict(raw)


def settled_at(entry: Entry, snapshot: Watched[P]) -> int | None:
    """Return the version at which ``snapshot`` shows an entry to be settled, None where it does not.

    Settled: the change is made and in the snapshot, or cannot be made any more. It goes by uid and
    resourceVersion alone, never by name or content: names come back.
    """
    match entry:
        case LabelsEntry():
            namespace = snapshot.namespaces.get(entry.namespace)
            reached = snapshot.namespaces_version
            seen = None if namespace is None else (namespace.uid, namespace.version)
            return _settled_at(entry.awaited, seen, reached)
        case WholeEntry() | UnknownEntry():
            return None
    policy = snapshot.policies.get(entry.namespace, {}).get(entry.name)
    if isinstance(entry.awaited, Created):
        seen = None if policy is None else (policy.uid, policy.version)
        found = _settled_at(entry.awaited, seen, None)
        return snapshot.gone.get(entry.awaited.uid) if found is None else found
    if policy is not None:
        return _settled_at(entry.awaited, (policy.uid, policy.version), None)
    return _gone_at(entry, entry.awaited, snapshot)


def _gone_at(entry: PolicyEntry | HalfEntry, moved: Moved, snapshot: Watched[P]) -> int | None:
    """Return the version of the event by which the policy went, or else how far the watch has come.

    The lower a mark, the sooner the watches of the other replicas have reached it.
    """
    found = _settled_at(moved, None, snapshot.policies_version)
    went = snapshot.gone.get(f"{entry.namespace}/{entry.name}")
    if found is None or went is None or moved.version is None or went <= moved.version:
        return found
    return min(found, went)


def _settled_at(awaited: Awaited, seen: tuple[str, Version] | None, reached: Version) -> int | None:
    if isinstance(awaited, Created):
        return seen[1] if seen is not None and seen[0] == awaited.uid else None
    # Something that stood at the old version and is not there at a later one went in between.
    now = reached if seen is None else seen[1]
    if awaited.version is None or now is None or now <= awaited.version:
        return None
    return now
