"""Latency and throughput over HTTPS: the guard next to an empty ASGI handler and an empty Go webhook.

Every load is run against every server in turn, again and again, and the best run of each counts: whatever
else the machine does can only make a run slower.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench.bodies import write_bodies
from tests.bench.servers import RunningGuard, cpu_seconds, empty_asgi, guard, on_core, resident_mb
from tests.kube.authority import Authority, ServingCertificate
from tests.kube.load import Load, RunningWebhook, empty_go_webhook, generate_load

RAW, GUARD, KNOWN, GO = "raw ASGI", "guard", "guard, known", "Go net/http"
SERVERS = (RAW, GUARD, KNOWN, GO)
_FEW = 8


@dataclass(frozen=True, slots=True)
class Case:
    """A kind of load: the size of a review, how many clients, and how many requests make one run."""

    size: int
    clients: int
    requests: int

    @property
    def title(self) -> str:
        """The load in words."""
        return f"{self.size // 1000} KB x {self.clients}"


SMALL, SMALL_BUSY = Case(3_000, 1, 1_500), Case(3_000, 16, 3_000)
LARGE, LARGE_BUSY = Case(60_000, 1, 400), Case(60_000, 16, 600)
CASES = (SMALL, SMALL_BUSY, LARGE, LARGE_BUSY)
# More than the guard remembers to have seen: each object is new to it.
_BODIES = {3_000: 4_500, 60_000: 700}


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one load against one server; ``cpu_us`` is the server's processor time for a request."""

    p50_us: float
    p99_us: float
    rps: float
    cpu_us: float


@dataclass(frozen=True, slots=True)
class Requests:
    """All runs in the order of the turns, and what the guard needed for its start."""

    runs: dict[tuple[Case, str], list[Run]]
    ready_seconds: float
    resident_mb: float
    resident_after_mb: float

    def best(self, case: Case, server: str) -> Run:
        """Return the best of each measure over all turns."""
        runs = self.runs[case, server]
        return Run(
            min(run.p50_us for run in runs),
            min(run.p99_us for run in runs),
            max(run.rps for run in runs),
            min(run.cpu_us for run in runs),
        )


def measure_requests(folder: Path, rounds: int, tell: Callable[[str], None]) -> Requests:
    """Run every load against every server in turn, ``rounds`` times; raise RuntimeError at a wrong answer."""
    authority = Authority()
    files = authority.issue(folder, "bench", ("127.0.0.1", "localhost"))
    ca = folder / "ca.crt"
    ca.write_text(authority.pem)
    bodies = {size: write_bodies(folder / f"bodies-{size}", size, count) for size, count in _BODIES.items()}
    with on_core(0):
        starts = [_start(files, folder) for _ in range(4)]
    runs: dict[tuple[Case, str], list[Run]] = defaultdict(list)
    with ExitStack() as running:
        with on_core(0):
            started = running.enter_context(guard(files, folder))
            servers = {RAW: running.enter_context(empty_asgi(files))}
            servers[GUARD] = servers[KNOWN] = RunningWebhook(started.url, started.pid)
            servers[GO] = running.enter_context(empty_go_webhook(files))
        for number in range(rounds):
            tell(f"requests: round {number + 1} of {rounds}")
            for case in CASES:
                for name, server in servers.items():
                    sent = bodies[case.size][:_FEW] if name is KNOWN else bodies[case.size]
                    runs[case, name].append(_run(case, server, ca, sent))
        after = resident_mb(started.pid)
    starts.append(started)
    return Requests(
        runs,
        min(start.ready_seconds for start in starts),
        median(start.resident_mb for start in starts),
        after,
    )


def _run(case: Case, server: RunningWebhook, ca: Path, bodies: Sequence[Path]) -> Run:
    load = Load(case.requests, case.clients, warmup=case.requests // 10)
    began = cpu_seconds(server.pid)
    with on_core(1):
        report = generate_load(server.url, ca, bodies, load)
    cpu = cpu_seconds(server.pid) - began
    if report.errors:
        raise RuntimeError(f"{server.url}: {report.errors} wrong answers: {report.first_error}")
    return Run(report.p50_us, report.p99_us, report.rps, cpu / (load.requests + load.warmup) * 1e6)


def _start(files: ServingCertificate, folder: Path) -> RunningGuard:
    """Start the guard and stop it again."""
    with guard(files, folder) as started:
        return started
