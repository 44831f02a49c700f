"""``python -m tests.bench``: decisions, requests, the start and the live path, with their targets.

Compare ratios, not microseconds: everything of a table was measured on the same machine in the same minutes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from app import logs
from tests.bench.decisions import SHAPES, Timing, time_decisions
from tests.bench.live import COUNTS, measure_live
from tests.bench.memory import measure_memory
from tests.bench.requests import measure_requests
from tests.bench.tables import (
    decisions_table,
    live_table,
    live_targets_table,
    memory_table,
    requests_table,
    targets_table,
)

_MANY = 100_000
_COUNTS = (5, 20, 100, 500, 2_000)
_REPEATS = {5: 15, 20: 15, 100: 5, 500: 3, 2_000: 3}
PARTS = ("decisions", "requests", "live", "memory")


def main() -> int:
    """Measure what was asked for, and print it."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--policies", type=int, nargs="+", default=_COUNTS, help="sizes of the policy sets")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved runs of each load (medians count)")
    parser.add_argument("--only", choices=PARTS, help="measure one part of it")
    parser.add_argument("--namespaces", type=int, nargs="+", default=COUNTS, help="managed namespaces, live")
    parser.add_argument("--many", type=int, default=_MANY, help="policies whose memory is measured")
    chosen = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 118, highlight=False)
    logs.configure(logs.LogLevel.ERROR, logs.LogFormat.TEXT)
    parts = PARTS if chosen.only is None else (chosen.only,)
    if "decisions" in parts:
        console.print(decisions_table(_decisions(chosen.policies)))
    with TemporaryDirectory(prefix="netpol-guard-bench-") as folder:
        if "requests" in parts:
            measured = measure_requests(Path(folder), chosen.rounds, _tell)
            console.print(requests_table(measured))
            console.print(targets_table(measured))
        if "live" in parts:
            figures = measure_live(Path(folder), chosen.rounds, chosen.namespaces, _tell)
            console.print(live_table(figures))
            console.print(live_targets_table(figures))
        if "memory" in parts:
            console.print(memory_table(measure_memory(Path(folder), chosen.many, _tell)))
    return 0


def _decisions(counts: list[int]) -> list[Timing]:
    timings = []
    for count in counts:
        _tell(f"decisions: {count} policies")
        timings += [time_decisions(shape, count, _REPEATS.get(count, 3)) for shape in SHAPES]
    return timings


def _tell(what: str) -> None:
    print(f"... {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
