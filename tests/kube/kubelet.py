"""Scheduler and kubelets in one: every Pod that the cluster's controllers create runs as real processes here.

Pods are bound to the worker Nodes in turn. An image whose name ends in `netpol-guard` (with any registry and
tag) is the checkout; a test can name others. Any other image has no program: such a Pod gets an address, and
is ready.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from tests.kube.api import ApiClient
from tests.kube.container_specs import Image
from tests.kube.lan import Lan
from tests.kube.pods import Habits, Node, Pod
from tests.kube.watching import Change, Watch

GUARD = Image((sys.executable, "-m", "app"), ("serve",))
"""What the `Dockerfile` makes, here."""

WORKERS = ("worker-1", "worker-2")
_FIRST_HOST = 2
_HOSTS = 250
_POLL_SECONDS = 0.05


class KubeletError(RuntimeError):
    """What a test waited for did not come; the message has the Pods' states and the ends of their logs."""


class Kubelet:
    """Runs the Pods of one cluster."""

    def __init__(self, client: ApiClient, lan: Lan, folder: Path, api_servers: list[tuple[str, int]]) -> None:
        """Make the worker Nodes, and run the Pods that there are and that come.

        `api_servers` are what the Pods are told in `KUBERNETES_SERVICE_HOST` and `_PORT`, in turn. A test may
        change `habits`, for all Pods to come, or `habits_for`, which gets a Pod's manifest.
        """
        self.habits = Habits()
        self.habits_for: Callable[[Mapping[str, Any]], Habits] = lambda _pod: self.habits
        self.images: dict[str, Image] = {"netpol-guard": GUARD}
        self._api_servers = api_servers
        self._lan = lan
        self._nodes = [
            Node(name, lan.addresses(number, 1)[0], number, client, lan, self._image, folder)
            for number, name in enumerate(WORKERS, start=1)
        ]
        self._numbers = count()
        self._lock = threading.Lock()
        self._pods: dict[str, Pod] = {}
        self._client = client
        self._watch = Watch(client, "/api/v1/pods", self._on_change)

    def pods(self, namespace: str | None = None, labels: Mapping[str, str] | None = None) -> list[Pod]:
        """Return the Pods that run here, the oldest first, of a namespace and with these labels if given."""
        with self._lock:
            running = list(self._pods.values())
        return [
            each
            for each in running
            if namespace in {None, each.namespace} and (labels or {}).items() <= each.labels.items()
        ]

    def wait_until(self, is_so: Callable[[list[Pod]], bool], what: str, seconds: float = 180.0) -> None:
        """Wait until the Pods are as wanted; raise KubeletError, which names `what`, if they never are."""
        deadline = time.monotonic() + seconds
        while not is_so(self.pods()):
            if time.monotonic() > deadline:
                raise KubeletError(f"{what}: not within {seconds:.0f} s.\n{self.describe()}")
            time.sleep(_POLL_SECONDS)

    def describe(self) -> str:
        """Return the Pods' states and the ends of their logs, for a failed test."""
        return "\n".join(each.describe() for each in self.pods())

    def stop(self) -> None:
        """End every Pod at once and wait for all."""
        self._watch.stop()
        pods = self.pods()
        for each in pods:
            each.stop()
        for each in pods:
            each.join()

    def _on_change(self, change: Change, pod: dict[str, Any]) -> None:
        uid = pod["metadata"]["uid"]
        with self._lock:
            running = self._pods.get(uid)
        if change is Change.DELETED:
            if running is not None:
                running.stop()
                with self._lock:
                    del self._pods[uid]
        elif running is not None:
            running.update(pod)
        elif not pod["metadata"].get("deletionTimestamp"):
            self._run(pod)

    def _run(self, pod: dict[str, Any]) -> None:
        number = next(self._numbers)
        turn, place = divmod(number, len(self._nodes))
        node = self._nodes[place]
        metadata = pod["metadata"]
        binding = {
            "metadata": {"name": metadata["name"], "uid": metadata["uid"]},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node.name},
        }
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/binding"
        answer = self._client.request("POST", path, binding)
        if not answer.ok:
            return  # it went in the meantime
        station = self._lan.attach(node.number, _FIRST_HOST + turn % _HOSTS)
        api_server = self._api_servers[number % len(self._api_servers)]
        running = Pod(pod, node, station, api_server, habits=self.habits_for(pod))
        with self._lock:
            self._pods[metadata["uid"]] = running

    def _image(self, name: str) -> Image | None:
        plain = name.partition("@")[0].rpartition("/")[2].partition(":")[0]
        return self.images.get(plain)
