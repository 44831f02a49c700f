from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from app.cluster.events import OverrideEvents, event_of
from app.errors import ChangeFailed
from app.model.access import Override

POLICY = Override("NetworkPolicy", "data-plane", "open", "u-1", "dev", "migration", "it would cut everything")
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


class _Objects:
    """Keeps what is created, or refuses it."""

    def __init__(self, *, refusing: int = 0) -> None:
        self.created: list[dict[str, Any]] = []
        self._refusing = refusing

    def create(self, manifest: dict[str, Any]) -> None:
        if self._refusing:
            self._refusing -= 1
            raise ChangeFailed("create an Event", "the API server answered 403")
        self.created.append(manifest)


def _events(objects: _Objects) -> OverrideEvents:
    return OverrideEvents(lambda: objects)  # type: ignore[arg-type, return-value]


def test_an_event_says_who_overrode_what_and_why() -> None:
    event = event_of(POLICY, NOON, "abc")
    assert event["note"] == "dev overrode netpol-guard (migration): it would cut everything"
    assert event["metadata"] == {"name": "open.abc", "namespace": "data-plane"}
    assert event["eventTime"] == "2026-01-02T12:00:00.000000Z"
    assert event["regarding"] == {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "name": "open",
        "uid": "u-1",
        "namespace": "data-plane",
    }


def test_an_event_about_a_namespace_is_kept_in_default() -> None:
    event = event_of(replace(POLICY, kind="Namespace", namespace="", name="team", uid=""), NOON, "abc")
    assert event["metadata"]["namespace"] == "default"
    assert event["regarding"] == {"apiVersion": "v1", "kind": "Namespace", "name": "team"}


def test_a_long_reason_is_cut_to_what_the_api_server_takes() -> None:
    assert len(event_of(replace(POLICY, reason="x" * 5_000), NOON, "abc")["note"]) == 1024


def test_overrides_become_events() -> None:
    objects = _Objects()
    events = _events(objects)
    events.overridden(POLICY)
    events.flush()
    assert [found["regarding"]["name"] for found in objects.created] == ["open"]


def test_an_event_that_cannot_be_written_does_not_stop_the_next() -> None:
    objects = _Objects(refusing=1)
    events = _events(objects)
    events.overridden(POLICY)
    events.overridden(replace(POLICY, name="next"))
    events.flush()
    assert [found["regarding"]["name"] for found in objects.created] == ["next"]


def test_a_flood_of_overrides_waits_for_nobody() -> None:
    held, objects = threading.Event(), _Objects()

    def connect() -> _Objects:
        held.wait()
        return objects

    events = OverrideEvents(connect)  # type: ignore[arg-type]
    for _ in range(500):
        events.overridden(POLICY)
    held.set()
    events.flush()
    assert 100 <= len(objects.created) <= 101
