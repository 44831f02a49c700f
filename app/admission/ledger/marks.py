"""How far a replica's watches must have come before it may judge by them.

Who drops an entry notes the version at which its own watch saw it settled. A mark is a key of its
own, ``mark.networkpolicies.10460``, and the highest counts: so marks, like entries, are written without a
condition and in any order. A lower one is taken away only by the write that puts a higher one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.model.snapshot import P, Resource, Watched

PREFIX = "mark."


@dataclass(frozen=True, slots=True)
class Marks:
    """The versions that watches must have reached, 0 where nothing was dropped yet."""

    policies: int = 0
    namespaces: int = 0

    @classmethod
    def of(cls, versions: Mapping[Resource, int]) -> Marks:
        """Return the marks of ``versions``."""
        return cls(versions.get(Resource.POLICIES, 0), versions.get(Resource.NAMESPACES, 0))

    def of_resource(self, resource: Resource) -> int:
        """Return the mark of one resource."""
        return self.policies if resource is Resource.POLICIES else self.namespaces

    def are_reached(self, snapshot: Watched[P]) -> bool:
        """Tell whether a replica may judge by ``snapshot``; never where its versions are no numbers."""
        return self.is_reached(Resource.POLICIES, snapshot) and self.is_reached(Resource.NAMESPACES, snapshot)

    def is_reached(self, resource: Resource, snapshot: Watched[P]) -> bool:
        """Tell whether ``snapshot`` has come as far in one resource."""
        version = snapshot.reached(resource)
        return version is not None and version >= self.of_resource(resource)


NO_MARKS = Marks()


def mark_of(key: str) -> tuple[Resource, int] | None:
    """Return the mark that a key is, None where it is none that is understood.

    >>> mark_of("mark.namespaces.88")
    (<Resource.NAMESPACES: 'namespaces'>, 88)
    """
    parts = key.split(".")
    if len(parts) != 3 or parts[0] != "mark" or not parts[2].isdecimal():  # noqa: PLR2004 - mark, resource, version
        return None
    resource = _RESOURCES.get(parts[1])
    return None if resource is None else (resource, int(parts[2]))


_RESOURCES = {resource.value: resource for resource in Resource}


def raised(versions: Mapping[Resource, int], keys: Iterable[str]) -> dict[str, str | None]:
    """Return what to write so that no mark is below ``versions``; ``keys`` are those of the ConfigMap.

    >>> raised({Resource.POLICIES: 90}, ["mark.networkpolicies.70", "mark.namespaces.50"])
    {'mark.networkpolicies.90': '', 'mark.networkpolicies.70': None}
    """
    known = {key: mark for key in keys if (mark := mark_of(key)) is not None}
    written: dict[str, str | None] = {}
    for resource, version in versions.items():
        same = {key: mark[1] for key, mark in known.items() if mark[0] is resource}
        if version <= max(same.values(), default=0):
            continue
        written[f"{PREFIX}{resource.value}.{version}"] = ""
        written |= dict.fromkeys(same)
    return written
