"""When an entry goes: as soon as a watch shows it settled; else when it can do no harm any more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Generic

from app.admission.ledger.contents import Contents
from app.admission.ledger.entries import (
    Entry,
    HalfEntry,
    LabelsEntry,
    UnknownEntry,
    WholeEntry,
    adds_management,
    settled_at,
)
from app.admission.ledger.marks import raised
from app.admission.ledger.ports import Informers, Judge, Ledger, Reader, Runtime
from app.admission.ledger.writing import Writer
from app.model.snapshot import P, Resource, Watched

LONGEST_SECONDS = 45.0
"""The API server ends a mutating request after 34 s, whatever its ``--request-timeout`` says."""


class Settler(Generic[P]):
    """Drops entries for all replicas; ``tick`` it a few times a second while there are any."""

    def __init__(
        self,
        judge: Judge[P, object],
        informers: Informers[P],
        reader: Reader[P],
        writing: tuple[Ledger, Writer, Runtime],
    ) -> None:
        """Nothing was seen yet: what stands in the ledger counts as written now."""
        self._judge = judge
        self._informers = informers
        self._reader = reader
        self._ledger, self._writer, self._runtime = writing
        self._first_seen: dict[str, float] = {}
        self._touched: dict[str, Mapping[Resource, int]] = {}

    async def tick(self) -> None:
        """Drop what is to be dropped, and find out what may be dropped later.

        Raises ``StateUnreadable``; nothing is lost by that, try again.
        """
        contents = self._informers.contents()
        self._look(contents)
        if not contents.entries and not self._writer.abandoned:
            return
        snapshot = self._informers.snapshot()
        drops, versions = self.settled(snapshot, contents)
        abandoned = set(self._writer.abandoned)
        keys = (drops | abandoned) & contents.keys | abandoned
        if keys:
            written = {**dict.fromkeys(keys), **raised(versions, contents.keys)}
            await self._ledger.merge(written)
            self._writer.abandoned -= abandoned
        # Last: where no event can be written, what is settled goes all the same.
        await self._touch(contents, drops)

    def _look(self, contents: Contents) -> None:
        """Note since when each entry stands; no clock but the own one is asked."""
        if not contents.entries and not self._first_seen:
            return
        now = self._runtime.now()
        self._first_seen = {key: self._first_seen.get(key, now) for key in contents.entries}
        self._touched = {key: versions for key, versions in self._touched.items() if key in self._first_seen}

    def settled(self, snapshot: Watched[P], contents: Contents) -> tuple[set[str], Mapping[Resource, int]]:
        """Return the entries that may be dropped, and the versions that show it."""
        drops: set[str] = set()
        versions: dict[Resource, int] = {}
        for key, entry in contents.entries.items():
            found = self.seen_at(key, entry, snapshot)
            if found is not None and isinstance(entry, UnknownEntry):
                self._writer.outlived.add(key)
            elif found is not None:
                drops.add(key)
                for resource, version in found.items():
                    versions[resource] = max(version, versions.get(resource, 0))
        return drops, versions

    def seen_at(self, key: str, entry: Entry, snapshot: Watched[P]) -> Mapping[Resource, int] | None:
        """Return the versions from which on an entry is needless, None while it is needed."""
        found = self.settled_at(key, entry, snapshot)
        if found is None or self.stays(entry):
            return self._expired_at(key, snapshot)
        if isinstance(entry, HalfEntry) and not self._is_over(entry, snapshot):
            return None
        return {entry.resource: found}

    def settled_at(self, key: str, entry: Entry, snapshot: Watched[P]) -> int | None:
        """Return the version at which the change is made, or cannot be made any more."""
        del key
        return settled_at(entry, snapshot)

    def stays(self, entry: Entry) -> bool:
        """Tell whether an entry stays its whole time: that of a namespace that becomes managed.

        Changes of its policies were nobody's concern until then, and some may still be under way.
        """
        return isinstance(entry, LabelsEntry) and adds_management(entry, self._judge.is_managed)

    def _is_over(self, entry: HalfEntry, snapshot: Watched[P]) -> bool:
        """Tell whether half of a pair has its other half, or is gone itself."""
        policies = snapshot.policies.get(entry.namespace, {})
        stored = policies.get(entry.name)
        is_there = stored is not None and stored.uid == entry.awaited.uid
        return not is_there or self._judge.is_pair(entry.namespace, policies)

    def _expired_at(self, key: str, snapshot: Watched[P]) -> Mapping[Resource, int] | None:
        """Return the versions of events that came after the change could be made last, once they are seen."""
        touched = self._touched.get(key)
        if touched is None:
            return None
        for resource, version in touched.items():
            reached = snapshot.reached(resource)
            if reached is None or reached < version:
                return None
        return touched

    async def _touch(self, contents: Contents, drops: Iterable[str]) -> None:
        """Write an event for those that are old enough; an entry goes when it comes back by the own watch."""
        old = self._runtime.now() - LONGEST_SECONDS
        due = [
            key
            for key, since in self._first_seen.items()
            if since <= old and key not in self._touched and key not in drops and self._expires(contents, key)
        ]
        if not due:
            return
        wanted = {key: self._resources(contents.entries[key]) for key in due}
        versions: dict[Resource, int] = {}
        for resource in Resource:
            if any(resource in resources for resources in wanted.values()):
                versions[resource] = await self._reader.touch(resource)
        self._touched |= {
            key: {resource: versions[resource] for resource in resources} for key, resources in wanted.items()
        }

    def _resources(self, entry: Entry) -> tuple[Resource, ...]:
        """Return the resources in which an entry may have had an effect."""
        whole = isinstance(entry, WholeEntry | UnknownEntry)
        return tuple(Resource) if whole or self.stays(entry) else (entry.resource,)

    def _expires(self, contents: Contents, key: str) -> bool:
        """Tell whether an entry goes by time; one that stands to be completed does not."""
        entry = contents.entries[key]
        return not isinstance(entry, HalfEntry) or settled_at(entry, self._informers.snapshot()) is None
