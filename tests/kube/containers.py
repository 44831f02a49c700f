"""One container of a Pod over its whole life: started, probed, started again, ended."""

from __future__ import annotations

import datetime as dt
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

from tests.kube.probes import Probe
from tests.kube.processes import Process

_PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


class Container:
    """A container; without a program (its image is none of ours) it just runs, and is ready."""

    def __init__(
        self,
        spec: Mapping[str, Any],
        start: Callable[[], Process] | None,
        address: str,
        restart_delay: Callable[[], float],
    ) -> None:
        """Nothing runs yet; `start` starts a run, `restart_delay` says how long after the end of the last."""
        self._spec = spec
        self._start = start
        self._address = address
        self._restart_delay = restart_delay
        self._process: Process | None = None
        self._probes: dict[str, Probe] = {}
        self._ended_at: float | None = None
        self._started_at = ""
        self._last_exit: dict[str, Any] | None = None
        self.restarts = 0

    @property
    def process(self) -> Process | None:
        """The program that runs now, or ran last; None before the first run and where there is no program."""
        return self._process

    @property
    def is_running(self) -> bool:
        """Whether the program runs."""
        return self._process is not None and self._process.is_running()

    @property
    def is_ready(self) -> bool:
        """Whether the container counts as ready: it runs, is started, and its readiness probe passes."""
        if self._start is None:
            return True
        return self.is_running and self._is_started and self._passes("readinessProbe")

    @property
    def _is_started(self) -> bool:
        return self._passes("startupProbe")

    def supervise(self) -> None:
        """Start the program where it does not run, else probe it; one that fails its liveness is ended."""
        if self._start is None:
            return
        if self.is_running:
            self.probe()
            if self._fails("startupProbe") or self._fails("livenessProbe"):
                self.send(signal.SIGTERM)
            return
        if self._process is not None and self._ended_at is None:
            self._note_exit(self._process)
        if self._ended_at is None or time.monotonic() >= self._ended_at + self._restart_delay():
            self._run()

    def probe(self) -> None:
        """Run the probes that are due; liveness and readiness wait for the start-up probe."""
        for kind, probe in self._probes.items():
            if kind == "startupProbe" and probe.passing:
                continue
            if kind == "startupProbe" or self._is_started:
                probe.run_if_due()

    def send(self, number: signal.Signals) -> None:
        """Send the program a signal, if it runs."""
        if self._process is not None and self._process.is_running():
            self._process.send(number)

    def status(self) -> dict[str, Any]:
        """Return the `containerStatus` as it is now."""
        state: dict[str, Any] = {"running": {"startedAt": self._started_at or _now()}}
        if self._start is not None and not self.is_running:
            reason = "ContainerCreating" if self._process is None else "CrashLoopBackOff"
            state = {"waiting": {"reason": reason}}
        status = {
            "name": self._spec["name"],
            "image": self._spec["image"],
            "imageID": self._spec["image"],
            "ready": self.is_ready,
            "started": self._start is None or (self.is_running and self._is_started),
            "restartCount": self.restarts,
            "state": state,
        }
        return status if self._last_exit is None else {**status, "lastState": {"terminated": self._last_exit}}

    def _run(self) -> None:
        if self._start is None:
            return
        ports = {
            each["name"]: int(each["containerPort"])
            for each in self._spec.get("ports", ())
            if each.get("name")
        }
        self.restarts += self._process is not None
        # Before the program, or the next run would look ready by the probes of the last.
        self._probes = {
            kind: Probe(self._spec[kind], ports, self._address) for kind in _PROBES if kind in self._spec
        }
        self._process = self._start()
        self._ended_at = None
        self._started_at = _now()

    def _note_exit(self, process: Process) -> None:
        code = process.exit_code or 0
        self._last_exit = {
            "exitCode": code if code >= 0 else 128 - code,  # as shells and runtimes count signals
            "reason": "Completed" if code == 0 else "Error",
            "startedAt": self._started_at,
            "finishedAt": _now(),
        }
        self._ended_at = time.monotonic()

    def _passes(self, kind: str) -> bool:
        if kind not in self._spec:
            return True
        return kind in self._probes and self._probes[kind].passing is True

    def _fails(self, kind: str) -> bool:
        return kind in self._probes and self._probes[kind].passing is False


def _now() -> str:
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
