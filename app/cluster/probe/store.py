"""Writes the ConfigMap of measured sources after a probe (``app.model.sources_config_map``)."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus

from app.cluster.client.connection import WritingApi
from app.cluster.client.objects import Objects
from app.errors import ChangeFailed
from app.model.kinds import CONFIG_MAP, Manifest, Reference
from app.model.measured_sources import NOTHING_REMEMBERED, Memory
from app.model.measurement import Measurement
from app.model.rounds import Round
from app.model.sources_config_map import memory_of, render_measured, render_rounds
from app.names import NAME, OURS, SOURCES_CONFIG_MAP

MEASURER = f"{NAME}-probe"
"""The field manager of whoever probed, the same for everybody, so that one takes over from another."""
_ATTEMPTS = 5


def recall(api: WritingApi, guard_namespace: str = NAME) -> Memory | None:
    """Return what is remembered, None where there is no such ConfigMap. Raises ``StateUnreadable``."""
    found = Objects(api, MEASURER).get(reference(guard_namespace))
    return None if found is None else memory_of(found)


def remember(
    api: WritingApi,
    measurement: Measurement,
    *,
    by: str,
    guard_namespace: str = NAME,
    now: datetime | None = None,
) -> Memory:
    """Add a measurement, made in the name of user ``by``, to what is remembered; return all of it.

    It is written on condition that nobody has written since it was read: of two rounds at the same moment one
    counts. Raises ``StateUnreadable``, ``ChangeFailed``.
    """
    objects, place = Objects(api, MEASURER), reference(guard_namespace)
    done = Round(measurement, by, (now or datetime.now(UTC)).replace(microsecond=0))
    for _ in range(_ATTEMPTS - 1):
        try:
            return _added(objects, place, done)
        except ChangeFailed as error:
            if error.status != HTTPStatus.CONFLICT:
                raise
    return _added(objects, place, done)


def _added(objects: Objects, place: Reference, done: Round) -> Memory:
    """Try once. Raises ``ChangeFailed``, 409 where somebody wrote in between."""
    found = objects.get(place)
    known = (None if found is None else memory_of(found)) or NOTHING_REMEMBERED
    memory = done.added_to(known)
    if memory is known:
        return known
    return memory_of(objects.apply(_manifest(place, memory, found), force=True).object) or NOTHING_REMEMBERED


def _manifest(place: Reference, memory: Memory, before: Manifest | None) -> Manifest:
    version = {} if before is None else {"resourceVersion": before["metadata"]["resourceVersion"]}
    metadata = {"labels": dict([OURS]), "annotations": render_rounds(memory.rounds), **version}
    return place.manifest(metadata, data=render_measured(memory.measured))


def reference(guard_namespace: str) -> Reference:
    """Return which object remembers."""
    return Reference(CONFIG_MAP, SOURCES_CONFIG_MAP, guard_namespace)
