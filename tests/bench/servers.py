"""The servers that are measured, each a process of its own on one core."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.bench.bodies import standing_policies
from tests.kube.authority import ServingCertificate
from tests.kube.load import RunningWebhook

ROOT = Path(__file__).resolve().parents[2]
_READY_SECONDS = 20.0
_POLL_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class RunningGuard:
    """Where the guard serves, how long it took to be ready, and its memory then."""

    url: str
    pid: int
    ready_seconds: float
    resident_mb: float


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Start programs on one core: servers on the first, the load generator on another, if there is one."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {sorted(cores)[core % len(cores)]})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def write_state(folder: Path) -> Path:
    """Write the sample cluster with five more policies beside the baselines; return the folder."""
    state = folder / "state"
    shutil.copytree(ROOT / "deploy" / "sample", state)
    more = {"apiVersion": "v1", "kind": "List", "items": standing_policies()}
    (state / "more.yaml").write_text(yaml.safe_dump(more))
    return state


@contextmanager
def empty_asgi(files: ServingCertificate) -> Iterator[RunningWebhook]:
    """Run the empty ASGI handler; yield where."""
    command = [sys.executable, "-m", "tests.bench.empty", str(files.certificate), str(files.key)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            if process.stdout is None or not (url := process.stdout.readline().strip()):
                raise RuntimeError("the empty ASGI handler did not start")
            yield RunningWebhook(url, process.pid)
        finally:
            process.terminate()


@contextmanager
def guard(files: ServingCertificate, folder: Path) -> Iterator[RunningGuard]:
    """Run the guard over a state directory; yield it as soon as it says that it is ready."""
    config, log = folder / "settings.yaml", folder / "guard.log"
    state = folder / "state"
    settings = {
        "state": {"directory": str(state if state.exists() else write_state(folder))},
        "listen": {"host": "127.0.0.1", "port": 0, "healthHost": "127.0.0.1", "healthPort": 0},
        "tls": {"certFile": str(files.certificate), "keyFile": str(files.key)},
        "drainSeconds": 0,
        "apiServer": {"sources": ["10.20.0.10/32"]},
    }
    config.write_text(yaml.safe_dump(settings))
    command = [sys.executable, "-m", "app", "serve", "--config", str(config)]
    with log.open("w") as stream:
        began = time.perf_counter()
        process = subprocess.Popen(command, cwd=ROOT, stdout=stream, stderr=stream)
        try:
            port = _ready_port(process, log)
            yield RunningGuard(
                f"https://127.0.0.1:{port}/validate",
                process.pid,
                time.perf_counter() - began,
                resident_mb(process.pid),
            )
        finally:
            process.terminate()
            process.wait(20)


def resident_mb(pid: int, field: str = "VmRSS") -> float:
    """Return the resident memory of a process and its children in MB, NaN where the system does not tell.

    With ``VmHWM`` as ``field`` it is the most that each of them ever had.
    """
    return sum(_memory_mb(member, field) for member in _family(pid))


def _memory_mb(pid: int, field: str) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return float("nan")
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process and its children have taken, NaN where nobody tells."""
    return sum(map(_cpu_seconds, _family(pid)))


def _cpu_seconds(pid: int) -> float:
    try:
        threads = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/schedstat")]
    except OSError:
        return float("nan")
    return sum(int(thread.split()[0]) for thread in threads) / 1e9 if threads else float("nan")


def _family(pid: int) -> list[int]:
    """Return the process and all its descendants."""
    children = [
        int(child)
        for path in Path(f"/proc/{pid}/task").glob("*/children")
        for child in path.read_text().split()
    ]
    return [pid, *(member for child in children for member in _family(child))]


def _ready_port(process: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        ports = _ports(log)
        if ports is not None and _is_ready(ports["health_port"]):
            return int(ports["port"])
        time.sleep(_POLL_SECONDS)
    raise RuntimeError(f"the guard is not ready: {log.read_text()[-2000:]}")


def _ports(log: Path) -> dict[str, Any] | None:
    lines = [line for line in log.read_text().splitlines() if line.startswith("{") and line.endswith("}")]
    return next((one for line in lines if (one := json.loads(line)).get("msg") == "serving"), None)


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
