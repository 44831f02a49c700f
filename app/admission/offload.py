"""Hard questions are answered aside, by one worker, so that the reviews behind them are answered meanwhile.

Nearly every judgement takes less than a millisecond: those are made at once, and wait for nobody. One that is
built to be hard may take all of its budget. Of those each namespace and each user has one at a time, so that
nobody's questions stand in line before everybody else's; the next is told to try again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TypeVar

from app.admission.ports import NoWorker, Worker
from app.deadline import Deadline
from app.engine.budget import Budget, TooComplexError
from app.engine.policy import Policy
from app.errors import WorkerAway
from app.wire.networkpolicy.rules import is_long

T = TypeVar("T")
Question = Callable[[Budget], T]
"""Must be pure, as it may be asked twice, and a value that can be pickled."""

_AT_ONCE_SECONDS = 0.01
"""How long a judgement may hold up the event loop; what does not suffice begins anew, aside."""
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
    """One review, and for whom it asks; ``is_taken`` once it has a hard question open."""

    __slots__ = ("is_taken", "keys")

    def __init__(self, keys: tuple[tuple[str, str], ...] = ()) -> None:
        self.keys = keys
        self.is_taken = False


_TURN: ContextVar[_Turn] = ContextVar("turn")
"""That of the review under way: the ledger's protocol hands questions to the judge without it."""


def _turn() -> _Turn:
    return _TURN.get(None) or _Turn()


class Offload:
    """Makes judgements, the hard ones by the worker."""

    def __init__(
        self,
        worker: Worker | None = None,
        count: Callable[[str], None] = lambda _: None,
        at_once_seconds: float = _AT_ONCE_SECONDS,
    ) -> None:
        """``count`` is told what came of each hard question; without a worker none is answered."""
        self._worker = worker or NoWorker()
        self._count = count
        self._at_once_seconds = at_once_seconds
        self._taken: Counter[tuple[str, str]] = Counter()

    @contextmanager
    def review(self, namespace: str, user: str) -> Iterator[None]:
        """Answer the questions of one review, which ``user`` asks for about ``namespace``."""
        turn = _Turn((("this namespace", namespace), ("this user", user)))
        token = _TURN.set(turn)
        try:
            yield
        finally:
            _TURN.reset(token)
            if turn.is_taken:
                self._taken -= Counter(turn.keys)

    async def ask(
        self, question: Question[T], deadline: Deadline, about: Iterable[Policy | None] = ()
    ) -> tuple[T, bool]:
        """Return the answer to ``question``, and whether others were answered meanwhile.

        ``about`` are the policies that it has to do with: a long one is only looked at aside. Raises
        ``TooComplexError`` past the deadline, which counts the time until its turn comes, too.
        """
        known: list[T] = []
        with suppress(_HardError):
            answer, is_whole = self._tried(question, deadline, about)
            if is_whole:
                return answer, False
            known.append(answer)
        try:
            return await self._aside(question, deadline), True
        except TooComplexError:
            if known:
                return known[0], True
            raise

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
        seconds = _BESIDE_A_HARD_ONE_SECONDS if self._busy(_turn()) else self._at_once_seconds
        at_once = deadline.at_most(seconds)
        try:
            answer = question(at_once)
        except TooComplexError:
            raise TooComplexError if deadline.exhausted() else _HardError from None
        return answer, not at_once.exhausted() or deadline.exhausted()

    def _busy(self, turn: _Turn) -> str:
        """Return whose other hard question is open, "" where ``turn`` may have one."""
        if turn.is_taken:
            return ""
        return next((whose for whose, name in turn.keys if self._taken[whose, name]), "")

    async def _aside(self, question: Question[T], deadline: Deadline) -> T:
        turn = _turn()
        whose = self._busy(turn)
        if whose:
            self._count("busy")
            raise BusyError(whose)
        if not turn.is_taken:
            turn.is_taken = True
            self._taken.update(turn.keys)
        try:
            answer = await self._worker.ask(question, deadline)
        except TooComplexError:
            self._count("too complex")
            raise
        except WorkerAway as error:
            self._count("no worker")
            raise UnansweredError(str(error)) from error
        self._count("answered")
        return answer
