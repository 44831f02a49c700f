"""``python -m tests.bench``: decisions, requests and the start, with their targets, in one run.

Compare ratios, not microseconds: everything of a table was measured on the same machine in the same minutes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from app import logs
from tests.bench.decisions import BUDGET_SECONDS, SHAPES, Timing, time_decisions
from tests.bench.requests import CASES, GO, RAW, SERVERS, Case, Measured, Requests, measure_requests

_COUNTS = (5, 20, 100, 500, 2_000)
_REPEATS = {5: 15, 20: 15, 100: 5, 500: 3, 2_000: 1}
_RANDOM_TARGETS_MS = {20: 0.5, 2_000: 25.0}
_STEP_IN_PROGRESS = 1.1
"""A search looks at its deadline between steps; a tenth of the budget is what a step may take."""
_READY_TARGET_SECONDS = 0.5
_MEMORY_TARGET_MB = 60.0


def main() -> int:
    """Measure what was asked for, and print it."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--policies", type=int, nargs="+", default=_COUNTS, help="sizes of the policy sets")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved runs of each load (medians count)")
    parser.add_argument("--only", choices=("decisions", "requests"), help="measure half of it")
    chosen = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 118, highlight=False)
    logs.configure(logs.LogLevel.ERROR, logs.LogFormat.TEXT)
    if chosen.only != "requests":
        console.print(_decisions_table(chosen.policies))
    if chosen.only != "decisions":
        with TemporaryDirectory(prefix="netpol-guard-bench-") as folder:
            measured = measure_requests(Path(folder), chosen.rounds, _tell)
        console.print(_requests_table(measured))
        console.print(_start_table(measured))
    return 0


def _tell(what: str) -> None:
    print(f"... {what}", file=sys.stderr, flush=True)


def _judged(value: float, target: float) -> str:
    """Return whether a target is met, and by how much it is missed if not."""
    return "[green]met[/]" if value <= target else f"[red]no: {value / target:.1f} times[/]"


def _decisions_table(counts: list[int]) -> Table:
    table = Table(title="Decision time: all required flows, before and after, states built anew")
    for name in ("policies", "set", "median ms", "slowest ms", "target ms", "", "answers"):
        table.add_column(
            name, justify="right" if "ms" in name or name == "policies" else "left", no_wrap=True
        )
    for count in counts:
        _tell(f"decisions: {count} policies")
        for shape in SHAPES:
            timing = time_decisions(shape, count, _REPEATS.get(count, 3))
            table.add_row(*_decision_row(timing), end_section=shape is SHAPES[-1])
    table.caption = (
        "random: any policies; narrow: each for one application, so that only the exact search can tell.\n"
        f"hostile: a budget of {BUDGET_SECONDS:g} s and the step in progress; 'too complex' is an answer."
    )
    return table


def _decision_row(timing: Timing) -> tuple[str, ...]:
    middle, slowest = timing.median_seconds * 1e3, timing.slowest_seconds * 1e3
    target, judged = "", ""
    if timing.shape.startswith("hostile"):
        limit = BUDGET_SECONDS * 1e3 * _STEP_IN_PROGRESS
        target, judged = f"{limit:,.0f}", _judged(slowest, limit)
    elif timing.policies in _RANDOM_TARGETS_MS:
        limit = _RANDOM_TARGETS_MS[timing.policies]
        target, judged = f"{limit:g}", _judged(middle, limit)
    numbers = (f"{middle:,.2f}", f"{slowest:,.2f}")
    return (f"{timing.policies:,}", timing.shape, *numbers, target, judged, timing.answers)


def _requests_table(measured: Requests) -> Table:
    table = Table(title="Requests over HTTPS, one core each; the guard's decision included")
    names = ("load", "server", "p50 us", "p99 us", "req/s", "p50/raw", "p50/Go", "p99/Go", "req/s/Go")
    for name in names:
        table.add_column(name, justify="left" if name in {"load", "server"} else "right", no_wrap=True)
    for case in CASES:
        for server in SERVERS:
            found, raw, go = (measured.by_case[case, one] for one in (server, RAW, GO))
            absolute = (f"{found.p50_us:,.0f}", f"{found.p99_us:,.0f}", f"{found.rps:,.0f}")
            ratios = _ratios(found, raw, go) if server not in {RAW, GO} else ("", "", "", "")
            load = f"{case.size // 1000} KB x {case.clients}"
            table.add_row(load, server, *absolute, *_with_targets(case, ratios), end_section=server is GO)
    table.caption = (
        "Load: size of a review x clients; known: the same 8 objects again and again.\n"
        "Targets: p50 at most 1.5 raw and 1.25 Go, p99 at 60 KB at most 1.2 Go, req/s at least 0.6 Go."
    )
    return table


def _ratios(found: Measured, raw: Measured, go: Measured) -> tuple[str, ...]:
    return (
        f"{found.p50_us / raw.p50_us:.2f}",
        f"{found.p50_us / go.p50_us:.2f}",
        f"{found.p99_us / go.p99_us:.2f}",
        f"{found.rps / go.rps:.2f}",
    )


def _with_targets(case: Case, ratios: tuple[str, ...]) -> tuple[str, ...]:
    """Colour the ratios that have a target: latency with one client, throughput with many."""
    if not ratios[0]:
        return ratios
    raw, go, slow, rate = ratios
    if case.clients == 1:
        raw, go = _coloured(raw, is_met=float(raw) <= 1.5), _coloured(go, is_met=float(go) <= 1.25)
        slow = _coloured(slow, is_met=float(slow) <= 1.2) if case.size > 10_000 else slow
    else:
        rate = _coloured(rate, is_met=float(rate) >= 0.6)
    return raw, go, slow, rate


def _coloured(text: str, *, is_met: bool) -> str:
    return f"[green]{text} ok[/]" if is_met else f"[red]{text} no[/]"


def _start_table(measured: Requests) -> Table:
    table = Table(title="Start of the guard (process to readyz, a small directory read; median of 3)")
    for name in ("what", "measured", "target", ""):
        table.add_column(name)
    ready, memory = measured.ready_seconds, measured.resident_mb
    table.add_row(
        "ready", f"{ready:.2f} s", f"{_READY_TARGET_SECONDS} s", _judged(ready, _READY_TARGET_SECONDS)
    )
    table.add_row(
        "memory", f"{memory:.0f} MB", f"{_MEMORY_TARGET_MB:.0f} MB", _judged(memory, _MEMORY_TARGET_MB)
    )
    table.add_row("memory after all requests", f"{measured.resident_after_mb:.0f} MB", "", "")
    return table


if __name__ == "__main__":
    sys.exit(main())
