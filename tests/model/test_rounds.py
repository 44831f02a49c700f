"""A measured source expires by evidence, complete rounds in which it was not seen, and never by silence."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.engine.addresses import Address, address_of
from app.model.measured_sources import Memory, Remembered, Rounds
from app.model.measurement import (
    CallerPlace,
    Coverage,
    Measurement,
    Observation,
    ObservedPlace,
    Reach,
)
from app.model.rounds import Round

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
HERE, GONE = "10.99.0.1", "10.99.0.9"
SERVER, OTHER, SHARED = "10.99.0.1:6443", "10.99.0.2:6443", "10.96.0.1:443"


def address(text: str) -> Address:
    parsed = address_of(text)
    assert parsed is not None
    return parsed


def found(*peers: str) -> tuple[ObservedPlace, ...]:
    return tuple(
        ObservedPlace(CallerPlace(address(peer)), (Observation(address(peer), SERVER, "guard-1"),))
        for peer in peers
    )


def asked(name: str, answers: int = 21, reach: Reach = Reach.SINGLE, *, hidden: int = 0) -> Coverage:
    return Coverage(name, reach, 21, answers, hidden, ("guard-1",))


COMPLETE = Measurement(found(HERE), (asked(SERVER),))
BOTH_SEEN = replace(COMPLETE, found=found(HERE, GONE))
REMEMBERED = Remembered(CallerPlace(address(GONE)), NOW - DAY, NOW, "admin", (OTHER,), ("guard-1",))


def after(*rounds: tuple[timedelta, Measurement], memory: Memory = Memory((REMEMBERED,))) -> Memory:  # noqa: B008 - frozen
    """Return what is remembered after these rounds, each so long after the source was last seen."""
    for passed, measurement in rounds:
        memory = Round(measurement, "the guard", NOW + passed).added_to(memory)
    return memory


def daily(count: int, measurement: Measurement = COMPLETE) -> list[tuple[timedelta, Measurement]]:
    return [(number * DAY, measurement) for number in range(1, count + 1)]


def gone(memory: Memory) -> Remembered:
    return next(known for known in memory.measured if str(known.place) == GONE)


# -- what lets a source expire -----------------------------------------------------------------------------


def test_complete_rounds_over_seven_days_in_none_of_which_it_was_seen_let_a_source_expire() -> None:
    assert gone(after(*daily(8))).is_expired


def test_seven_rounds_over_fewer_than_seven_days_do_not() -> None:
    seventh = gone(after(*daily(7)))
    assert len(seventh.unseen) == 7
    assert seventh.unseen[-1] - seventh.unseen[0] == 6 * DAY
    assert not seventh.is_expired


def test_a_week_with_fewer_than_seven_rounds_does_not() -> None:
    assert not gone(after((DAY, COMPLETE), (8 * DAY, COMPLETE), (30 * DAY, COMPLETE))).is_expired


@pytest.mark.parametrize("quiet", [7 * DAY, 8 * DAY, 365 * DAY])
def test_silence_is_no_evidence(quiet: timedelta) -> None:
    assert not gone(after((quiet, COMPLETE))).is_expired
    assert not REMEMBERED.is_expired


def test_a_round_counts_once_a_day_however_many_replicas_and_people_ask() -> None:
    often = [(DAY + number * HOUR, COMPLETE) for number in range(7 * 24 + 1)]
    assert len(gone(after(*often)).unseen) == 8
    assert after((DAY, COMPLETE), (DAY + timedelta(seconds=1), COMPLETE)) == after((DAY, COMPLETE))


def test_an_expired_source_is_told_of_for_a_month_and_then_forgotten() -> None:
    expired = after(*daily(8))
    assert gone(after((38 * DAY, COMPLETE), memory=expired)).unseen == gone(expired).unseen
    later = after((38 * DAY + timedelta(seconds=1), COMPLETE), memory=expired)
    assert [str(known.place) for known in later.measured] == [HERE]


# -- what resets ---------------------------------------------------------------------------------------------


def test_seeing_it_resets_in_a_complete_round_and_in_an_incomplete_one() -> None:
    incomplete = replace(BOTH_SEEN, unasked=(OTHER,))
    for seen in (BOTH_SEEN, incomplete):
        again = gone(after(*daily(7), (8 * DAY, seen)))
        assert (again.unseen, again.last_seen, again.first_seen) == ((), NOW + 8 * DAY, NOW - DAY)
        assert not gone(after(*daily(7), (8 * DAY, seen), (9 * DAY, COMPLETE))).is_expired


def test_an_expired_source_that_is_seen_again_is_as_measured_as_before() -> None:
    again = gone(after(*daily(8), (9 * DAY, BOTH_SEEN)))
    assert not again.is_expired
    assert again.first_seen == NOW - DAY


# -- which rounds are complete -------------------------------------------------------------------------------

INCOMPLETE = {
    "an API server gave no answer": (
        (asked(SERVER), asked(OTHER, 0)),
        f"API server {OTHER} gave no answer that tells where it calls from",
    ),
    "a proxy hid where an API server called from": (
        (asked(SERVER), asked(OTHER, 21, hidden=21)),
        f"API server {OTHER} gave no answer that tells where it calls from",
    ),
    "nineteen calls behind a load balancer": (
        (asked(SHARED, 19, Reach.SHARED),),
        f"19 of at least 20 calls were seen behind {SHARED}",
    ),
    "a proxy hid one of twenty calls behind a load balancer": (
        (asked(SHARED, 20, Reach.SHARED, hidden=1),),
        f"19 of at least 20 calls were seen behind {SHARED}",
    ),
}


@pytest.mark.parametrize(("coverage", "gap"), INCOMPLETE.values(), ids=INCOMPLETE)
def test_a_round_is_incomplete_where(coverage: tuple[Coverage, ...], gap: str) -> None:
    assert Measurement(found(HERE), coverage).gaps() == (gap,)


def test_twenty_calls_behind_a_load_balancer_are_complete_whoever_answered() -> None:
    measurement = Measurement(found(HERE), (asked(SHARED, 20, Reach.SHARED),), unasked=(SERVER, OTHER))
    assert measurement.gaps() == ()


def test_an_api_server_that_nothing_reaches_makes_a_round_incomplete() -> None:
    (gap,) = replace(COMPLETE, unasked=(OTHER,)).gaps()
    assert gap == f"API server {OTHER} cannot be asked by itself, nor through an address in front of all"


def test_calls_through_a_proxy_that_tells_nothing_make_a_round_incomplete() -> None:
    (gap,) = replace(COMPLETE, unplaced=(address("10.244.1.1"),)).gaps()
    assert gap.startswith("calls from 10.244.1.1 do not tell")


def test_incomplete_rounds_neither_count_nor_reset() -> None:
    incomplete = replace(COMPLETE, coverage=(asked(SERVER), asked(OTHER, 0)))
    between = [(4 * DAY + number * HOUR, incomplete) for number in range(24, 24 * 9)]
    memory = after(*daily(4), *between)
    assert len(gone(memory).unseen) == 4
    assert memory.rounds.completed == NOW + 4 * DAY
    days = [(13 * DAY + number * DAY, COMPLETE) for number in range(3)]
    assert gone(after(*days, memory=memory)).is_expired


def test_what_an_incomplete_round_saw_is_measured_all_the_same_and_why_it_was_incomplete_is_noted() -> None:
    memory = after((DAY, replace(COMPLETE, unasked=(OTHER,))), memory=Memory())
    assert [str(known.place) for known in memory.measured] == [HERE]
    assert memory.rounds.completed is None
    assert OTHER in memory.rounds.gaps[0]
    assert after((2 * DAY, COMPLETE), memory=memory).rounds == Rounds(NOW + 2 * DAY, (SERVER,))


def test_an_api_server_that_answered_by_itself_last_time_has_to_answer_so_again_for_a_week() -> None:
    balanced = Measurement(found(HERE), (asked(SHARED, 20, Reach.SHARED), asked(SERVER), asked(OTHER)))
    unreached = replace(balanced, coverage=(asked(SHARED, 20, Reach.SHARED), asked(SERVER)), unasked=(OTHER,))
    memory = after((DAY, balanced))
    assert after((2 * DAY, unreached), memory=memory).rounds == replace(
        memory.rounds, gaps=(f"API server {OTHER} could be asked by itself before, and not this time",)
    )
    assert len(gone(after((8 * DAY, unreached), memory=memory)).unseen) == 1
    assert len(gone(after((8 * DAY + timedelta(seconds=1), unreached), memory=memory)).unseen) == 2


def test_a_member_that_is_listed_no_more_is_not_waited_for() -> None:
    memory = after((DAY, replace(COMPLETE, coverage=(asked(SERVER), asked(OTHER)))))
    assert len(gone(after((2 * DAY, COMPLETE), memory=memory)).unseen) == 2


# -- what is written ---------------------------------------------------------------------------------------


def test_a_run_that_finds_what_is_known_changes_nothing() -> None:
    memory = after((DAY, COMPLETE))
    assert Round(COMPLETE, "admin", NOW + DAY + HOUR).added_to(memory) is memory


def test_a_new_source_is_remembered_although_no_round_is_due() -> None:
    memory = after((DAY, COMPLETE), (DAY + HOUR, replace(COMPLETE, found=found(HERE, "10.99.0.7"))))
    assert {str(known.place) for known in memory.measured} == {HERE, GONE, "10.99.0.7"}
    assert memory.rounds.completed == NOW + DAY


def test_an_incomplete_round_that_repeats_itself_is_written_once() -> None:
    incomplete = replace(COMPLETE, unasked=(OTHER,))
    memory = after((DAY, incomplete))
    assert Round(incomplete, "the guard", NOW + DAY + HOUR).added_to(memory) is memory


def test_a_replica_whose_clock_is_ahead_does_not_make_the_others_count_twice() -> None:
    memory = after((DAY, COMPLETE))
    assert memory.rounds.due_in(NOW + DAY - HOUR) == DAY + HOUR
    assert after((DAY - HOUR, COMPLETE), memory=memory) is memory


def test_a_clock_that_was_far_ahead_stops_no_rounds_and_its_moments_are_no_evidence() -> None:
    memory = after((400 * DAY, COMPLETE))
    again = after(*daily(7), memory=memory)
    assert again.rounds.completed == NOW + 7 * DAY
    assert not gone(again).is_expired
    assert len(gone(again).unseen) == 7


def test_how_far_it_is_is_said_in_words() -> None:
    assert gone(after((DAY, COMPLETE))).evidence == "not seen in the complete round of probes on 2026-11-02"
    assert gone(after(*daily(3))).evidence == (
        "not seen in 3 complete rounds of probes from 2026-11-02 to 2026-11-04"
    )
    assert REMEMBERED.evidence == ""
