"""Writes the ConfigMap of measured sources after a probe (``app.model.measured_sources``)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from app.cluster.client.connection import WritingApi
from app.cluster.client.objects import Objects
from app.model.kinds import CONFIG_MAP, Reference
from app.model.measured_sources import Memory, Remembered, memory_of, render_measured
from app.model.measurement import Measurement
from app.names import NAME, OURS, SOURCES_CONFIG_MAP

MEASURER = f"{NAME}-probe"
"""The field manager of whoever probed, the same for every command, so that one takes over from another."""


def recall(api: WritingApi, guard_namespace: str = NAME) -> Memory:
    """Return what is remembered. Raises ``StateUnreadable``."""
    found = Objects(api, MEASURER).get(reference(guard_namespace))
    return Memory() if found is None else memory_of(found) or Memory()


def remember(
    api: WritingApi,
    measurement: Measurement,
    *,
    by: str,
    guard_namespace: str = NAME,
    now: datetime | None = None,
) -> Memory:
    """Add a measurement, made in the name of user ``by``, to what is remembered; return all of it.

    What was not seen for so long that it expired is forgotten. Raises ``StateUnreadable``, ``ChangeFailed``.
    """
    now = (now or datetime.now(UTC)).replace(microsecond=0)
    known = recall(api, guard_namespace).measured
    kept = {remembered.key: remembered for remembered in known if not remembered.is_expired(now)}
    for found in measurement.found:
        fresh = Remembered(found.place, now, now, by, found.api_servers, found.pods)
        # What was measured again is known since the first time; all else is as of now.
        kept[fresh.key] = replace(fresh, first_seen=kept.get(fresh.key, fresh).first_seen)
    data, labels = render_measured(kept.values()), {"labels": dict([OURS])}
    manifest = reference(guard_namespace).manifest(labels, data=data)
    return memory_of(Objects(api, MEASURER).apply(manifest, force=True).object) or Memory()


def reference(guard_namespace: str) -> Reference:
    """Return which object remembers."""
    return Reference(CONFIG_MAP, SOURCES_CONFIG_MAP, guard_namespace)
