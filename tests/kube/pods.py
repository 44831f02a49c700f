"""One Pod on a Node: its address, volumes and containers, from the binding to the last word about it."""

from __future__ import annotations

import http.client
import shutil
import signal
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.kube.api import AWAY, ApiClient
from tests.kube.container import start
from tests.kube.container_specs import ContainerSpecs, Images
from tests.kube.containers import Container
from tests.kube.lan import Lan, Station
from tests.kube.processes import Process
from tests.kube.volumes import VolumeMissingError, Volumes

_TICK_SECONDS = 0.05
_TAIL = 3000
_STRATEGIC = "application/strategic-merge-patch+json"


@dataclass(slots=True)
class Habits:
    """What differs from kubelet to kubelet, and what a test may change at any time."""

    volume_seconds: float = 1.0
    """How often a Pod's volumes are brought up to date (a real kubelet: 60 to 90 s)."""
    restart_seconds: float = 1.0
    """How long a container that ended is left alone (a real kubelet: 10 s and more)."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables over those of the Pod, from the next start of a container on."""


@dataclass(frozen=True, slots=True)
class Node:
    """The Node that a Pod is bound to: its name, address and number in addresses, and what it works with."""

    name: str
    address: str
    number: int
    client: ApiClient
    lan: Lan
    images: Images
    folder: Path


class Pod:
    """A Pod that this kubelet runs, in a thread of its own."""

    def __init__(
        self,
        pod: Mapping[str, Any],
        node: Node,
        station: Station,
        api_server: tuple[str, int],
        *,
        habits: Habits,
    ) -> None:
        """Start the thread; the address is the Pod's from now on, and the habits are its own to change."""
        metadata = pod["metadata"]
        self.namespace = str(metadata["namespace"])
        self.name = str(metadata["name"])
        self.uid = str(metadata["uid"])
        self.node = node
        self.station = station
        self.habits = replace(habits)
        self.waits_for = ""
        self._folder = node.folder / self.uid
        self._folder.mkdir(parents=True)
        self._pod = _as_bound(pod, node, station)
        self._volumes = Volumes(node.client, self._pod, self._folder / "volumes")
        self._specs = ContainerSpecs(node.client, self._pod, self._volumes, api_server)
        self._containers: list[Container] = []
        self._reported: dict[str, Any] = {}
        self._volumes_at = float("-inf")
        self._volumes_lock = threading.Lock()
        self._terminate_at: float | None = None
        self._kill_at = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._live, name=f"pod {self.name}", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """The Pod's address in the primary family."""
        return self.station.addresses[0]

    @property
    def labels(self) -> dict[str, str]:
        """The Pod's labels."""
        return dict(self._pod["metadata"].get("labels") or {})

    @property
    def is_ready(self) -> bool:
        """Whether all its containers are ready."""
        return bool(self._containers) and all(each.is_ready for each in self._containers)

    @property
    def restarts(self) -> int:
        """How often its containers were started again."""
        return sum(each.restarts for each in self._containers)

    @property
    def processes(self) -> tuple[Process, ...]:
        """The programs that run now."""
        return tuple(
            each.process for each in self._containers if each.process is not None and each.is_running
        )

    def describe(self) -> str:
        """Return its state and the end of its log, for somebody who wonders what went wrong."""
        state = "ready" if self.is_ready else f"waits for {self.waits_for}" if self.waits_for else "not ready"
        where = f"{self.namespace}/{self.name} at {self.address}"
        return f"{where}: {state}, {self.restarts} restarts\n{self.log()[-_TAIL:]}"

    def log(self) -> str:
        """Return what all its containers have written in all their runs."""
        return "".join(path.read_text(errors="replace") for path in sorted(self._folder.glob("*.log")))

    def files(self, volume: str) -> dict[str, bytes]:
        """Return the files of a volume as the Pod sees them now, by name."""
        folder = self._volumes.path(volume)
        with self._volumes_lock:  # or a refresh would take them away from under us
            return {
                each.name: each.read_bytes() for each in folder.iterdir() if not each.name.startswith("..")
            }

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to its programs, as somebody on the Node would; they are started again after it."""
        for each in self._containers:
            each.send(number)

    def refresh_volumes(self) -> None:
        """Bring the volumes up to date, whatever the habit; afterwards no refresh is under way."""
        with self._volumes_lock:
            self._volumes.refresh()
            self._volumes_at = time.monotonic()

    def update(self, pod: Mapping[str, Any]) -> None:
        """Learn of a new version of the Pod; one with a `deletionTimestamp` starts to end."""
        if pod["metadata"].get("deletionTimestamp") and self._terminate_at is None:
            now = time.monotonic()
            self._kill_at = now + pod["metadata"].get("deletionGracePeriodSeconds", 30)
            self._terminate_at = now + _pre_stop_seconds(pod)

    def stop(self) -> None:
        """End at once, without a word to the API server, and let go of the address."""
        self._stop.set()

    def join(self) -> None:
        """Wait until nothing of it is left."""
        self._thread.join()

    def _live(self) -> None:
        self.node.lan.middle.namespace.stay()
        try:
            while not self._stop.is_set():
                with suppress(*AWAY):  # later again
                    self._tick()
                self._stop.wait(_TICK_SECONDS)
        finally:
            for process in self.processes:
                process.kill()
            self.node.lan.detach(self.station)
            shutil.rmtree(self._folder / "volumes", ignore_errors=True)

    def _tick(self) -> None:
        if self._terminate_at is not None:
            self._end()
            return
        self._refresh_volumes_if_due()
        for each in self._containers:
            each.supervise()
        self._report()

    def _refresh_volumes_if_due(self) -> None:
        with self._volumes_lock:
            now = time.monotonic()
            if now < self._volumes_at + self.habits.volume_seconds:
                return
            try:
                self._volumes.refresh()
            except VolumeMissingError as error:
                self.waits_for = str(error)
                return  # at the next tick again; containers wait for their volumes
            self._volumes_at = now
        self.waits_for = ""
        if not self._containers:
            specs = self._pod["spec"]["containers"]
            self._containers = [self._container(each) for each in specs]

    def _end(self) -> None:
        """Go one step further in the end: signal, wait, kill, and tell the API server when all is over."""
        now = time.monotonic()
        for each in self._containers:
            if each.is_running:
                each.probe()
        self._report()
        if not self.processes:
            query = {"gracePeriodSeconds": 0, "preconditions": {"uid": self.uid}}
            answer = self.node.client.request("DELETE", self._path(), query)
            if answer.ok or answer.status in {http.HTTPStatus.NOT_FOUND, http.HTTPStatus.CONFLICT}:
                self._stop.set()
        elif now >= self._kill_at:
            self.kill()
        elif self._terminate_at is not None and now >= self._terminate_at:
            self.kill(signal.SIGTERM)
            self._terminate_at = self._kill_at  # once is enough

    def _report(self) -> None:
        status = self._status()
        if status == self._reported:
            return
        answer = self.node.client.request(
            "PATCH", f"{self._path()}/status", {"status": status}, content_type=_STRATEGIC
        )
        if answer.ok:
            self._reported = status

    def _status(self) -> dict[str, Any]:
        is_ready = "True" if self.is_ready else "False"
        conditions = {
            "PodReadyToStartContainers": "True",
            "Initialized": "True",
            "ContainersReady": is_ready,
            "Ready": is_ready,
        }
        addresses = self._pod["status"]
        return {
            "phase": "Running" if self._containers else "Pending",
            "hostIP": addresses["hostIP"],
            "podIP": addresses["podIP"],
            "podIPs": addresses["podIPs"],
            "conditions": [{"type": kind, "status": value} for kind, value in conditions.items()],
            "containerStatuses": [each.status() for each in self._containers],
        }

    def _container(self, container: Mapping[str, Any]) -> Container:
        image = self.node.images(container["image"])
        if image is None:
            return Container(container, None, self.address, lambda: 0.0)
        return Container(
            container,
            lambda: start(
                self._specs.of(container, image, self.habits.environment),
                self._folder,
                self.station.namespace,
            ),
            self.address,
            lambda: self.habits.restart_seconds,
        )

    def _path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods/{self.name}"


def _as_bound(pod: Mapping[str, Any], node: Node, station: Station) -> dict[str, Any]:
    """Return the Pod as the downward API will see it: on its Node, with its addresses."""
    addresses = {
        "hostIP": node.address,
        "podIP": station.addresses[0],
        "podIPs": [{"ip": each} for each in station.addresses],
    }
    return {
        **pod,
        "spec": {**pod["spec"], "nodeName": node.name},
        "status": {**pod.get("status", {}), **addresses},
    }


def _pre_stop_seconds(pod: Mapping[str, Any]) -> float:
    """Return how long the slowest `preStop` of a Pod sleeps; nothing else is done there."""
    seconds = [0.0]
    for container in pod["spec"]["containers"]:
        hook = container.get("lifecycle", {}).get("preStop", {})
        if "sleep" in hook:
            seconds.append(float(hook["sleep"]["seconds"]))
        elif "exec" in hook and hook["exec"]["command"][0] == "sleep":
            seconds.append(float(hook["exec"]["command"][1]))
    return max(seconds)
