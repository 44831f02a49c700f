"""A whole cluster for the tests, on this machine: control plane, network, Nodes, and Pods that really run.

    with Cluster() as cluster:
        cluster.guard("bootstrap", "--image", IMAGE, "--yes")
        cluster.kubectl("get", "pods", "--all-namespaces")

README.md beside this file says what is real and what is not, and how to use it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.kube import accounts
from tests.kube.api import ApiClient
from tests.kube.commands import Ports
from tests.kube.container import CHECKOUT
from tests.kube.control_plane import ControlPlane, Member, Network
from tests.kube.history import PolicyHistory
from tests.kube.kubelet import WORKERS, Kubelet
from tests.kube.lan import Family, Lan, Station

IMAGE = "registry.example/netpol-guard:test"
"""An image name that the kubelet takes for the checkout."""

PORTS = Ports(etcd=2379, etcd_peers=2380, api_server=6443, controller_manager=10257)
DRAINED_AT_ONCE = {"NETPOL_GUARD_DRAIN_SECONDS": "1"}
"""For the guard's Pods where EndpointSlices do not lag behind them: nobody calls those that are gone."""
CONTROL_PLANE_LABEL = "node-role.kubernetes.io/control-plane"
_FIRST_API_SERVER = 11
_OUTSIDE = 200
_COMMAND_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Shape:
    """What kind of cluster: its IP families, the primary first, and how many API servers it has.

    With `hidden_source`, the connections of the last API server come from an address that no EndpointSlice
    and no Node lists. EndpointSlices lag behind their Pods by `endpoint_lag` seconds.
    """

    families: tuple[Family, ...] = (Family.IPV4,)
    api_servers: int = 1
    hidden_source: bool = False
    endpoint_lag: float = 0.0


@dataclass(frozen=True, slots=True)
class ApiServer:
    """An API server of the cluster: where clients reach it, and where its calls to webhooks come from."""

    url: str
    address: str
    sources: tuple[str, ...]


class Cluster:
    """A running cluster; a context manager that starts it and takes everything away again."""

    def __init__(self, shape: Shape | None = None) -> None:
        """Nothing is started yet."""
        self.shape = shape or Shape()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Start everything; raise NamespaceError where network namespaces cannot be made."""
        with ExitStack() as stack:
            self._folder = Path(tempfile.mkdtemp(prefix="netpol-guard-nodes-"))
            stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
            self._lan = stack.enter_context(Lan(self.shape.families))
            stations = self._stations()
            sources = [station.addresses for station in stations]
            if self.shape.hidden_source:
                sources[-1] = self._lan.hide_behind(stations[-1], 0, _FIRST_API_SERVER + len(stations) - 1)
            self.control_plane = stack.enter_context(ControlPlane(self._network(stations)))
            self.api_servers = tuple(
                ApiServer(url, station.addresses[0], each)
                for url, station, each in zip(self.control_plane.urls, stations, sources, strict=True)
            )
            self._make_nodes(stations)
            reached = [(each.address, PORTS.api_server) for each in self.api_servers]
            self.kubelet = Kubelet(self.client(), self._lan, self._folder, reached)
            if not self.shape.endpoint_lag:
                self.kubelet.habits.environment = DRAINED_AT_ONCE
            stack.callback(self.kubelet.stop)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything."""
        self._stack.close()

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Move the calling thread, and what it starts meanwhile, into the cluster's network."""
        with self._lan.middle.namespace.entered():
            yield

    def attach_outside(self, unreachable: Sequence[str] = ()) -> Station:
        """Return a host on the cluster's network that is no Node, and cannot reach some of the addresses."""
        station = self._lan.attach(0, _OUTSIDE)
        station.namespace.ip(*(f"route add unreachable {address}" for address in unreachable))
        return station

    def kubectl(
        self, *args: str, user: str = accounts.ADMIN, stdin: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run the real kubectl, see `ControlPlane.kubectl`."""
        return self.control_plane.kubectl(*args, user=user, stdin=stdin, check=check)

    def apply(self, *objects: Mapping[str, Any], user: str = accounts.ADMIN) -> None:
        """Run `kubectl apply` with the objects."""
        listed = {"apiVersion": "v1", "kind": "List", "items": objects}
        self.control_plane.apply(json.dumps(listed), user=user)

    def client(self, user: str = accounts.ADMIN, member: int = 0) -> ApiClient:
        """Return a client for plain requests to one of the API servers, usable from any network."""
        return self.control_plane.client(user, member)

    def kubeconfig(self, user: str = accounts.ADMIN, member: int = 0) -> Path:
        """Return the user's kubeconfig; its API server can be reached in the cluster's network alone."""
        return self.control_plane.kubeconfig(user, member)

    @contextmanager
    def watch_policies(self) -> Iterator[PolicyHistory]:
        """Record every state of NetworkPolicies and Namespaces while the body runs."""
        sources = [source for each in self.api_servers for source in each.sources]
        history = PolicyHistory(self.client(), sources)
        try:
            yield history
        finally:
            history.finish()

    def guard(
        self,
        *args: str,
        kubeconfig: Path | None = None,
        stdin: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run `netpol-guard` with these arguments in the cluster's network, as the admin unless told."""
        with self.entered():
            return subprocess.run(
                self.guard_command(*args),
                cwd=CHECKOUT,
                env={**self.guard_environment(kubeconfig), **(environment or {})},
                input=stdin,
                capture_output=True,
                text=True,
                check=False,
                timeout=_COMMAND_SECONDS,
            )

    @contextmanager
    def guard_started(self, *args: str, kubeconfig: Path | None = None) -> Iterator[subprocess.Popen[str]]:
        """Start `netpol-guard` in the cluster's network, for a test that interrupts it or talks to it."""
        with self.entered():
            process = subprocess.Popen(
                self.guard_command(*args),
                cwd=CHECKOUT,
                env=self.guard_environment(kubeconfig),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        with process:
            try:
                yield process
            finally:
                process.kill()

    @staticmethod
    def guard_command(*args: str) -> list[str]:
        """Return the command line that `guard` runs."""
        return [sys.executable, "-m", "app", *args]

    def guard_environment(self, kubeconfig: Path | None = None) -> dict[str, str]:
        """Return the environment in which `guard` runs."""
        return {
            "HOME": str(self._folder),
            "KUBECONFIG": str(kubeconfig or self.kubeconfig()),
            "PATH": os.environ["PATH"],
            "PYTHONUNBUFFERED": "1",
            "PYTHONFAULTHANDLER": "1",
            "COLUMNS": "200",
        }

    def _stations(self) -> list[Station]:
        if self.shape.api_servers == 1 and not self.shape.hidden_source:
            return [self._lan.middle]
        return [self._lan.attach(0, _FIRST_API_SERVER + each) for each in range(self.shape.api_servers)]

    def _network(self, stations: list[Station]) -> Network:
        members = [
            Member(each.namespace, bind=each.addresses[0], advertise=each.addresses[0]) for each in stations
        ]
        return Network(
            host=self._lan.middle.namespace,
            bind=self._lan.middle.addresses[0],
            services=tuple(family.services for family in self.shape.families),
            members=tuple(members),
            ports=PORTS,
            endpoint_lag=self.shape.endpoint_lag,
        )

    def _make_nodes(self, stations: list[Station]) -> None:
        for number, station in enumerate(stations, start=1):
            self._make_node(f"control-plane-{number}", station.addresses, {CONTROL_PLANE_LABEL: ""})
        for number, name in enumerate(WORKERS, start=1):
            pods = [family.pods(number) for family in self.shape.families]
            self._make_node(name, self._lan.addresses(number, 1), {}, pods)

    def _make_node(
        self, name: str, addresses: tuple[str, ...], labels: dict[str, str], pods: list[str] | None = None
    ) -> None:
        spec = {"podCIDR": pods[0], "podCIDRs": pods} if pods else {}
        all_labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", **labels}
        client = self.client()
        made = client.request(
            "POST", "/api/v1/nodes", {"metadata": {"name": name, "labels": all_labels}, "spec": spec}
        )
        status = {
            "addresses": [
                *({"type": "InternalIP", "address": each} for each in addresses),
                {"type": "Hostname", "address": name},
            ],
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
        }
        patched = client.request(
            "PATCH",
            f"/api/v1/nodes/{name}/status",
            {"status": status},
            content_type="application/merge-patch+json",
        )
        if not (made.ok and patched.ok):
            raise RuntimeError(f"the Node {name}: {made.text} {patched.text}")
