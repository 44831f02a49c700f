"""What `make bench` measures with: the empty Go webhook and the load generator, both from `tests/tools`."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.kube.authority import ServingCertificate
from tests.kube.binaries import Program, ensure
from tests.kube.control_plane import ControlPlane


class LoadError(RuntimeError):
    """The webhook did not start, or the load could not be generated; the message says why."""


@dataclass(frozen=True, slots=True)
class LoadReport:
    """Latencies in microseconds, requests a second, and how many requests were allowed or went wrong."""

    p50_us: float
    p90_us: float
    p99_us: float
    max_us: float
    rps: float
    requests: int
    allowed: int
    errors: int
    first_error: str


@dataclass(frozen=True, slots=True)
class Load:
    """How much: requests in all (after a warm-up that is not measured) by that many clients at a time."""

    requests: int
    clients: int = 1
    warmup: int = 0


@dataclass(frozen=True, slots=True)
class ApiCall:
    """A request to an API server, and the status it is to be answered with.

    In `path` and `body` the text `{number}` stands for the number of the request, from 1.
    """

    method: str
    path: str
    body: Mapping[str, Any] = field(default_factory=dict)
    type: str = "application/json"
    status: int = 200


@dataclass(frozen=True, slots=True)
class RunningWebhook:
    """Where a webhook listens, and which process it is."""

    url: str
    pid: int


@contextmanager
def empty_go_webhook(files: ServingCertificate, address: str = "127.0.0.1") -> Iterator[RunningWebhook]:
    """Run the webhook that decodes a review, decides nothing and allows everything; yield where."""
    command = [
        ensure(Program.HOOKBENCH),
        "-addr",
        f"{address}:0",
        "-cert",
        files.certificate,
        "-key",
        files.key,
    ]
    with subprocess.Popen(
        [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield RunningWebhook(_first_line(process), process.pid)
        finally:
            process.terminate()


def generate_load(url: str, ca_file: Path, bodies: Sequence[Path], load: Load) -> LoadReport:
    """Send AdmissionReviews to the webhook, file by file in turn; raise LoadError if that cannot start.

    Every answer must have status 200 and echo the uid, or it counts as an error. `url` must be on loopback.
    """
    amount = ["-n", str(load.requests), "-c", str(load.clients), "-warmup", str(load.warmup)]
    files = [argument for body in bodies for argument in ("-body", str(body))]
    command = [str(ensure(Program.LOADGEN)), "-url", url, "-ca", str(ca_file), *amount, *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LoadError(done.stderr.strip())
    return LoadReport(**json.loads(done.stdout))


def call_api(control_plane: ControlPlane, calls: Sequence[ApiCall], load: Load) -> LoadReport:
    """Send each client's call again and again as the admin; raise LoadError at an unexpected answer."""
    amount = ["-n", str(load.requests), "-c", str(load.clients), "-warmup", str(load.warmup)]
    with _caller(control_plane, calls, amount) as process:
        told, failed = process.communicate()
    if process.returncode != 0:
        raise LoadError(failed.strip())
    report = LoadReport(**json.loads(told))
    if report.errors:
        raise LoadError(f"{calls[0].method} {calls[0].path}: {report.errors} wrong: {report.first_error}")
    return report


@contextmanager
def calling_api(control_plane: ControlPlane, call: ApiCall, calls_a_second: int) -> Iterator[None]:
    """Have somebody send a call so many times a second meanwhile."""
    endless = ["-n", "10000000", "-c", "4", "-limit", "24h", "-rate", str(calls_a_second)]
    with _caller(control_plane, [call], endless) as process:
        try:
            yield
            if process.poll() is not None:
                raise LoadError(process.communicate()[1].strip())
        finally:
            process.kill()


@contextmanager
def _caller(
    control_plane: ControlPlane, calls: Sequence[ApiCall], amount: Sequence[str]
) -> Iterator[subprocess.Popen[str]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="netpol-guard-calls-")))
        token = folder / "token"
        token.write_text(control_plane.token())
        command = [str(ensure(Program.LOADGEN)), "-url", control_plane.url, "-ca", str(control_plane.ca_file)]
        for number, call in enumerate(calls):
            file = folder / f"{number}.json"
            file.write_text(json.dumps(asdict(call)))
            amount = [*amount, "-call", str(file)]
        yield stack.enter_context(
            subprocess.Popen(
                [*command, "-token", str(token), *amount],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        )


def _first_line(process: subprocess.Popen[str]) -> str:
    """Return the line that says where the webhook listens, or raise LoadError with what it wrote instead."""
    if process.stdout is None or process.stderr is None:
        message = "the webhook was started without pipes"
        raise LoadError(message)
    line = process.stdout.readline()  # ends with the line, or with the program
    if not line:
        raise LoadError(process.stderr.read().strip())
    return line.strip()
