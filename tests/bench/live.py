"""Changes on a real API server: without a webhook, with the guard, and with Gatekeeper where there is one.

Somebody else writes 200 times a second all the while, as on any cluster with some nodes: without that the API
server's caches are never behind, and whatever waits for them looks a hundred times faster than it is.
Each load is run with every kind of admission in turn, again and again, and the best run of each counts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.gatekeeper import gatekeeper, gatekeeper_binary, install_gatekeeper
from tests.bench.servers import cpu_seconds, resident_mb
from tests.integration.decisions.objects import (
    API_SERVER,
    MERGE,
    NAMESPACES,
    POLICIES,
    Object,
    baselines,
    create,
    path_of,
    policy,
)
from tests.integration.guard import configuration, create_own_objects, running_guard
from tests.kube.control_plane import ControlPlane
from tests.kube.load import ApiCall, Load, LoadReport, call_api, calling_api
from tests.kube.webhook import MANAGED_LABEL, register_webhook

NONE, GUARD, GATEKEEPER = "no webhook", "guard", "Gatekeeper"
COUNTS = (2, 2_000)
CLIENTS = (1, 8)
WRITES_A_SECOND = 200
NAMED = "bench-{number}"
_MAKERS = 8
_NOISE = ApiCall("PATCH", "/api/v1/namespaces/default/configmaps/noise", {"data": {"n": "{number}"}}, MERGE)
_DENIED = {"policyTypes": ["Ingress"]}


@dataclass(frozen=True, slots=True)
class Change:
    """A kind of change, made again and again: the request of one client, and how many make one run."""

    name: str
    call: Callable[[Object], ApiCall]
    requests: int


def _labelled(own: Object) -> ApiCall:
    return ApiCall("PATCH", path_of(own), {"metadata": {"labels": {"number": "n{number}"}}}, MERGE)


def _selecting(own: Object) -> ApiCall:
    return ApiCall(
        "PATCH", path_of(own), {"spec": {"podSelector": {"matchLabels": {"app": "n{number}"}}}}, MERGE
    )


def _deleting_baseline(own: Object) -> ApiCall:
    return ApiCall("DELETE", path_of(baselines(own["metadata"]["namespace"])[1]), status=403)


HARMLESS = Change("harmless", _labelled, 800)
HAZARDOUS = Change("hazardous", _selecting, 400)
REFUSED = Change("refused", _deleting_baseline, 80)
CHANGES = (HARMLESS, HAZARDOUS, REFUSED)


@dataclass(frozen=True, slots=True)
class Case:
    """A load: how many managed namespaces there are, which change, and how many clients make it at a time."""

    namespaces: int
    change: Change
    clients: int


@dataclass(frozen=True, slots=True)
class Run:
    """One run; ``cpu_ms`` is the webhook's processor time for a change."""

    p50_ms: float
    p99_ms: float
    rate: float
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class LiveFigures:
    """All runs, and the guard's memory with so many managed namespaces."""

    runs: dict[tuple[Case, str], list[Run]] = field(default_factory=lambda: defaultdict(list))
    resident_mb: dict[int, float] = field(default_factory=dict)

    def best(self, case: Case, server: str) -> Run | None:
        """Return the best of each measure over all turns, None where nothing was measured."""
        if (runs := self.runs.get((case, server))) is None:
            return None
        return Run(
            min(run.p50_ms for run in runs),
            min(run.p99_ms for run in runs),
            max(run.rate for run in runs),
            min(run.cpu_ms for run in runs),
        )


def make_namespaces(control_plane: ControlPlane, count: int) -> None:
    """Make managed namespaces with both baselines, `bench-1` and so on, and the guard's own objects."""
    create_own_objects(control_plane)
    metadata = {"name": NAMED, "labels": {MANAGED_LABEL: "true"}}
    made = [
        (NAMESPACES, {"metadata": metadata}),
        *((POLICIES.format(NAMED), each) for each in baselines(NAMED)),
    ]
    for path, body in made:
        call_api(control_plane, [ApiCall("POST", path, body, status=201)], Load(count, _MAKERS))


class _Live:
    """A control plane with so many managed namespaces, and what was measured on it."""

    def __init__(self, control_plane: ControlPlane, namespaces: int, figures: LiveFigures) -> None:
        self._control_plane = control_plane
        self._count = namespaces
        self._figures = figures
        self._gatekeeper = gatekeeper_binary()
        self._own = [
            policy(f"bench-{client % namespaces + 1}", f"web-{client}", _DENIED)
            for client in range(max(CLIENTS))
        ]

    def fill(self) -> None:
        """Make the namespaces, each with both baselines, and the policies that are changed."""
        make_namespaces(self._control_plane, self._count)
        if self._gatekeeper is not None:
            install_gatekeeper(self._control_plane, self._gatekeeper)
        noise = ApiCall("POST", _NOISE.path.rpartition("/")[0], {"metadata": {"name": "noise"}}, status=201)
        self._send([noise], Load(1))
        create(self._control_plane, *self._own)

    def round(self, folder: Path) -> None:
        """Run every load once with every kind of admission."""
        for name in (NONE, GUARD) if self._gatekeeper is None else (NONE, GUARD, GATEKEEPER):
            self._turn(name, folder)

    def _turn(self, name: str, folder: Path) -> None:
        with self._admission(name, folder) as pid:
            for change in CHANGES:
                if change is REFUSED and name != GUARD:
                    continue
                for clients in CLIENTS:
                    case = Case(self._count, change, clients)
                    self._figures.runs[case, name].append(self._run(case, pid))
            if name == GUARD and pid is not None:
                self._figures.resident_mb[self._count] = resident_mb(pid)

    @contextmanager
    def _admission(self, name: str, folder: Path) -> Iterator[int | None]:
        """Have changes judged so; yield the process that judges."""
        plane = self._control_plane
        if name == GUARD:
            sources = {"sources": [API_SERVER]}
            with (
                running_guard(plane, folder, apiServer=sources) as guard,
                register_webhook(plane, guard.url, plane.ca_pem, configuration()),
            ):
                yield guard.process.pid
        elif name == GATEKEEPER and self._gatekeeper is not None:
            with gatekeeper(plane, self._gatekeeper, folder, "bench-1") as pid:
                yield pid
        else:
            yield None

    def _run(self, case: Case, pid: int | None) -> Run:
        load = Load(case.change.requests, case.clients, warmup=case.change.requests // 10)
        began = 0.0 if pid is None else cpu_seconds(pid)
        report = self._send([case.change.call(own) for own in self._own], load)
        cpu = 0.0 if pid is None else cpu_seconds(pid) - began
        return Run(
            report.p50_us / 1e3, report.p99_us / 1e3, report.rps, cpu / (load.requests + load.warmup) * 1e3
        )

    def _send(self, calls: Sequence[ApiCall], load: Load) -> LoadReport:
        return call_api(self._control_plane, calls, load)


def measure_live(
    folder: Path, rounds: int, counts: Sequence[int], tell: Callable[[str], None]
) -> LiveFigures:
    """Run every load with every kind of admission in turn, with so many managed namespaces each time.

    Raises ``LoadError`` at a wrong answer.
    """
    figures = LiveFigures()
    for count in counts:
        tell(f"live: {count:,} managed namespaces are made")
        with ControlPlane() as control_plane:
            live = _Live(control_plane, count, figures)
            live.fill()
            with calling_api(control_plane, _NOISE, WRITES_A_SECOND):
                for number in range(rounds):
                    tell(f"live: {count:,} managed namespaces, round {number + 1} of {rounds}")
                    live.round(folder)
    return figures
