"""Latency and throughput over HTTPS: the guard next to an empty ASGI handler and an empty Go webhook."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench.bodies import write_bodies
from tests.bench.servers import RunningGuard, empty_asgi, guard, on_core, resident_mb
from tests.cluster.authority import Authority, ServingCertificate
from tests.cluster.load import Load, LoadReport, empty_go_webhook, generate_load

RAW, GUARD, KNOWN, GO = "raw ASGI", "guard", "guard, known", "Go net/http"
SERVERS = (RAW, GUARD, KNOWN, GO)
_FEW = 8


@dataclass(frozen=True, slots=True)
class Case:
    """A kind of load: the size of a review, how many clients, and how many requests make one run."""

    size: int
    clients: int
    requests: int
    bodies: int


# More bodies than the guard remembers objects (2,048, or 16 MiB): each object is new to it.
CASES = (
    Case(3_000, 1, 2_000, 2_200),
    Case(3_000, 16, 4_000, 2_200),
    Case(60_000, 1, 500, 700),
    Case(60_000, 16, 700, 700),
)


@dataclass(frozen=True, slots=True)
class Measured:
    """Medians over all runs of one server under one load."""

    p50_us: float
    p99_us: float
    rps: float


@dataclass(frozen=True, slots=True)
class Requests:
    """All measurements, and what the guard needed for its start."""

    by_case: dict[tuple[Case, str], Measured]
    ready_seconds: float
    resident_mb: float
    resident_after_mb: float


def measure_requests(folder: Path, rounds: int, tell: Callable[[str], None]) -> Requests:
    """Run every load against every server in turn, ``rounds`` times; raise RuntimeError at a wrong answer."""
    authority = Authority()
    files = authority.issue(folder, "bench", ("127.0.0.1", "localhost"))
    ca = folder / "ca.crt"
    ca.write_text(authority.pem)
    bodies = {
        size: write_bodies(folder / f"bodies-{size}", size, count)
        for size, count in {one.size: one.bodies for one in CASES}.items()
    }
    with on_core(0):
        starts = [_start(files, folder) for _ in range(2)]
    with ExitStack() as running:
        with on_core(0):
            started = running.enter_context(guard(files, folder))
            urls = {RAW: running.enter_context(empty_asgi(files)), GUARD: started.url, KNOWN: started.url}
            urls[GO] = running.enter_context(empty_go_webhook(files))
        runs: dict[tuple[Case, str], list[LoadReport]] = defaultdict(list)
        for number in range(rounds):
            tell(f"requests: round {number + 1} of {rounds}")
            for case in CASES:
                for server in SERVERS:
                    sent = bodies[case.size][:_FEW] if server is KNOWN else bodies[case.size]
                    load = Load(case.requests, case.clients, warmup=case.requests // 10)
                    with on_core(1):
                        report = generate_load(urls[server], ca, sent, load)
                    if report.errors:
                        raise RuntimeError(f"{server}: {report.errors} wrong answers: {report.first_error}")
                    runs[case, server].append(report)
        after = resident_mb(started.pid)
    starts.append(started)
    return Requests(
        {key: _medians(reports) for key, reports in runs.items()},
        median(one.ready_seconds for one in starts),
        median(one.resident_mb for one in starts),
        after,
    )


def _start(files: ServingCertificate, folder: Path) -> RunningGuard:
    """Start the guard and stop it again."""
    with guard(files, folder) as started:
        return started


def _medians(reports: list[LoadReport]) -> Measured:
    return Measured(
        median(one.p50_us for one in reports),
        median(one.p99_us for one in reports),
        median(one.rps for one in reports),
    )
