"""Hard questions are answered aside, by one worker, so that the reviews behind them are answered meanwhile.

Nearly every judgement takes less than a millisecond: those are made at once, and wait for nobody. One that is
built to be hard may take all of its budget. Of those each namespace and each user has one at a time, so that
nobody's questions stand in line before everybody else's; the next is told to try again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import TypeVar

from app.admission.ports import NoWorker, Worker
from app.deadline import REVIEW_TIME, AtOnce, Deadline
from app.engine.budget import Budget, TooComplexError
from app.engine.policy import Policy
from app.errors import WorkerAway
from app.wire.networkpolicy.rules import is_long

T = TypeVar("T")
Question = Callable[[Budget], T]
"""Must be pure, as it may be asked twice, and a value that can be pickled."""

_AT_ONCE_SECONDS = 0.01
"""Of processor time: how long a judgement may hold up the event loop; what needs more begins anew, aside."""
_BESIDE_A_HARD_ONE_SECONDS = 0.002
"""The same for who has a hard question open: the next will not be answered if it is hard, too."""


class BusyError(TooComplexError):
    """Another hard question of ``whose`` is open: "this namespace" or "this user"."""

    def __init__(self, whose: str) -> None:
        super().__init__(whose)
        self.whose = whose


class UnansweredError(TooComplexError):
    """The worker could not be asked, or ended over the question; the text says why."""


class _HardError(TooComplexError):
    """Not to be answered at once."""


class _Turn:
    """One review, and for whom it asks: once it has a hard question open, others of these have none."""

    __slots__ = ("_token", "is_taken", "keys", "taken")

    def __init__(self, keys: tuple[tuple[str, str], ...], taken: set[tuple[str, str]]) -> None:
        self.keys = keys
        self.taken = taken
        self.is_taken = False

    def __enter__(self) -> None:
        self._token = _TURN.set(self)

    def __exit__(self, *_: object) -> None:
        _TURN.reset(self._token)
        if self.is_taken:
            self.taken.difference_update(self.keys)

    def busy(self) -> str:
        """Return whose other hard question is open, "" where this review may have one."""
        if not self.taken or self.is_taken:
            return ""
        return next((whose for whose, name in self.keys if (whose, name) in self.taken), "")

    def take(self) -> None:
        """Have a hard question open until the review ends. Raises ``BusyError``."""
        whose = self.busy()
        if whose:
            raise BusyError(whose)
        self.is_taken = True
        self.taken.update(self.keys)


_TURN: ContextVar[_Turn | None] = ContextVar("turn", default=None)
"""That of the review under way: the ledger's protocol hands questions to the judge without it."""


class Offload:
    """Makes judgements, the hard ones by the worker."""

    def __init__(self, worker: Worker | None = None, count: Callable[[str], None] = lambda _: None) -> None:
        """``count`` is told what came of each hard question; without a worker none is answered."""
        self._worker = worker or NoWorker()
        self._count = count
        self._taken: set[tuple[str, str]] = set()
        self._line = asyncio.Lock()

    def review(self, namespace: str, user: str) -> AbstractContextManager[None]:
        """Answer the questions of one review, which ``user`` asks for about ``namespace``."""
        return _Turn((("this namespace", namespace), ("this user", user)), self._taken)

    async def ask(
        self, question: Question[T], deadline: Deadline, about: Iterable[Policy | None] = ()
    ) -> tuple[T, bool]:
        """Return the answer to ``question``, and whether others were answered meanwhile.

        ``about`` are the policies that it has to do with: a long one is only looked at aside. Raises
        ``TooComplexError`` past the deadline, to which the time until its turn comes does not count.
        """
        try:
            answer, is_whole = self._tried(question, deadline, about)
        except _HardError:
            return await self._aside(question, deadline), True
        if is_whole:
            return answer, False
        try:
            return await self._aside(question, deadline), True
        except TooComplexError:  # part of an answer is better than none
            return answer, True

    def at_once(self, question: Question[T], deadline: Deadline, about: Iterable[Policy | None] = ()) -> T:
        """Return the answer to ``question``, which the worker is not worth. Raises ``TooComplexError``."""
        return self._tried(question, deadline, about)[0]

    def _tried(
        self, question: Question[T], deadline: Deadline, about: Iterable[Policy | None]
    ) -> tuple[T, bool]:
        """Return the answer that is known at once, and whether it is whole: a fix may be left out.

        Raises ``TooComplexError``, and where there is time left to ask aside, ``_HardError``.
        """
        if any(policy is not None and is_long(policy) for policy in about):
            raise _HardError
        turn = _TURN.get()
        is_busy = turn is not None and turn.busy()
        at_once = AtOnce(_BESIDE_A_HARD_ONE_SECONDS if is_busy else _AT_ONCE_SECONDS, deadline)
        try:
            answer = question(at_once)
        except TooComplexError:
            raise TooComplexError if deadline.exhausted() else _HardError from None
        return answer, not at_once.exhausted() or deadline.exhausted()

    async def _aside(self, question: Question[T], deadline: Deadline) -> T:
        turn = _TURN.get()
        try:
            if turn is not None:
                turn.take()
            answer = await self._in_line(question, deadline)
        except BusyError:
            self._count("busy")
            raise
        except TooComplexError:
            self._count("too complex")
            raise
        except WorkerAway as error:
            self._count("no worker")
            raise UnansweredError(str(error)) from error
        self._count("answered")
        return answer

    async def _in_line(self, question: Question[T], deadline: Deadline) -> T:
        """Return the worker's answer. Who came first is first; waiting for that is no computing."""
        time, left = REVIEW_TIME.get(), deadline.left
        try:
            with time.waiting():
                async with asyncio.timeout(time.answer.left):
                    await self._line.acquire()
        except TimeoutError:
            raise TooComplexError from None
        try:
            return await self._worker.ask(question, Deadline.after(min(left, time.answer.left)))
        finally:
            self._line.release()
