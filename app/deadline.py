"""A moment by which an answer is due, passed down instead of a time-out that each step would count anew."""

from __future__ import annotations

import time
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
