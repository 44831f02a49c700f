"""What a replica has watched or read, and the change under review."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

P = TypeVar("P")
"""A policy as the judge understands it; the protocol never looks inside."""

Labels: TypeAlias = "Mapping[str, str]"
Version: TypeAlias = int | None
"""A resourceVersion; None for one that is no number, of which nothing can be told."""


def version_of(text: str) -> Version:
    """Return a resourceVersion as a number.

    >>> version_of("1042"), version_of("etcd-7"), version_of("")
    (1042, None, None)
    """
    return int(text) if text.isascii() and text.isdecimal() else None


class Resource(Enum):
    """The resources whose versions are compared, each within itself."""

    POLICIES = "networkpolicies"
    NAMESPACES = "namespaces"

    __hash__ = object.__hash__


class Effect(Enum):
    """Whether an admitted change is made."""

    REAL = "real"
    DRY_RUN = "dry run"


@dataclass(frozen=True, slots=True)
class Stored(Generic[P]):
    """A policy as an API server keeps it; ``value`` as it stands, whether or not it is ``terminating``."""

    uid: str
    version: Version
    value: P
    terminating: bool = False


@dataclass(frozen=True, slots=True)
class StoredNamespace:
    """A namespace as an API server keeps it, ``kubernetes.io/metadata.name`` among its labels."""

    uid: str
    version: Version
    labels: Labels


Policies: TypeAlias = "Mapping[str, Stored[P]]"
"""The policies of one namespace, by name."""


@dataclass(frozen=True, slots=True)
class Snapshot(Generic[P]):
    """Policies by namespace and name, and namespaces by name, each as of the version that was reached.

    A version is reached when everything up to it is in: by an event, a bookmark or a list. While nothing
    changes ``namespaces`` should be the same object, since what follows from it is remembered. ``gone`` is a
    help, and may be empty: the policies that went lately, by uid and by ``namespace/name``, with the version
    of the (last) event that said so.
    """

    policies: Mapping[str, Policies[P]]
    policies_version: Version
    namespaces: Mapping[str, StoredNamespace]
    namespaces_version: Version
    gone: Mapping[str, Version] = field(default_factory=dict)

    def reached(self, resource: Resource) -> Version:
        """Return how far the watch of ``resource`` has come."""
        return self.policies_version if resource is Resource.POLICIES else self.namespaces_version


@dataclass(frozen=True, slots=True)
class PolicyChange(Generic[P]):
    """One policy before (None: created) and after (None: deleted).

    ``uid`` is the object's; a review of a CREATE carries it. ``assumed`` is the other half of a pair, given
    where ``new`` is one half and the user may override: it is judged as if it stood.
    """

    namespace: str
    name: str
    uid: str
    old: Stored[P] | None
    new: P | None
    assumed: tuple[P, ...] = ()
    effect: Effect = Effect.REAL


@dataclass(frozen=True, slots=True)
class LabelChange:
    """The labels of one namespace before (None: created) and after."""

    name: str
    uid: str
    old: StoredNamespace | None
    labels: Labels
    effect: Effect = Effect.REAL


Change: TypeAlias = PolicyChange[P] | LabelChange


def namespace_of(change: Change[P]) -> str:
    """Return the namespace that a change is about."""
    return change.name if isinstance(change, LabelChange) else change.namespace
