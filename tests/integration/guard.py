"""The guard as a process of its own, over the live state of the control plane."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from app.shipped import DEPLOY
from tests.integration.balancer import balancer
from tests.kube.control_plane import ControlPlane
from tests.kube.webhook import register_webhook

ROOT = Path(__file__).resolve().parents[2]
_READY_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Guard:
    """A running guard: where it serves, and its process."""

    url: str
    health: str
    process: subprocess.Popen[str]

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        return "127.0.0.1", urlsplit(self.url).port or 0

    def metric(self, name: str) -> float:
        """Return a metric by its name and labels as they are written; 0 for one that is not there."""
        with urllib.request.urlopen(f"{self.health}/metrics", timeout=60) as answer:  # noqa: S310 - our own URL
            lines = answer.read().decode().splitlines()
        found = (line.rpartition(" ") for line in lines)
        return next((float(value) for key, _, value in found if key == name), 0.0)


def configuration() -> dict[str, Any]:
    """Return the ValidatingWebhookConfiguration that we ship, with ``failurePolicy: Fail``."""
    shipped: dict[str, Any] = yaml.safe_load((DEPLOY / "webhook.yaml").read_text())
    for webhook in shipped["webhooks"]:
        webhook["failurePolicy"] = "Fail"
    return shipped


def create_own_objects(control_plane: ControlPlane) -> None:
    """Create what the guard needs of its own objects to judge by the ledger."""
    for name in ("namespace", "ledger", "networkpolicy"):
        control_plane.apply((DEPLOY / f"{name}.yaml").read_text())


@contextmanager
def running_guard(control_plane: ControlPlane, folder: Path, **settings: Any) -> Iterator[Guard]:  # noqa: ANN401 - any setting
    """Start a guard of the control plane and wait until it is ready; end it afterwards."""
    serving = control_plane.authority.issue(folder, "guard", ("127.0.0.1", "localhost"))
    chosen = {
        "state": {"kubeconfig": str(control_plane.kubeconfig("admin"))},
        "tls": {"certFile": str(serving.certificate), "keyFile": str(serving.key)},
        **settings,
    }
    with guard_process(folder, chosen) as guard:
        yield guard


@contextmanager
def registered_replicas(
    control_plane: ControlPlane,
    folders: Sequence[Path],
    source: str,
    **settings: Any,  # noqa: ANN401 - any setting
) -> Iterator[list[Guard]]:
    """Run a replica for each folder, behind one address that the API server calls, from `source`."""
    with ExitStack() as stack:
        chosen = {"apiServer": {"sources": [source]}, **settings}
        guards = [stack.enter_context(running_guard(control_plane, folder, **chosen)) for folder in folders]
        stack.enter_context(registered(control_plane, guards))
        yield guards


@contextmanager
def registered(control_plane: ControlPlane, guards: Sequence[Guard]) -> Iterator[None]:
    """Have the API server call guards at one address, where each connection goes to the next of them."""
    backends = [guard.address for guard in guards]
    with balancer(backends) as (host, port):
        url = f"https://{host}:{port}"
        with register_webhook(control_plane, url, control_plane.ca_pem, configuration()):
            yield


@contextmanager
def guard_process(folder: Path, settings: dict[str, Any]) -> Iterator[Guard]:
    """Start `serve` with the settings, on free ports of loopback, and wait until it is ready; then end it."""
    config, log = folder / "settings.yaml", folder / "guard.log"
    listen = {"host": "127.0.0.1", "port": 0, "healthHost": "127.0.0.1", "healthPort": 0}
    config.write_text(yaml.safe_dump({"listen": listen, "drainSeconds": 0, **settings}))
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "app", "serve", "--config", str(config)],
            cwd=ROOT,
            stderr=stream,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        try:
            yield _when_ready(process, log)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _when_ready(process: subprocess.Popen[str], log: Path) -> Guard:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        ports = next((line for line in _lines(log) if line.get("msg") == "serving"), None)
        if ports is not None:
            guard = Guard(
                f"https://127.0.0.1:{ports['port']}", f"http://127.0.0.1:{ports['health_port']}", process
            )
            if _is_ready(guard):
                return guard
        time.sleep(0.05)
    raise RuntimeError(f"the guard is not ready: {log.read_text()[-3000:]}")


def _lines(log: Path) -> Iterator[dict[str, Any]]:
    for line in log.read_text().splitlines():
        if line.startswith("{") and line.endswith("}"):
            yield json.loads(line)


def _is_ready(guard: Guard) -> bool:
    try:
        with urllib.request.urlopen(f"{guard.health}/readyz", timeout=2) as answer:  # noqa: S310 - our own URL
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
