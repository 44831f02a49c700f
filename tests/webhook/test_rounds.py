"""When the guard makes a round of probes by itself, and what it says of it."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from app.engine.addresses import address_of
from app.errors import ChangeFailed, StateUnreadable
from app.metrics import Metrics
from app.model.measured_sources import Memory, Remembered, Rounds
from app.model.measurement import CallerPlace
from app.model.sources_config_map import render_rounds
from app.webhook.rounds import GuardMeasurer, ProbeRounds
from tests.cluster.routed_api import RoutedApi

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
DAY = timedelta(days=1)
NEVER = Memory()
DONE = Memory(rounds=Rounds(NOW))
INCOMPLETE = Memory(rounds=Rounds(NOW - 2 * DAY, gaps=("19 of at least 20 calls were seen behind lb",)))
NO_RIGHT = StateUnreadable("where the API server's calls come from", "the guard may not", "grant this rule")


def unseen(rounds: int) -> Remembered:
    moments = tuple(NOW - DAY * (rounds - number) for number in range(1, rounds + 1))
    return Remembered(CallerPlace(address_of("10.9.9.9")), NOW - 30 * DAY, NOW - 20 * DAY, unseen=moments)


class Scripted:
    """Rounds that end as a test says, the last one for ever; what is known then is watched at once."""

    def __init__(self, known: Memory | None, *outcomes: Memory | Exception) -> None:
        self.known = known
        self.outcomes = list(outcomes)
        self.made = 0
        self.now = NOW
        self.metrics = Metrics()
        self.rounds = ProbeRounds(lambda: self.known, self, self.metrics, lambda: self.now)

    def make(self) -> Memory:
        self.made += 1
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        self.known = outcome
        return outcome

    def stop(self) -> None:
        """Nothing is ever under way."""

    def turns(self, count: int = 1) -> list[float]:
        return [asyncio.run(self.rounds.turn()) for _ in range(count)]

    def scraped(self) -> list[str]:
        return self.metrics.render()[0].decode().splitlines()


def test_a_guard_that_knows_of_no_round_makes_one_as_soon_as_it_has_read_what_is_remembered() -> None:
    script = Scripted(None, DONE)
    script.turns()
    assert script.made == 0
    script.known = NEVER
    script.turns()
    assert script.made == 1


def test_no_replica_makes_a_round_within_a_day_of_another_ones() -> None:
    script = Scripted(DONE, DONE)
    for passed in (timedelta(), DAY / 2, DAY - timedelta(seconds=1)):
        script.now = NOW + passed
        script.turns()
    assert script.made == 0
    script.now = NOW + DAY
    script.turns()
    assert script.made == 1


def test_it_is_looked_at_the_moment_when_one_is_due_and_every_few_seconds_before() -> None:
    script = Scripted(DONE, DONE)
    script.now = NOW + DAY - timedelta(seconds=5)
    assert script.turns() == [5.0]
    script.now = NOW
    assert script.turns() == [15.0]


def test_what_was_taken_away_by_somebody_is_measured_again() -> None:
    script = Scripted(DONE, DONE)
    script.turns()
    script.known = NEVER
    script.turns()
    assert script.made == 1


@pytest.mark.parametrize(
    ("outcome", "longest"), [(NO_RIGHT, 300), (ChangeFailed("apply", "no"), 300), (INCOMPLETE, 3600)]
)
def test_what_did_not_come_to_a_complete_round_is_tried_again_later_and_later(
    outcome: Memory | Exception, longest: float
) -> None:
    script = Scripted(NEVER, outcome)
    pauses = script.turns(20)
    assert pauses[:6] == [2, 4, 8, 16, 32, 64]
    assert pauses[-3:] == [longest] * 3
    assert script.made == 20


def test_after_a_complete_round_the_pauses_begin_anew() -> None:
    script = Scripted(NEVER, *[NO_RIGHT] * 9, DONE, NO_RIGHT)
    script.turns(10)
    script.known = NEVER
    assert script.turns() == [2.0]


@pytest.mark.parametrize(
    ("outcome", "name", "says"),
    [
        (DONE, "complete", ""),
        (INCOMPLETE, "incomplete", "19 of at least 20 calls were seen behind lb"),
        (NO_RIGHT, "failed", "the guard may not"),
        (RuntimeError("a mistake of ours"), "failed", "a mistake of ours"),
    ],
)
def test_how_each_round_ended_is_counted_and_why_is_logged_once_it_lasts(
    outcome: Memory | Exception, name: str, says: str, caplog: pytest.LogCaptureFixture
) -> None:
    script = Scripted(NEVER, outcome)
    with caplog.at_level(logging.WARNING):
        script.turns(4)
        assert caplog.records == []
        script.turns(16)
    counted = 1 if outcome is DONE else 20
    assert f'netpol_guard_probe_rounds_total{{outcome="{name}"}} {counted}.0' in script.scraped()
    assert len(caplog.records) == (1 if says else 0)
    assert all(says in str(vars(record)) for record in caplog.records)


def test_when_the_last_complete_round_was_and_how_many_sources_it_did_not_see_can_be_asked_for() -> None:
    script = Scripted(None, DONE)
    assert "netpol_guard_complete_probe_round_timestamp_seconds 0.0" in script.scraped()
    script.known = Memory((unseen(2),), rounds=Rounds(NOW))
    moment = "netpol_guard_complete_probe_round_timestamp_seconds "
    (line,) = (line for line in script.scraped() if line.startswith(moment))
    assert float(line.removeprefix(moment)) == NOW.timestamp()
    assert "netpol_guard_unseen_sources 1.0" in script.scraped()


@pytest.mark.parametrize(
    ("rounds", "event"), [(3, "a measured source was not seen"), (8, "a measured source expired")]
)
def test_a_source_that_expires_is_told_of_before_and_after(
    rounds: int, event: str, caplog: pytest.LogCaptureFixture
) -> None:
    script = Scripted(NEVER, Memory((unseen(rounds),), rounds=Rounds(NOW)))
    with caplog.at_level(logging.WARNING):
        script.turns()
    (record,) = caplog.records
    assert record.getMessage() == event
    assert f"not seen in {rounds} complete rounds of probes" in str(vars(record))


class Lasting(Scripted):
    """Whose third round lasts until it is stopped."""

    def __init__(self) -> None:
        super().__init__(NEVER, INCOMPLETE)
        self.third, self.stopped = threading.Event(), threading.Event()

    def make(self) -> Memory:
        memory = super().make()
        if self.made == 3:
            self.third.set()
            assert self.stopped.wait(20)
        return memory

    def stop(self) -> None:
        self.stopped.set()


def test_it_goes_on_until_cancelled_and_then_ends_a_round_that_is_under_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.webhook.rounds._FIRST_PAUSE", 0.001)
    script = Lasting()

    async def main() -> None:
        task = asyncio.create_task(script.rounds.run())
        assert await asyncio.to_thread(script.third.wait, 20)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert script.stopped.is_set()
    assert script.made == 3


# -- one round ---------------------------------------------------------------------------------------------

NAME = "netpol-guard-sources"
PATH = f"/api/v1/namespaces/guards/configmaps/{NAME}"


def measurer(config_map: bytes | int) -> tuple[GuardMeasurer, RoutedApi]:
    """Return a measurer whose probes would fail: where anybody is asked, `AttributeError` says so."""
    api = RoutedApi({PATH: config_map})
    return GuardMeasurer(api, None, "guards"), api  # type: ignore[arg-type]  # probes need a configuration


def test_where_another_replica_was_quicker_nobody_is_asked() -> None:
    annotations = render_rounds(Rounds(datetime.now(UTC)))
    metadata = {"name": NAME, "namespace": "guards", "annotations": annotations}
    made, api = measurer(json.dumps({"metadata": metadata}).encode())
    assert made.make().rounds.completed is not None
    assert [request.path for request in api.requests] == [PATH]


def test_where_a_round_is_due_the_api_servers_are_asked() -> None:
    made, _ = measurer(json.dumps({"metadata": {"name": NAME, "namespace": "guards"}}).encode())
    with pytest.raises(AttributeError):
        made.make()


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (
            403,
            'grant this rule: apiGroups: [""], resources: ["configmaps"], verbs: ["get"] in namespace guards',
        ),
        (404, f"there is no ConfigMap guards/{NAME}: apply the guard's manifests of this version"),
    ],
)
def test_under_manifests_of_an_older_version_it_says_what_is_missing_and_nobody_is_asked(
    status: int, says: str
) -> None:
    made, api = measurer(status)
    with pytest.raises(StateUnreadable) as failed:
        made.make()
    assert says in f"{failed.value.why}: {failed.value.how}"
    assert len(api.requests) == 1
