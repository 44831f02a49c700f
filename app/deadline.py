"""A moment by which an answer is due, passed down instead of a time-out that each step would count anew."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadline:
    """``seconds`` from when it was made; ``ends`` on the monotonic clock."""

    seconds: float
    ends: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """Return the deadline that is ``seconds`` away."""
        return cls(seconds, time.monotonic() + seconds)

    @property
    def left(self) -> float:
        """The seconds that are left; negative when it is past."""
        return self.ends - time.monotonic()

    def exhausted(self) -> bool:
        """Tell whether the time is up: the engine's ``Budget`` asks it between slices of work."""
        return time.monotonic() >= self.ends

    def at_most(self, seconds: float) -> Deadline:
        """Return a deadline that is ``seconds`` away, or this one where it comes earlier."""
        return Deadline.after(min(seconds, self.left))


class AtOnce:
    """A budget of some seconds of this thread's processor time, and never past a deadline.

    A busy node may let any thread wait for longer than what it does takes: that makes nothing hard.
    """

    __slots__ = ("_deadline", "_earliest", "_processor_ends")

    def __init__(self, seconds: float, deadline: Deadline) -> None:
        """Begin now."""
        self._deadline = deadline
        self._earliest = min(time.monotonic() + seconds, deadline.ends)
        self._processor_ends = time.thread_time() + seconds

    def exhausted(self) -> bool:
        """Tell whether no more work may be done; processor time, which costs more to ask for, comes last."""
        if time.monotonic() < self._earliest:
            return False
        return self._deadline.exhausted() or time.thread_time() >= self._processor_ends


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """How many seconds one review has: to compute in, until all reading and writing ends, and in all."""

    computing: float
    reading: float
    answer: float

    @classmethod
    def of(cls, seconds: float) -> TimeLimits:
        """Return the limits of a review that has ``seconds`` for whatever it does."""
        return cls(seconds, seconds, seconds)


class ReviewTime:
    """The time of one review, which begins when this is made.

    Reading is waiting for others: how long that may take is up to whoever waits for the answer. Computing
    holds up other reviews, and has a budget of its own, to which waiting does not count.
    """

    __slots__ = ("_computing_ends", "_limits", "answer", "reading")

    def __init__(self, limits: TimeLimits) -> None:
        """Begin now."""
        now = time.monotonic()
        self.reading = Deadline(limits.reading, now + limits.reading)
        self.answer = Deadline(limits.answer, now + limits.answer)
        self._limits = limits
        self._computing_ends = now + limits.computing

    @property
    def computing(self) -> Deadline:
        """By when what is computed next must be done."""
        return Deadline(self._limits.computing, min(self._computing_ends, self.answer.ends))

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Wait for others meanwhile: that is no computing."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._computing_ends += time.monotonic() - began


REVIEW_TIME: ContextVar[ReviewTime] = ContextVar("review time")
"""That of the review under way, for what is asked behind the ledger's protocol, which knows of no time."""
