"""What watches show of policies and namespaces, with the versions that they have reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeAlias, TypeVar

P = TypeVar("P")
"""A policy as whoever judges understands it."""

Labels: TypeAlias = Mapping[str, str]
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
    terminating: bool = False


Policies: TypeAlias = Mapping[str, Stored[P]]
"""The policies of one namespace, by name."""


@dataclass(frozen=True, slots=True)
class Watched(Generic[P]):
    """Policies by namespace and name, and namespaces by name, each as of the version that was reached.

    A version is reached when everything up to it is in: by an event, a bookmark or a list. While nothing
    changes ``namespaces`` is the same object, since what follows from it is remembered. ``gone`` are the
    uids of policies that went lately, with the version of the event: a help for those that came and went.
    """

    policies: Mapping[str, Policies[P]]
    policies_version: Version
    namespaces: Mapping[str, StoredNamespace]
    namespaces_version: Version
    gone: Mapping[str, Version] = field(default_factory=dict)

    def reached(self, resource: Resource) -> Version:
        """Return how far the watch of ``resource`` has come."""
        return self.policies_version if resource is Resource.POLICIES else self.namespaces_version
