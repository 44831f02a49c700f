"""Settings of the interpreter that keep slow answers fast (measured: ``docs/design/performance.md``)."""

from __future__ import annotations

import gc
import sys

# Young objects are looked at rarely, old ones almost never: a review leaves no cycles behind.
_THRESHOLDS = (50_000, 20, 100)
_SWITCH_SECONDS = 5e-5


def settle() -> None:
    """Take everything that is alive now out of the collector's sight; to be called after each large load.

    A full collection with all modules loaded stops the process for many milliseconds, again and again, and
    would find nothing: what was loaded stays.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)


def favour_requests_over_threads() -> None:
    """Let a thread that reads state hand over to the requests a hundred times sooner than by default."""
    sys.setswitchinterval(_SWITCH_SECONDS)
