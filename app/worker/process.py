"""The parent's end: one worker, started anew when it ends, asked one question at a time."""

from __future__ import annotations

import asyncio
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from app.deadline import Deadline
from app.engine.budget import Budget, TooComplexError
from app.errors import WorkerAway
from app.logs import EventLog
from app.worker.frames import HEAD, Answered, Asked, Came, length_of, packed, unpacked

T = TypeVar("T")
_LOG = EventLog(__name__)
_GRACE_SECONDS = 5.0
"""How much later than it should an answer may come, on a busy node; a worker that is later is ended."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 30.0
_STEADY_SECONDS = 60.0
"""A worker that lived so long did not end for what it is."""


class _Open:
    """A question that somebody waits for."""

    __slots__ = ("answer", "deadline", "question")

    def __init__(self, question: Callable[[Budget], Any], deadline: Deadline) -> None:
        self.question = question
        self.deadline = deadline
        self.answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    def fail(self, error: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)


class WorkerProcess:
    """The worker of this process; ``run`` it, and ``ask`` it while it runs.

    A child with two pipes and no more: the pools of the standard library start a third process to look after
    their semaphores, and pickle on the event loop or in two threads of their own.
    """

    def __init__(self, modules: Sequence[str] = (), on_start: Callable[[], None] = lambda: None) -> None:
        """``modules`` are imported before the first question; ``on_start`` is told of each worker."""
        self._modules = tuple(modules)
        self._on_start = on_start
        self._open: asyncio.Queue[_Open] = asyncio.Queue()
        self.is_up = False

    async def ask(self, question: Callable[[Budget], T], deadline: Deadline) -> T:
        """Return the answer to ``question``, which waits for its turn as long as ``deadline`` allows.

        It is a value that can be pickled. Raises ``TooComplexError`` past the deadline, ``WorkerAway`` where
        there is no worker or it ended over the question.
        """
        if not self.is_up:
            raise WorkerAway("it is being started")
        asked = _Open(question, deadline)
        self._open.put_nowait(asked)
        try:
            async with asyncio.timeout(deadline.left + 2 * _GRACE_SECONDS):
                answer: T = await asked.answer
        except TimeoutError:
            raise TooComplexError from None
        return answer

    async def run(self) -> None:
        """Keep a worker alive until cancelled."""
        pause = _FIRST_PAUSE
        while True:
            began = time.monotonic()
            why = await self._lived()
            if time.monotonic() - began > _STEADY_SECONDS:
                pause = _FIRST_PAUSE
            _LOG.warning("the worker for hard questions ended and is started anew", why=why, pause=pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _lived(self) -> str:
        """Run one worker until it ends; return why it did."""
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "app.worker", *self._modules, stdin=PIPE, stdout=PIPE,
                start_new_session=True,  # what is typed at a terminal is for the parent
            )  # fmt: skip
        except OSError as error:
            return f"it could not be started: {error}"
        self._on_start()
        _LOG.info("the worker for hard questions is there", pid=process.pid)
        self.is_up = True
        try:
            return await self._worked(process)
        finally:
            self.is_up = False
            while not self._open.empty():
                self._open.get_nowait().fail(WorkerAway("it ended"))
            await _end(process)

    async def _worked(self, process: Process) -> str:
        """Hand over one question after another; return why there is an end to that."""
        ended = asyncio.create_task(process.wait())
        coming = asyncio.create_task(self._open.get())
        try:
            while True:
                await asyncio.wait((coming, ended), return_when=asyncio.FIRST_COMPLETED)
                if not coming.done():
                    return f"it ended with {ended.result()}"
                why = await self._answered(process, coming.result())
                if why:
                    return why
                coming = asyncio.create_task(self._open.get())
        finally:
            ended.cancel()
            coming.cancel()

    async def _answered(self, process: Process, asked: _Open) -> str:
        """Have one question answered; return why the worker cannot be asked any more, "" if it can."""
        seconds = asked.deadline.left
        try:
            if asked.answer.done():
                return ""
            if seconds <= 0:
                raise TooComplexError  # noqa: TRY301 - as the worker would
            # In a thread: what is said of a large cluster takes milliseconds to write down and to read.
            frame = await asyncio.to_thread(packed, Asked(asked.question, seconds))
            async with asyncio.timeout(seconds + _GRACE_SECONDS):
                reply = await _exchanged(process, frame)
            _settle(asked, await asyncio.to_thread(unpacked, reply))
        except TooComplexError as error:
            asked.fail(error)
        except TimeoutError:
            asked.fail(TooComplexError())
            return "it did not answer in time"
        except (asyncio.IncompleteReadError, ConnectionError):
            asked.fail(WorkerAway("it ended over this question"))
            return f"it ended over a question, with {await process.wait()}"
        except Exception as error:  # noqa: BLE001 - a fault of ours, before or after the worker was asked
            _LOG.failure("a question or its answer could not be handed over", error)
        finally:
            asked.fail(WorkerAway("the question could not be handed over"))
        return ""


async def _end(process: Process) -> None:
    """End ``process`` and close its pipes; who cancels this waits, too, which takes a moment only."""
    if process.returncode is None:
        process.kill()
    ending = asyncio.create_task(process.communicate())
    try:
        await asyncio.shield(ending)
    except asyncio.CancelledError:
        await ending
        raise


async def _exchanged(process: Process, frame: bytes) -> bytes:
    assert process.stdin is not None  # noqa: S101 - both are pipes, see above
    assert process.stdout is not None  # noqa: S101
    process.stdin.write(frame)
    await process.stdin.drain()
    head = await process.stdout.readexactly(HEAD)
    return await process.stdout.readexactly(length_of(head))


def _settle(asked: _Open, answered: Answered) -> None:
    if answered.came is Came.ANSWERED:
        if not asked.answer.done():
            asked.answer.set_result(answered.value)
    elif answered.came is Came.TOO_COMPLEX:
        asked.fail(TooComplexError())
    else:
        _LOG.error("a hard question failed", traceback=answered.value)
        asked.fail(WorkerAway("the question made it fail"))
