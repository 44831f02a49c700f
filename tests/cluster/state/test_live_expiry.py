"""A measured source expires by itself: without any news from the API server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest

from app.cluster.state import live
from app.cluster.state.facts import Facts
from app.cluster.state.live import LiveState
from app.engine.cluster import Provenance
from app.model.measured_sources import EXPIRES_AFTER, Memory, Remembered
from app.model.measurement import CallerPlace
from tests.cluster.builders import facts
from tests.cluster.probe.test_peer_watch import WritableApi


class Clock(datetime):
    """The time that a test says it is."""

    moment = datetime.now(UTC)

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]  # noqa: ARG003 - always UTC
        """Return it."""
        return cls.moment


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> LiveState:
    """A state that knows one measured source, seen just now, and whose facts never change."""
    monkeypatch.setattr(live, "datetime", Clock)
    monkeypatch.setattr(live, "_EXPIRY_LOOK_SECONDS", 0.0)
    seen = Clock.moment
    known = facts(memory=Memory((Remembered(CallerPlace(ip_address("10.9.9.9")), seen, seen),)))
    made = LiveState(WritableApi())

    def unchanged() -> Facts:
        return known

    monkeypatch.setattr(made._caches, "facts", unchanged)
    return made


def provenances(state: LiveState) -> list[Provenance]:
    return [source.provenance for source in state._snapshot().sources]


def test_a_measured_source_expires_while_nothing_changes(
    state: LiveState, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert provenances(state) == [Provenance.MEASURED, Provenance.GUESSED]
    monkeypatch.setattr(Clock, "moment", Clock.moment + EXPIRES_AFTER)
    assert provenances(state) == [Provenance.MEASURED, Provenance.GUESSED]
    monkeypatch.setattr(Clock, "moment", Clock.moment + timedelta(seconds=1))
    assert provenances(state) == [Provenance.GUESSED]


def test_as_long_as_nothing_expires_the_sources_are_the_same_object(state: LiveState) -> None:
    assert state._snapshot().sources is state._snapshot().sources
