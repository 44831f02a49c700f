"""``python -m tests.bench``: decisions, requests and the start, with their targets, in one run.

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
from tests.bench.requests import measure_requests
from tests.bench.tables import decisions_table, requests_table, targets_table

_COUNTS = (5, 20, 100, 500, 2_000)
_REPEATS = {5: 15, 20: 15, 100: 5, 500: 3, 2_000: 3}


def main() -> int:
    """Measure what was asked for, and print it."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--policies", type=int, nargs="+", default=_COUNTS, help="sizes of the policy sets")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved runs of each load (medians count)")
    parser.add_argument("--only", choices=("decisions", "requests"), help="measure half of it")
    chosen = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 118, highlight=False)
    logs.configure(logs.LogLevel.ERROR, logs.LogFormat.TEXT)
    if chosen.only != "requests":
        console.print(decisions_table(_decisions(chosen.policies)))
    if chosen.only != "decisions":
        with TemporaryDirectory(prefix="netpol-guard-bench-") as folder:
            measured = measure_requests(Path(folder), chosen.rounds, _tell)
        console.print(requests_table(measured))
        console.print(targets_table(measured))
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
