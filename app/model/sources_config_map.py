"""The ConfigMap in which measured sources of the API server's calls are remembered.

Three sorts of keys, each written by one side alone, so that nobody's write undoes another's:

- ``10.20.0.10`` (IPv6: ``fd00--10``) or ``pods.<namespace>.<label>.<its value>``: a measured place, as
  JSON; written by whoever probed, on condition that nobody else wrote meanwhile,
- ``seen.<the same>``: when a guard last saw a review come from there; written by the guard,
- ``unknown.<address>``: reviews came from an address that no known source covers; written by the guard.
  Anybody who reaches the port can bring that about, so it is told, and nothing follows from it.

An annotation, written by whoever probed, says which round of probes was the last complete one. It is none of
the keys, as 0.1.0 takes those that it does not know for places; that version passes over ``unseen``, too.

Reading forgives: an entry that is not understood is skipped, with a note.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated

import msgspec

from app.engine.addresses import Address, address_of
from app.model.measured_sources import NO_ROUNDS, UNKNOWN_PREFIX, Memory, Remembered, Rounds, Unknown
from app.model.measurement import CallerPlace
from app.names import DOMAIN, SOURCES_CONFIG_MAP
from app.wire.objects.read import RawObject as Manifest
from app.wire.objects.read import read_object
from app.wire.objects.workloads import KeyedData

ROUNDS_ANNOTATION = f"{DOMAIN}/probe-rounds"

_SEEN = "seen."
_MOST_ENTRIES = 256

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
    unseen: tuple[_Moment, ...] = ()


class _RoundsEntry(msgspec.Struct, omit_defaults=True):
    completed: _Moment | None = None
    singly: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()


_decode_entry = msgspec.json.Decoder(_Entry).decode
_decode_rounds = msgspec.json.Decoder(_RoundsEntry).decode


def seen_key(remembered: Remembered) -> str:
    """Return the key of the guard's own note of when it saw the place."""
    return _SEEN + remembered.key


def stamp(moment: datetime) -> str:
    """Return a moment as Kubernetes writes it: RFC 3339, UTC, whole seconds."""
    return _whole(moment).strftime("%Y-%m-%dT%H:%M:%SZ")


def _whole(moment: datetime) -> datetime:
    """Return a moment so that it is encoded as ``stamp`` does."""
    return moment.astimezone(UTC).replace(microsecond=0)


def render_measured(measured: Iterable[Remembered]) -> dict[str, str]:
    """Return the entries of measured places."""
    return {place.key: _json(_entry(place)) for place in measured}


def render_rounds(rounds: Rounds) -> dict[str, str]:
    """Return the annotation, none where there is nothing to say."""
    if rounds == NO_ROUNDS:
        return {}
    completed = None if rounds.completed is None else _whole(rounds.completed)
    return {ROUNDS_ANNOTATION: _json(_RoundsEntry(completed, rounds.singly, rounds.gaps))}


def render_unknown(unknown: Unknown) -> dict[str, str]:
    """Return the entry of an unknown address."""
    entry = _Entry(_whole(unknown.first_seen), _whole(unknown.last_seen), str(unknown.address))
    return {unknown.key: _json(entry)}


def _entry(found: Remembered) -> _Entry:
    address = "" if found.place.address is None else str(found.place.address)
    place = address, found.place.namespace, dict(found.place.labels), found.by
    unseen = tuple(map(_whole, found.unseen))
    first_seen, last_seen = _whole(found.first_seen), _whole(found.last_seen)
    return _Entry(first_seen, last_seen, *place, found.through, found.pods, unseen)


def _json(entry: msgspec.Struct) -> str:
    return msgspec.json.encode(entry).decode()


def memory_of(source: Manifest) -> Memory | None:
    """Return what a ConfigMap remembers, None where it is another than ``SOURCES_CONFIG_MAP``.

    Raises ``UnusableObject`` where the object is no ConfigMap.
    """
    read = read_object(source, KeyedData, "ConfigMap")
    if read.metadata.name != SOURCES_CONFIG_MAP:
        return None
    return read_memory(read.data or {}, read.metadata.annotations)


def read_memory(data: Mapping[str, str], annotations: Mapping[str, str] = {}) -> Memory:
    """Return what the data and the annotations of the ConfigMap say. Never raises."""
    measured: list[Remembered] = []
    unknown: list[Unknown] = []
    notes: list[str] = []
    entries = sorted((key, text) for key, text in data.items() if not key.startswith(_SEEN))
    for key, text in entries[:_MOST_ENTRIES]:
        try:
            if key.startswith(UNKNOWN_PREFIX):
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
    rounds = _read_rounds(annotations, notes)
    return Memory(tuple(measured), tuple(unknown), orphans, tuple(notes), rounds)


def _skipped(key: str, why: str) -> str:
    return f"ConfigMap {SOURCES_CONFIG_MAP}: entry {key} is skipped: {why}"


def _decoded(text: str) -> _Entry:
    entry = _decode_entry(text)
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
    seen = entry.first_seen, entry.last_seen, entry.by, entry.through, entry.pods
    return Remembered(place, *seen, tuple(sorted(entry.unseen)))


def _read_unknown(text: str) -> Unknown:
    entry = _decoded(text)
    return Unknown(_usable_address(entry.address), entry.first_seen, entry.last_seen)


def _read_rounds(annotations: Mapping[str, str], notes: list[str]) -> Rounds:
    text = annotations.get(ROUNDS_ANNOTATION, "")
    if not text:
        return NO_ROUNDS
    try:
        entry = _decode_rounds(text)
    except msgspec.MsgspecError as error:
        notes.append(f"ConfigMap {SOURCES_CONFIG_MAP}: annotation {ROUNDS_ANNOTATION} is skipped: {error}")
        return NO_ROUNDS
    return Rounds(entry.completed, entry.singly, entry.gaps)


def _seen_later(found: Remembered, text: str, notes: list[str]) -> Remembered:
    """Return ``found`` with the guard's own note of when it was seen, where that is later."""
    try:
        moments = [msgspec.convert(text, type=_Moment)] if text else []
    except msgspec.MsgspecError as error:
        notes.append(_skipped(seen_key(found), str(error)))
        moments = []
    last_seen = max([found.last_seen, *moments])
    unseen = tuple(moment for moment in found.unseen if moment > last_seen)
    return replace(found, last_seen=last_seen, unseen=unseen)
