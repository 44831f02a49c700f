"""The ConfigMap in which measured sources of the API server's calls are remembered.

Three sorts of keys, each written by one side alone, so that nobody's write undoes another's:

- ``10.20.0.10`` (IPv6: ``fd00--10``) or ``pods.<namespace>.<label>.<its value>``: a measured place, as
  JSON; written by whoever probed,
- ``seen.<the same>``: when a guard last saw a review come from there; written by the guard,
- ``unknown.<address>``: reviews came from an address that no known source covers; written by the guard.
  Anybody who reaches the port can bring that about, so it is told, and nothing follows from it.

Reading forgives: an entry that is not understood is skipped, with a note.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec

from app.engine.addresses import Address, address_of
from app.engine.cluster import Source
from app.model.measurement import CallerPlace
from app.names import SOURCES_CONFIG_MAP
from app.wire.objects.read import RawObject as Manifest
from app.wire.objects.read import read_object
from app.wire.objects.workloads import KeyedData

EXPIRES_AFTER = timedelta(days=7)
"""How long a measured address that no static source lists stays required without being seen."""

_SEEN, _UNKNOWN = "seen.", "unknown."
_MOST_ENTRIES = 256
_NO_KEY = re.compile(r"[^-._a-zA-Z0-9]")


_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class _Entry(msgspec.Struct, rename="camel", omit_defaults=True):
    first_seen: _Moment
    last_seen: _Moment
    address: str = ""
    namespace: str = ""
    labels: dict[str, str] = {}
    by: str = ""
    through: tuple[str, ...] = ()
    pods: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Remembered:
    """A place that was measured: when first and last seen, in whose name, asking which API servers.

    ``pods`` are those of the guard that saw it when it was measured.
    """

    place: CallerPlace
    first_seen: datetime
    last_seen: datetime
    by: str = ""
    through: tuple[str, ...] = ()
    pods: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The key of the entry."""
        return key_of(self.place)

    def is_expired(self, now: datetime) -> bool:
        """Tell whether it was unseen for so long that it is required only where a static source lists it."""
        return now - self.last_seen > EXPIRES_AFTER

    @property
    def source(self) -> Source:
        """The place as a measured source."""
        asked = f", asking {' and '.join(self.through)}" if self.through else ""
        by = f" by {self.by}" if self.by else ""
        return self.place.source(f"a probe{by} on {self.first_seen:%Y-%m-%d}{asked}")


@dataclass(frozen=True, slots=True)
class Unknown:
    """An address that reviews came from although no known source covers it."""

    address: Address
    first_seen: datetime
    last_seen: datetime

    @property
    def key(self) -> str:
        """The key of the entry."""
        return _UNKNOWN + _address_key(self.address)


@dataclass(frozen=True, slots=True)
class Memory:
    """All that is remembered; ``notes`` say which entries were not understood.

    ``orphans`` are keys of the guard's notes about places that are not remembered any more.
    """

    measured: tuple[Remembered, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    orphans: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def key_of(place: CallerPlace) -> str:
    """Return the key under which a place is remembered; a ConfigMap's keys have no colon.

    >>> key_of(CallerPlace(address_of("fd00::10")))
    'fd00--10'
    >>> key_of(CallerPlace(None, "kube-system", {"app": "konnectivity-agent"}))
    'pods.kube-system.app.konnectivity-agent'
    """
    if place.address is not None:
        return _address_key(place.address)
    labels = ".".join(f"{key}.{value}" for key, value in sorted(place.labels.items()))
    return _NO_KEY.sub("-", f"pods.{place.namespace}.{labels}")


def _address_key(address: Address) -> str:
    return str(address).replace(":", "-")


def seen_key(remembered: Remembered) -> str:
    """Return the key of the guard's own note of when it saw the place."""
    return _SEEN + remembered.key


def stamp(moment: datetime) -> str:
    """Return a moment as Kubernetes writes it: RFC 3339, UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def render_measured(measured: Iterable[Remembered]) -> dict[str, str]:
    """Return the entries of measured places."""
    return {place.key: _rendered(_entry(place)) for place in measured}


def render_unknown(unknown: Unknown) -> dict[str, str]:
    """Return the entry of an unknown address."""
    entry = _Entry(unknown.first_seen, unknown.last_seen, str(unknown.address))
    return {unknown.key: _rendered(entry)}


def _entry(found: Remembered) -> _Entry:
    address = "" if found.place.address is None else str(found.place.address)
    place = address, found.place.namespace, dict(found.place.labels)
    return _Entry(found.first_seen, found.last_seen, *place, found.by, found.through, found.pods)


def _rendered(entry: _Entry) -> str:
    built = msgspec.to_builtins(entry)
    built.update(firstSeen=stamp(entry.first_seen), lastSeen=stamp(entry.last_seen))
    return msgspec.json.encode(built).decode()


def memory_of(source: Manifest) -> Memory | None:
    """Return what a ConfigMap remembers, None where it is another than ``SOURCES_CONFIG_MAP``.

    Raises ``UnusableObject`` where the object is no ConfigMap.
    """
    read = read_object(source, KeyedData, "ConfigMap")
    return read_memory(read.data or {}) if read.metadata.name == SOURCES_CONFIG_MAP else None


def read_memory(data: Mapping[str, str]) -> Memory:
    """Return what the data of the ConfigMap says. Never raises."""
    measured: list[Remembered] = []
    unknown: list[Unknown] = []
    notes: list[str] = []
    entries = sorted((key, text) for key, text in data.items() if not key.startswith(_SEEN))
    for key, text in entries[:_MOST_ENTRIES]:
        try:
            if key.startswith(_UNKNOWN):
                unknown.append(_read_unknown(text))
            else:
                found = _read_measured(text)
                measured.append(_seen_later(found, data.get(seen_key(found), ""), notes))
        except (ValueError, msgspec.MsgspecError) as error:
            notes.append(_skipped(key, str(error)))
    if len(entries) > _MOST_ENTRIES:
        why = f"more than {_MOST_ENTRIES} entries; the rest is not read"
        notes.append(f"ConfigMap {SOURCES_CONFIG_MAP}: {why}")
    known = {seen_key(remembered) for remembered in measured}
    orphans = tuple(sorted(key for key in data if key.startswith(_SEEN) and key not in known))
    return Memory(tuple(measured), tuple(unknown), orphans, tuple(notes))


def _skipped(key: str, why: str) -> str:
    return f"ConfigMap {SOURCES_CONFIG_MAP}: entry {key} is skipped: {why}"


def _decoded(text: str) -> _Entry:
    entry = msgspec.json.decode(text, type=_Entry)
    if entry.first_seen > entry.last_seen:
        raise ValueError("firstSeen is after lastSeen")
    return entry


def _usable_address(text: str) -> Address:
    address = address_of(text)
    if address is None:
        raise ValueError(f"{text!r} is no address")
    if address.is_loopback or address.is_unspecified or address.is_multicast:
        raise ValueError(f"no call of an API server comes from {address}")
    return address


def _read_measured(text: str) -> Remembered:
    entry = _decoded(text)
    if bool(entry.address) == bool(entry.namespace and entry.labels):
        raise ValueError("it needs either an address, or a namespace and labels")
    place = CallerPlace(None, entry.namespace, entry.labels)
    if entry.address:
        place = CallerPlace(_usable_address(entry.address))
    return Remembered(place, entry.first_seen, entry.last_seen, entry.by, entry.through, entry.pods)


def _read_unknown(text: str) -> Unknown:
    entry = _decoded(text)
    return Unknown(_usable_address(entry.address), entry.first_seen, entry.last_seen)


def _seen_later(found: Remembered, text: str, notes: list[str]) -> Remembered:
    """Return ``found`` with the guard's own note of when it was seen, where that is later."""
    if not text:
        return found
    try:
        moment = msgspec.convert(text, type=_Moment)
    except msgspec.MsgspecError as error:
        notes.append(_skipped(seen_key(found), str(error)))
        return found
    return replace(found, last_seen=max(moment, found.last_seen))
