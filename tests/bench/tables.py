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
        for server in SERVERS:
            absolute = (
                f"{measured.middle(case, server, lambda one: one.p50_us):,.0f}",
                f"{measured.middle(case, server, lambda one: one.p99_us):,.0f}",
                f"{measured.middle(case, server, lambda one: one.rps):,.0f}",
                f"{measured.middle(case, server, lambda one: one.cpu_us):,.0f}",
            )
            ratios = (
                f"{measured.ratio(case, (server, RAW), lambda one: one.p50_us):.2f}",
                f"{measured.ratio(case, (server, GO), lambda one: one.p50_us):.2f}",
                f"{measured.ratio(case, (server, GO), lambda one: one.rps):.2f}",
            )
            table.add_row(case.title, server, *absolute, *ratios, end_section=server is GO)
    table.caption = (
        "Load: size of a review x clients. guard: each object is new to it; known: the same 8 again.\n"
        "Medians over the rounds; ratios are taken within each round first."
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
    for server in (GUARD, KNOWN):
        of_raw = measured.ratio(SMALL, (server, RAW), lambda one: one.p50_us)
        of_go = measured.ratio(SMALL, (server, GO), lambda one: one.p50_us)
        yield _most(f"{server}: median at 3 KB / raw ASGI", of_raw, _MEDIAN_OF_RAW)
        yield _most(f"{server}: median at 3 KB / Go", of_go, _MEDIAN_OF_GO)
        slow = measured.ratio(LARGE, (server, GO), lambda one: one.p99_us)
        yield _most(f"{server}: p99 at 60 KB / Go", slow, _P99_OF_GO)
        for case in (SMALL_BUSY, LARGE_BUSY):
            rate = measured.ratio(case, (server, GO), lambda one: one.rps)
            by_cpu = 1 / measured.ratio(case, (server, GO), lambda one: one.cpu_us)
            yield _least(f"{server}: req/s at {case.title} / Go", rate, _RATE_OF_GO)
            yield _least(f"{server}: the same by processor time", by_cpu, _RATE_OF_GO)
    ready, memory = measured.ready_seconds, measured.resident_mb
    yield "ready after the start", f"{ready:.2f} s", f"{_READY_SECONDS} s", at_most(ready, _READY_SECONDS)
    yield "memory then", f"{memory:.1f} MB", f"{_MEMORY_MB:.0f} MB", at_most(memory, _MEMORY_MB)


def _most(what: str, value: float, target: float) -> tuple[str, str, str, str]:
    return what, f"{value:.2f}", f"<= {target:g}", at_most(value, target)


def _least(what: str, value: float, target: float) -> tuple[str, str, str, str]:
    return what, f"{value:.2f}", f">= {target:g}", at_least(value, target)
