"""Reads that are shared: few of them, and each begins after all who share it asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from app.cluster.client.sharing import SharedReads
from app.deadline import Deadline
from app.errors import StateUnreadable

LONG = 60.0


class Source:
    """Counts reads; each takes until it is let go, and returns its number."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.deadlines: list[Deadline] = []
        self.cancelled = 0
        self.go = asyncio.Event()
        self.fails = False

    async def read(self, key: str, deadline: Deadline) -> int:
        self.begun.append(key)
        self.deadlines.append(deadline)
        number = len(self.begun)
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.fails:
            raise StateUnreadable(key, "it failed")
        return number


def run(scene: Callable[[Source, SharedReads[str, int]], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        source = Source()
        await scene(source, SharedReads(source.read, lambda key: f"what {key} is"))

    asyncio.run(asyncio.wait_for(main(), LONG))


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.001)


def after(seconds: float) -> Deadline:
    return Deadline.after(seconds)


def test_those_who_ask_at_the_same_time_share_a_read_of_the_latest_deadline() -> None:
    async def scene(source: Source, reads: SharedReads[str, int]) -> None:
        source.go.set()
        asked = (reads.get("a", after(seconds)) for seconds in (20, 40, 30))
        assert await asyncio.gather(*asked, reads.get("b", after(20))) == [1, 1, 1, 2]
        assert source.begun == ["a", "b"]
        assert [deadline.seconds for deadline in source.deadlines] == [40, 20]

    run(scene)


def test_who_asks_while_a_read_is_under_way_gets_a_later_one_and_does_not_wait_for_the_first() -> None:
    async def scene(source: Source, reads: SharedReads[str, int]) -> None:
        first = asyncio.create_task(reads.get("a", after(LONG)))
        await until(lambda: len(source.begun) == 1)
        later = [asyncio.create_task(reads.get("a", after(LONG))) for _ in range(20)]
        await until(lambda: len(source.begun) == 2)  # although the first has not ended
        source.go.set()
        assert [await first, *[await task for task in later]] == [1] + 20 * [2]

    run(scene)


def test_a_failure_is_told_to_all_and_the_next_read_is_a_new_one() -> None:
    async def scene(source: Source, reads: SharedReads[str, int]) -> None:
        source.go.set()
        source.fails = True
        found = await asyncio.gather(*(reads.get("a", after(LONG)) for _ in "ab"), return_exceptions=True)
        assert list(map(str, found)) == ["could not read a: it failed"] * 2
        source.fails = False
        assert await reads.get("a", after(LONG)) == 2

    run(scene)


def test_who_has_waited_long_enough_is_told_what_was_slow_and_others_go_on_waiting() -> None:
    async def scene(source: Source, reads: SharedReads[str, int]) -> None:
        patient = asyncio.create_task(reads.get("a", after(LONG)))
        with pytest.raises(StateUnreadable, match=r"what a is: the API server did not answer within 0\.0 s"):
            await reads.get("a", after(0.01))
        source.go.set()
        assert await patient == 1

    run(scene)


def test_a_read_that_nobody_waits_for_any_more_is_given_up() -> None:
    async def scene(source: Source, reads: SharedReads[str, int]) -> None:
        asked = asyncio.create_task(reads.get("a", after(LONG)))
        await until(lambda: len(source.begun) == 1)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        await until(lambda: source.cancelled == 1)
        source.go.set()
        assert await reads.get("a", after(LONG)) == 2

    run(scene)


def test_a_read_that_nobody_waits_for_any_more_does_not_begin() -> None:
    async def scene(source: Source, reads: SharedReads[str, int]) -> None:
        first = asyncio.create_task(reads.get("a", after(LONG)))
        await until(lambda: len(source.begun) == 1)
        second = asyncio.create_task(reads.get("a", after(LONG)))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        source.go.set()
        assert await first == 1
        assert await reads.get("a", after(LONG)) == 2
        assert source.begun == ["a", "a"]

    run(scene)
