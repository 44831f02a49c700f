"""Looking again and again, for something in the cluster that takes its time."""

from __future__ import annotations

from collections.abc import Iterator

from app.install.ports import Clock

_POLL_SECONDS = 0.5


def attempts(clock: Clock, seconds: float) -> Iterator[bool]:
    """Yield for each attempt whether it is the last one: the first that begins after ``seconds``."""
    end = clock.now() + seconds
    while True:
        yield clock.now() >= end
        clock.sleep(_POLL_SECONDS)
