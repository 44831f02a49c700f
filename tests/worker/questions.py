"""Questions that a worker can be asked."""

from __future__ import annotations

import gc
import os
import signal
import time

from app.engine.budget import Budget, TooComplexError


def process_id(budget: Budget) -> int:
    """Return who answers."""
    assert not budget.exhausted()
    return os.getpid()


def process_group(_: Budget) -> int:
    """Return whom a terminal's signals reach along with whoever answers."""
    return os.getpgid(0)


def die(_: Budget) -> None:
    """End as the kernel ends a process that takes too much memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def take_memory(_: Budget) -> int:
    """Take more memory than a worker may."""
    return len(bytearray(1024 * 1024 * 1024))


def fail(_: Budget) -> None:
    """Raise what nobody expects."""
    msg = "no answer to this"
    raise LookupError(msg)


def too_complex(_: Budget) -> None:
    """Give up."""
    raise TooComplexError


def until_time_is_up(budget: Budget) -> None:
    """Work as long as is allowed, and give up."""
    while not budget.exhausted():
        time.sleep(0.01)
    raise TooComplexError


def hold(_: Budget) -> None:
    """Never look at the time."""
    while True:
        time.sleep(0.01)


def print_something(_: Budget) -> str:
    """Print where answers would go if they went to standard output."""
    print("a line nobody asked for", flush=True)
    return "answered"


def collector(_: Budget) -> int:
    """Return how many objects the collector of garbage need not look at."""
    return gc.get_freeze_count()
