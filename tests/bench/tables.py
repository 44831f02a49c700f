"""What was measured, as tables: each number that has a target stands beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.table import Table

from tests.bench.decisions import BUDGET_SECONDS, Timing
from tests.bench.requests import (
    CASES,
    GO,
    GUARD,
    KNOWN,
    LARGE,
    LARGE_BUSY,
    RAW,
    SERVERS,
    SMALL,
    SMALL_BUSY,
    Requests,
)

_RANDOM_TARGETS_MS = {20: 0.5, 2_000: 25.0}
_STEP_IN_PROGRESS = 1.1
"""A search looks at its deadline between steps; a tenth of the budget is what a step may take."""
_READY_SECONDS, _MEMORY_MB = 0.5, 60.0
_MEDIAN_OF_RAW, _MEDIAN_OF_GO, _P99_OF_GO, _RATE_OF_GO = 1.5, 1.25, 1.2, 0.6


def at_most(value: float, target: float) -> str:
    """Return whether a target is met, and by how much it is missed if not."""
    return "[green]met[/]" if value <= target else f"[red]missed: {value / target:.2f} times[/]"


def at_least(value: float, target: float) -> str:
    """Return whether a target is met, and by how much it is missed if not."""
    return "[green]met[/]" if value >= target else f"[red]missed: {value / target:.2f} of it[/]"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title)
    for name in columns:
        is_text = name in {"load", "server", "set", "answers", "what", ""}
        table.add_column(name, justify="left" if is_text else "right", no_wrap=True)
    return table


def decisions_table(timings: Iterable[Timing]) -> Table:
    """Return the decisions: policy sets by size, hostile ones with their bound."""
    columns = ("policies", "set", "median ms", "slowest ms", "target ms", "", "answers")
    table = _table("Decision time: all required flows, before and after, states built anew", *columns)
    last = None
    for timing in timings:
        if last not in {None, timing.policies}:
            table.add_section()
        last = timing.policies
        table.add_row(*_decision_row(timing))
    table.caption = (
        "median: processor time; slowest: by the clock, whatever else runs here.\n"
        "random: any policies; narrow: each for one application, so that no single one settles a flow.\n"
        f"hostile: a budget of {BUDGET_SECONDS:g} s and the step in progress; 'too complex' is an answer."
    )
    return table


def _decision_row(timing: Timing) -> tuple[str, ...]:
    middle, slowest = timing.cpu_seconds * 1e3, timing.slowest_seconds * 1e3
    target, judged = "", ""
    if timing.shape.is_hostile:
        limit = BUDGET_SECONDS * 1e3 * _STEP_IN_PROGRESS
        within = "[green]within its bound[/]"
        target, judged = f"{limit:,.0f}", within if slowest <= limit else at_most(slowest, limit)
    elif timing.policies in _RANDOM_TARGETS_MS:
        limit = _RANDOM_TARGETS_MS[timing.policies]
        target, judged = f"{limit:g}", at_most(middle, limit)
    numbers = (f"{middle:,.2f}", f"{slowest:,.2f}")
    return (f"{timing.policies:,}", timing.shape.name, *numbers, target, judged, timing.answers)


def requests_table(measured: Requests) -> Table:
    """Return what each server needed under each load."""
    columns = ("load", "server", "p50 us", "p99 us", "req/s", "CPU us/req", "p50/raw", "p50/Go", "req/s/Go")
    table = _table("Requests over HTTPS, one core each; the guard's decision included", *columns)
    for case in CASES:
        raw, go = measured.best(case, RAW), measured.best(case, GO)
        for server in SERVERS:
            best = measured.best(case, server)
            absolute = (best.p50_us, best.p99_us, best.rps, best.cpu_us)
            ratios = (best.p50_us / raw.p50_us, best.p50_us / go.p50_us, best.rps / go.rps)
            numbers = (*(f"{figure:,.0f}" for figure in absolute), *(f"{ratio:.2f}" for ratio in ratios))
            table.add_row(case.title, server, *numbers, end_section=server is GO)
    table.caption = (
        "Load: size of a review x clients. guard: each object is new to it; known: the same 8 again.\n"
        "The best of all rounds counts: what else runs here can only make one slower."
    )
    return table


def targets_table(measured: Requests) -> Table:
    """Return the targets of requests and of the start, with what was measured beside them."""
    table = _table("Targets", "what", "measured", "target", "")
    for row in _targets(measured):
        table.add_row(*row)
    table.add_row("memory after all requests", f"{measured.resident_after_mb:.0f} MB", "", "")
    return table


def _targets(measured: Requests) -> Iterator[tuple[str, str, str, str]]:
    go = {case: measured.best(case, GO) for case in CASES}
    for server in (GUARD, KNOWN):
        best = {case: measured.best(case, server) for case in CASES}
        median = best[SMALL].p50_us
        yield _most(
            f"{server}: median at 3 KB / raw ASGI", median / measured.best(SMALL, RAW).p50_us, _MEDIAN_OF_RAW
        )
        yield _most(f"{server}: median at 3 KB / Go", median / go[SMALL].p50_us, _MEDIAN_OF_GO)
        yield _most(f"{server}: p99 at 60 KB / Go", best[LARGE].p99_us / go[LARGE].p99_us, _P99_OF_GO)
        for case in (SMALL_BUSY, LARGE_BUSY):
            what = f"{server}: req/s at {case.title} / Go"
            yield _least(what, best[case].rps / go[case].rps, _RATE_OF_GO)
            yield _least("  by processor time", go[case].cpu_us / best[case].cpu_us, _RATE_OF_GO)
    ready, memory = measured.ready_seconds, measured.resident_mb
    yield "ready after the start", f"{ready:.2f} s", f"{_READY_SECONDS} s", at_most(ready, _READY_SECONDS)
    yield "memory then", f"{memory:.1f} MB", f"{_MEMORY_MB:.0f} MB", at_most(memory, _MEMORY_MB)


def _most(what: str, value: float, target: float) -> tuple[str, str, str, str]:
    return what, f"{value:.2f}", f"<= {target:g}", at_most(value, target)


def _least(what: str, value: float, target: float) -> tuple[str, str, str, str]:
    return what, f"{value:.2f}", f">= {target:g}", at_least(value, target)
