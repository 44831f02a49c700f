from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
import pytest

from app.cluster.state import reflector as module
from app.cluster.state.reflector import Phase, Reflector
from app.errors import StateUnreadable
from app.wire.errors import UnusableObject
from tests.cluster.fake_api import THINGS, FakeApi, event, page, thing


def value_of(raw: msgspec.Raw) -> str | None:
    """Return the value of a thing; the value "nothing" is of no interest, "odd" is no thing."""
    value = json.loads(bytes(raw))["metadata"]["labels"]["value"]
    if value == "odd":
        raise UnusableObject("thing", "is odd")
    return None if value == "nothing" else str(value)


class Watched:
    """A running reflector and how often it told of a change."""

    def __init__(self, api: FakeApi) -> None:
        self.changes = 0
        self.reflector = Reflector(api, THINGS, parse=value_of, changed=self._count)

    def _count(self) -> None:
        self.changes += 1

    @property
    def values(self) -> list[str]:
        return sorted(self.reflector.values)


@contextmanager
def following(api: FakeApi) -> Iterator[Watched]:
    watched = Watched(api)
    watched.reflector.start()
    try:
        yield watched
    finally:
        watched.reflector.stop()
        watched.reflector.join(5)


@pytest.fixture(autouse=True)
def no_long_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST_PAUSE", "LONGEST_PAUSE", "REFUSED_PAUSE"):
        monkeypatch.setattr(module, name, 0.01)


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def test_a_feed_lists_and_then_follows_what_is_added_changed_and_deleted() -> None:
    api = FakeApi(page(thing("a", "1"), version="7"))
    with following(api) as watched:
        stream = api.watched()
        assert watched.values == ["1"]
        assert api.requests[-1].query["resourceVersion"] == "7"
        stream.send(event("ADDED", thing("b", "2")), event("MODIFIED", thing("a", "3")))
        until(lambda: watched.values == ["2", "3"])
        stream.send(event("DELETED", thing("b", "2")))
        until(lambda: watched.values == ["3"])


def test_a_list_of_several_pages_is_read_to_its_end() -> None:
    api = FakeApi(page(thing("a", "1"), resume="next"), page(thing("b", "2")))
    with following(api) as watched:
        api.watched()
        assert watched.values == ["1", "2"]
        assert [request.query.get("continue") for request in api.requests[:2]] == [None, "next"]


def test_a_list_whose_pages_expired_is_begun_again() -> None:
    api = FakeApi(page(thing("a", "1"), resume="next"), 410, page(thing("b", "2")))
    with following(api) as watched:
        api.watched()
        assert watched.values == ["2"]


def test_a_watch_that_ends_goes_on_from_the_last_version_that_it_brought() -> None:
    api = FakeApi(page(version="7"))
    with following(api):
        stream = api.watched()
        stream.send(event("BOOKMARK", {"metadata": {"resourceVersion": "42"}}))
        stream.close()
        api.watched()
        assert api.requests[-1].query["resourceVersion"] == "42"


@pytest.mark.parametrize("code", [410, 500])
def test_an_error_in_a_watch_lists_again(code: int) -> None:
    api = FakeApi(page(thing("a", "1")), page(thing("b", "2")))
    with following(api) as watched:
        api.watched().send(event("ERROR", {"code": code, "message": "too old resource version"}))
        until(lambda: watched.values == ["2"])


def test_a_watch_that_is_refused_as_too_old_lists_again_without_a_problem() -> None:
    api = FakeApi(page(thing("a", "1")), page(thing("b", "2")))
    api.refuse_watch = [410]
    with following(api) as watched:
        api.watched()
        assert watched.values == ["2"]
        assert watched.reflector.problem is None


def test_a_broken_watch_keeps_what_was_known_says_so_and_recovers() -> None:
    api = FakeApi(page(thing("a", "1")), 503, page(thing("a", "2")))
    seen: list[tuple[str | None, Phase]] = []
    with following(api) as watched:
        stream = api.watched()
        api.before_answer = lambda: seen.append((watched.reflector.problem, watched.reflector.phase))
        stream.fail(StateUnreadable("the things", "the connection broke"))
        until(lambda: watched.values == ["2"])
        problems = [problem for problem, _ in seen]
        assert "the connection broke" in str(problems[0])
        assert "503" in str(problems[1])
        assert {phase for _, phase in seen} == {Phase.SYNCED}
        assert watched.reflector.problem is None


@pytest.mark.parametrize("status", [403, 404])
def test_a_collection_that_must_not_be_read_or_is_not_served_is_refused_until_it_can_be(status: int) -> None:
    api = FakeApi(status)
    with following(api) as watched:
        until(lambda: watched.reflector.phase is Phase.REFUSED)
        assert watched.reflector.problem is not None
        assert str(status) in watched.reflector.problem
        api.answers.append(page(thing("a", "1")))
        until(lambda: watched.reflector.phase is Phase.SYNCED)
        assert watched.reflector.problem is None


@pytest.mark.parametrize("status", [401, 429, 500, 503])
def test_an_api_server_that_cannot_answer_now_is_waited_for(status: int) -> None:
    api = FakeApi(status)
    with following(api) as watched:
        until(lambda: watched.changes > 1)
        assert watched.reflector.phase is Phase.WAITING
        api.answers.append(page())
        until(lambda: watched.reflector.phase is Phase.SYNCED)


def test_an_event_that_changes_nothing_of_interest_is_no_change() -> None:
    api = FakeApi(page(thing("a", "1")))
    with following(api) as watched:
        stream = api.watched()
        (before,), changes = watched.reflector.values, watched.changes
        stream.send(event("MODIFIED", thing("a", "1", "2")), event("ADDED", thing("b", "nothing")))
        stream.send(event("ADDED", thing("c", "3")))
        until(lambda: watched.values == ["1", "3"])
        assert watched.changes == changes + 1
        assert any(value is before for value in watched.reflector.values)


def test_an_object_that_is_no_longer_of_interest_is_dropped() -> None:
    api = FakeApi(page(thing("a", "1")))
    with following(api) as watched:
        api.watched().send(event("MODIFIED", thing("a", "nothing")))
        until(lambda: watched.values == [])


def test_an_object_that_is_not_understood_does_not_hide_the_others() -> None:
    api = FakeApi(page(thing("a", "odd"), thing("b", "1")))
    with following(api) as watched:
        api.watched()
        assert watched.values == ["1"]


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"items": 7}', b"\xff"])
def test_an_answer_that_is_no_list_is_a_problem_and_not_the_end(answer: bytes) -> None:
    api = FakeApi(answer)
    with following(api) as watched:
        until(lambda: watched.reflector.problem is not None)
        assert "is not understood" in str(watched.reflector.problem)
        api.answers.append(page(thing("a", "1")))
        until(lambda: watched.values == ["1"])


def test_a_line_of_a_watch_that_is_not_understood_lists_again() -> None:
    api = FakeApi(page(thing("a", "1")), page(thing("b", "2")))
    with following(api) as watched:
        api.watched().send(b"<html>")
        until(lambda: watched.values == ["2"])


def test_an_unexpected_exception_is_logged_and_survived(caplog: pytest.LogCaptureFixture) -> None:
    api = FakeApi(page(thing("a", "1")))
    crashes = iter([ZeroDivisionError("unexpected")])

    def crash_once() -> None:
        for error in crashes:
            raise error

    api.before_answer = crash_once
    with following(api) as watched:
        until(lambda: watched.values == ["1"])
    assert "unexpected" in caplog.text


def test_a_stopped_feed_ends_its_thread_while_it_waits_for_a_line() -> None:
    api = FakeApi(page())
    with following(api) as watched:
        api.watched()
    until(lambda: "reflector the things" not in {thread.name for thread in threading.enumerate()})
    assert watched.reflector.phase is Phase.SYNCED


def test_a_feed_that_is_to_be_read_anew_ends_its_watch_and_lists_without_a_problem() -> None:
    api = FakeApi(page(thing("a", "1")), page(thing("b", "2"), version="9"))
    with following(api) as watched:
        api.watched()
        watched.reflector.relist()
        until(lambda: watched.values == ["2"])
        api.watched()
        assert api.requests[-1].query["resourceVersion"] == "9"
        assert watched.reflector.problem is None


def test_a_watch_that_breaks_because_it_is_to_be_read_anew_is_no_problem(
    caplog: pytest.LogCaptureFixture,
) -> None:
    api = FakeApi(page(thing("a", "1")), page(thing("b", "2")))
    with following(api) as watched:
        stream = api.watched()
        watched.reflector._is_outdated.set()
        stream.fail(StateUnreadable("the things", "the connection was closed"))
        until(lambda: watched.values == ["2"])
        assert watched.reflector.problem is None
    assert "cannot read" not in caplog.text


def test_what_is_to_be_read_anew_while_it_is_listed_is_listed_once_more() -> None:
    api = FakeApi(page(thing("a", "1")), page(thing("b", "2")))
    watched, told = Watched(api), iter([True])
    api.before_answer = lambda: watched.reflector.relist() if next(told, False) else None
    watched.reflector.start()
    until(lambda: watched.values == ["2"])
    watched.reflector.stop()


def test_a_watch_that_is_refused_is_told_until_it_can_be_opened() -> None:
    api = FakeApi(page(thing("a", "1")))
    api.refuse_watch = [403] * 3
    with following(api) as watched:
        until(lambda: watched.reflector.is_watch_refused)
        assert watched.values == ["1"], "what the list showed is kept"
        api.watched()
        until(lambda: not watched.reflector.is_watch_refused)
