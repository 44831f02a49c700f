"""A real worker: it answers, it is started anew when it ends, and it ends with its parent."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from app.deadline import Deadline
from app.engine.budget import TooComplexError
from app.errors import WorkerAway
from app.worker import process as module
from app.worker.process import WorkerProcess
from tests.worker import questions

PATIENCE = 60


@asynccontextmanager
async def working(*, modules: tuple[str, ...] = ()) -> AsyncIterator[tuple[WorkerProcess, list[int]]]:
    """Run a worker; yield it with a list that grows by one for each process that is started."""
    starts: list[int] = []
    worker = WorkerProcess(modules, lambda: starts.append(len(starts)))
    running = asyncio.create_task(worker.run())
    try:
        await until(lambda: worker.is_up)
        yield worker, starts
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for a fact."""
    async with asyncio.timeout(PATIENCE):
        while not is_so():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.005)


def soon() -> Deadline:
    """Return a deadline that no busy machine misses."""
    return Deadline.after(PATIENCE)


def is_alive(process: int) -> bool:
    """Tell whether there is such a process, and no zombie."""
    with suppress(ProcessLookupError, FileNotFoundError):
        os.kill(process, 0)
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_one_worker_in_another_process_answers_one_question_after_another() -> None:
    async def scenario() -> None:
        async with working(modules=("json",)) as (worker, starts):
            answers = {await worker.ask(questions.process_id, soon()) for _ in range(3)}
            assert len(answers) == 1 == len(starts)
            assert os.getpid() not in answers
            assert await worker.ask(questions.process_group, soon()) != os.getpgid(0)
            assert await worker.ask(questions.print_something, soon()) == "answered"
            assert await worker.ask(questions.collector, soon()) > 0
        assert not is_alive(answers.pop())

    asyncio.run(scenario())


def test_what_is_too_complex_or_has_no_time_left_is_told_and_the_worker_stays() -> None:
    async def scenario() -> None:
        async with working() as (worker, starts):
            for question in (questions.too_complex, questions.take_memory):
                with pytest.raises(TooComplexError):
                    await worker.ask(question, soon())
            with pytest.raises(TooComplexError):
                await worker.ask(questions.until_time_is_up, Deadline.after(0.1))
            with pytest.raises(TooComplexError):
                await worker.ask(questions.process_id, Deadline.after(0))
            assert await worker.ask(questions.process_id, soon())
            assert len(starts) == 1

    asyncio.run(scenario())


def test_a_question_that_fails_is_logged_and_the_worker_stays(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with working() as (worker, starts):
            with pytest.raises(WorkerAway):
                await worker.ask(questions.fail, soon())
            assert await worker.ask(questions.process_id, soon())
            assert len(starts) == 1

    asyncio.run(scenario())
    failed = [record for record in caplog.records if record.msg == "a hard question failed"]
    assert "LookupError: no answer to this" in failed[0].facts["traceback"]  # type: ignore[attr-defined]


def test_a_worker_that_is_killed_over_a_question_leaves_nobody_waiting_and_is_started_anew() -> None:
    async def scenario() -> None:
        async with working() as (worker, starts):
            first = await worker.ask(questions.process_id, soon())
            with pytest.raises(WorkerAway, match="it ended over this question"):
                await worker.ask(questions.die, soon())
            await until(lambda: worker.is_up and len(starts) == 2)
            assert await worker.ask(questions.process_id, soon()) != first

    asyncio.run(scenario())


def test_those_who_wait_for_their_turn_are_told_when_the_worker_ends() -> None:
    async def scenario() -> None:
        async with working() as (worker, _):
            asked = [
                worker.ask(question, soon()) for question in (questions.die, *[questions.process_id] * 3)
            ]
            answers = await asyncio.gather(*asked, return_exceptions=True)
            assert [type(answer) for answer in answers] == [WorkerAway] * 4

    asyncio.run(scenario())


def test_an_idle_worker_that_is_killed_is_started_anew() -> None:
    async def scenario() -> None:
        async with working() as (worker, starts):
            os.kill(await worker.ask(questions.process_id, soon()), signal.SIGKILL)
            await until(lambda: worker.is_up and len(starts) == 2)
            assert await worker.ask(questions.process_id, soon())

    asyncio.run(scenario())


def test_a_question_that_does_not_look_at_the_time_ends_with_its_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_GRACE_SECONDS", 0.1)

    async def scenario() -> None:
        async with working() as (worker, starts):
            with pytest.raises(TooComplexError):
                await worker.ask(questions.hold, Deadline.after(0.1))
            await until(lambda: worker.is_up and len(starts) == 2)
            assert await worker.ask(questions.process_id, soon())

    asyncio.run(scenario())


def test_who_gives_up_waiting_is_not_answered_and_the_next_one_is() -> None:
    async def scenario() -> None:
        async with working() as (worker, starts):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await worker.ask(questions.until_time_is_up, Deadline.after(1))
            assert await worker.ask(questions.process_id, soon())
            assert len(starts) == 1

    asyncio.run(scenario())


def test_what_cannot_travel_is_a_fault_of_ours_and_leaves_nobody_waiting() -> None:
    async def scenario() -> None:
        async with working() as (worker, starts):
            with pytest.raises(WorkerAway, match="could not be handed over"):
                await worker.ask(lambda _: None, soon())
            assert await worker.ask(questions.process_id, soon())
            assert len(starts) == 1

    asyncio.run(scenario())


def test_before_it_is_started_nobody_waits_for_it() -> None:
    with pytest.raises(WorkerAway, match="it is being started"):
        asyncio.run(WorkerProcess().ask(questions.process_id, soon()))


def test_a_worker_that_cannot_be_started_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        monkeypatch.setattr(sys, "executable", "/nowhere/python")
        worker = WorkerProcess()
        running = asyncio.create_task(worker.run())
        await asyncio.sleep(0)
        with pytest.raises(WorkerAway):
            await worker.ask(questions.process_id, soon())
        monkeypatch.undo()
        await until(lambda: worker.is_up)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(scenario())


def test_the_worker_ends_with_its_parent_however_that_ended() -> None:
    program = [sys.executable, "-m", "tests.worker.program"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert is_alive(worker)
        parent.kill()
        parent.wait()
    asyncio.run(until(lambda: not is_alive(worker)))
