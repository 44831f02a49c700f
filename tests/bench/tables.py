"""What was measured, as tables: each number that has a target stands beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.table import Table

from tests.bench.decisions import BUDGET_SECONDS, Timing
from tests.bench.live import (
    CHANGES,
    CLIENTS,
    GATEKEEPER,
    HARMLESS,
    HAZARDOUS,
    NONE,
    REFUSED,
    LiveFigures,
)
from tests.bench.live import GUARD as LIVE_GUARD
from tests.bench.live import Case as LiveCase
from tests.bench.memory import MemoryFigures
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

_MORE_MS = {HARMLESS: 1.0, HAZARDOUS: 6.0}
_LIVE_RATE = {HARMLESS: 0.6, HAZARDOUS: 0.3}
_REFUSED_MS, _LIVE_CPU_MS, _P99_OF_MEDIAN = 150.0, 0.4, 3.0


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


def live_table(figures: LiveFigures) -> Table:
    """Return what changes on a real API server took."""
    columns = (
        "namespaces",
        "load",
        "server",
        "p50 ms",
        "p99 ms",
        "changes/s",
        "CPU ms",
        "more ms",
        "rate/none",
    )
    table = _table("Changes on a real API server with a writer beside them", *columns)
    for count in figures.resident_mb:
        for change in CHANGES:
            for clients in CLIENTS:
                case = LiveCase(count, change, clients)
                none = figures.best(case, NONE)
                for server in (NONE, LIVE_GUARD, GATEKEEPER):
                    if (best := figures.best(case, server)) is None:
                        continue
                    more = "" if none is None else f"{best.p50_ms - none.p50_ms:.2f}"
                    rate = "" if none is None else f"{best.rate / none.rate:.2f}"
                    numbers = (
                        f"{best.p50_ms:.2f}",
                        f"{best.p99_ms:.1f}",
                        f"{best.rate:,.0f}",
                        f"{best.cpu_ms:.2f}",
                    )
                    table.add_row(f"{count:,}", f"{change.name} x {clients}", server, *numbers, more, rate)
                table.add_section()
    table.caption = (
        "Load: kind of change x clients. CPU: of the webhook, for a change. more, rate: compared with none.\n"
        "The best of all rounds counts: what else runs here can only make one slower."
    )
    return table


def live_targets_table(figures: LiveFigures) -> Table:
    """Return the targets of the live path, with what was measured beside them."""
    table = _table("Targets of the live path", "what", "measured", "target", "")
    for count, memory in figures.resident_mb.items():
        for row in _live_targets(figures, count):
            table.add_row(*row)
        table.add_row(
            f"memory with {count:,} managed namespaces", f"{memory:.0f} MB", "", "", end_section=True
        )
    return table


def _live_targets(figures: LiveFigures, count: int) -> Iterator[tuple[str, str, str, str]]:
    for change in (HARMLESS, HAZARDOUS):
        what = f"{change.name}, {count:,} namespaces"
        one, many = (LiveCase(count, change, clients) for clients in CLIENTS)
        guard, none, peer = (figures.best(one, server) for server in (LIVE_GUARD, NONE, GATEKEEPER))
        busy, free = figures.best(many, LIVE_GUARD), figures.best(many, NONE)
        if guard is None or none is None or busy is None or free is None:
            continue
        yield _most(f"{what}: ms more at the median", guard.p50_ms - none.p50_ms, _MORE_MS[change])
        if change is HARMLESS:
            if peer is not None:
                yield _most(f"{what}: median / Gatekeeper's", guard.p50_ms / peer.p50_ms, 1.0)
            yield _most(f"{what}: CPU ms a review", guard.cpu_ms, _LIVE_CPU_MS)
        p99 = _P99_OF_MEDIAN * guard.p50_ms + none.p99_ms
        yield _most(f"{what}: p99 ms (3 medians and p99 without)", guard.p99_ms, p99)
        yield _least(
            f"{what}: changes/s of {CLIENTS[1]} clients / without", busy.rate / free.rate, _LIVE_RATE[change]
        )
    refused = figures.best(LiveCase(count, REFUSED, CLIENTS[0]), LIVE_GUARD)
    if refused is not None:
        yield _most(f"refused, {count:,} namespaces: median ms", refused.p50_ms, _REFUSED_MS)


def memory_table(figures: MemoryFigures) -> Table:
    """Return what the guard's memory is beside very many policies, all its processes together."""
    table = _table(f"Memory beside {figures.policies:,} policies", "what", "measured", "target", "")
    table.add_row("once it is ready", f"{figures.ready_mb:.0f} MB", "", "")
    most, limit = figures.most_mb, figures.limit_mb
    table.add_row("at the most", f"{most:.0f} MB", f"{limit:.0f} MB", at_most(most, limit))
    return table
