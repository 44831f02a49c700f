"""A control plane on one machine, without containers: etcd, kube-apiserver and kube-controller-manager.

    with ControlPlane() as cluster:
        cluster.kubectl("get", "namespaces")

Everything is real but nodes: namespaces are really deleted, RBAC really applies, TLS is really verified.
"""

from __future__ import annotations

import atexit
import http.client
import ipaddress
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric import ec

from tests.kube import accounts, commands
from tests.kube.accounts import Accounts
from tests.kube.api import ApiClient, ApiResponse
from tests.kube.authority import Authority, write_private_key
from tests.kube.binaries import Program, ensure
from tests.kube.hosts import Host
from tests.kube.processes import Process, free_ports, own_loopback
from tests.kube.writer import Writer

HERE = Path(__file__).resolve().parent
READY_SECONDS = 180.0
KUBECTL_SECONDS = 240.0


@dataclass(frozen=True, slots=True)
class Member:
    """An API server: where it runs, listens (`bind`), and which address `default/kubernetes` lists for it.

    On loopback, where nothing connects to it, that is one that is reserved for documentation: loopback
    addresses are not valid in endpoints.
    """

    host: Host = field(default_factory=Host)
    bind: str = "127.0.0.1"
    advertise: str = "192.0.2.1"


@dataclass(frozen=True, slots=True)
class Network:
    """The addresses of a control plane.

    etcd and the controller manager run on `host` and listen on `bind`; the tests' clients start there too.
    With two ranges of Services (the primary family's first), Services can be dual stack.
    """

    host: Host = field(default_factory=Host)
    bind: str = "127.0.0.1"
    services: tuple[str, ...] = ("10.96.0.0/16",)
    members: tuple[Member, ...] = (Member(),)
    ports: commands.Ports | None = None
    """Fixed where the hosts are the tests' own; else any that are free."""
    endpoint_lag: float = 0.0
    """How many seconds EndpointSlices lag behind their Pods, as they do in large clusters."""
    controllers: commands.ControllerAccounts = commands.ControllerAccounts.EACH

    @classmethod
    def on_loopback(cls, controllers: commands.ControllerAccounts = commands.ControllerAccounts.EACH) -> Self:
        """Return one with a loopback address of its own, so that runs side by side never meet."""
        address = own_loopback()
        return cls(bind=address, members=(Member(bind=address),), controllers=controllers)

    @property
    def kubernetes_service(self) -> str:
        """The first address of the Service range, which `default/kubernetes` gets."""
        return str(ipaddress.ip_network(self.services[0])[1])


class KubectlError(RuntimeError):
    """kubectl ended with an error; the message is what it printed."""


class ControlPlane:
    """A running control plane; a context manager that starts it and stops every program again."""

    def __init__(self, network: Network | None = None) -> None:
        """Nothing is started or written yet."""
        self.network = network or Network.on_loopback()
        self.authority = Authority()
        self._running: list[Process] = []
        self._writer: Writer | None = None
        self._kubeconfigs: dict[tuple[str, int], Path] = {}

    def __enter__(self) -> Self:
        """Start everything and return when all answer, RBAC is in force, and nothing changes by itself."""
        self.folder = Path(tempfile.mkdtemp(prefix="netpol-guard-cluster-"))
        atexit.register(self.stop)
        try:
            self._prepare()
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything."""
        self.stop()

    @property
    def ca_pem(self) -> str:
        """The certificate of the authority that signed the API server's certificate."""
        return self.authority.pem

    @property
    def processes(self) -> tuple[Process, ...]:
        """The running programs, in the order in which they were started."""
        return tuple(self._running)

    def token(self, user: str = accounts.ADMIN) -> str:
        """Return the user's bearer token."""
        return self._accounts.token(user)

    @property
    def url(self) -> str:
        """Where the first API server serves."""
        return self.urls[0]

    def kubeconfig(self, user: str = accounts.ADMIN, member: int = 0) -> Path:
        """Return the user's kubeconfig file for an API server; it carries the certificate authority."""
        known = self._kubeconfigs
        if (user, member) not in known:
            name = f"{user}-{member}" if member else user
            known[user, member] = self._accounts.write_kubeconfig(
                name, self.urls[member], self.ca_file, token=self.token(user)
            )
        return known[user, member]

    def service_account_kubeconfig(self, namespace: str, name: str) -> Path:
        """Return a kubeconfig file with a token of the (existing) ServiceAccount."""
        token = self.kubectl(
            "create", "token", name, "--namespace", namespace, "--duration=4h"
        ).stdout.strip()
        return self._accounts.write_kubeconfig(f"{namespace}/{name}", self.url, self.ca_file, token=token)

    def client(self, user: str = accounts.ADMIN, member: int = 0) -> ApiClient:
        """Return a client for plain requests with the user's token, to one of the API servers."""
        return ApiClient(self.urls[member], self.ca_pem, self.token(user), host=self.network.host)

    def kubectl(
        self, *args: str, user: str = accounts.ADMIN, stdin: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run the real kubectl as the user; raise KubectlError if it fails, unless `check` is off."""
        environment = {
            "HOME": str(self.folder),
            "KUBECONFIG": str(self.kubeconfig(user)),
            "PATH": "/usr/bin:/bin",
        }
        command = [str(self._kubectl), *args]
        with self.network.host.entered():
            done = subprocess.run(
                command,
                input=stdin or "",
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=KUBECTL_SECONDS,
            )
        if check and done.returncode != 0:
            outcome = f"kubectl {' '.join(args)} (as {user}): exit code {done.returncode}"
            message = f"{outcome}\n{done.stdout}{done.stderr}"
            raise KubectlError(message)
        return done

    def apply(self, manifest: str, *, user: str = accounts.ADMIN) -> subprocess.CompletedProcess[str]:
        """Run `kubectl apply` with the manifest (YAML or JSON) on standard input."""
        return self.kubectl("apply", "-f", "-", user=user, stdin=manifest)

    def audit_events(self) -> Iterator[dict[str, Any]]:
        """Yield the audit events so far, annotations included; `audit-policy.yaml` says what is in them."""
        for log in sorted(self.folder.glob(commands.AUDIT_LOGS)):
            for line in log.read_text().splitlines():
                yield json.loads(line)

    def stop(self) -> None:
        """Stop the programs and wait for each: an API server whose etcd went first hangs in its shutdown."""
        if self._writer is not None:
            self._writer.stop()
        while self._running:
            self._running[-1].stop()
            self._running.pop()
        shutil.rmtree(self.folder, ignore_errors=True)
        atexit.unregister(self.stop)

    def _prepare(self) -> None:
        self._kubectl = ensure(Program.KUBECTL)
        self._programs = {
            each: ensure(each)
            for each in (Program.ETCD, Program.KUBE_APISERVER, Program.KUBE_CONTROLLER_MANAGER)
        }
        self._accounts = Accounts(self.folder)
        self.ca_file = self.folder / "ca.crt"
        self.ca_file.write_text(self.ca_pem)
        write_private_key(ec.generate_private_key(ec.SECP256R1()), self.folder / commands.SERVICE_ACCOUNT_KEY)
        names = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "127.0.0.1")
        addresses = {self.network.bind, self.network.kubernetes_service}
        addresses |= {address for each in self.network.members for address in (each.bind, each.advertise)}
        self.authority.issue(self.folder, commands.SERVING_CERTIFICATE, sorted({*names, *addresses}))

    def _start(self) -> None:
        with self.network.host.entered():
            ports = self.network.ports or commands.Ports(*free_ports(4, self.network.bind))
        layout = commands.Layout(self.folder, self.network.bind, ports)
        layouts = [commands.Layout(self.folder, each.bind, ports) for each in self.network.members]
        self.urls = tuple(each.api_server_url for each in layouts)
        self._start_etcd(layout)
        for number, each in enumerate(layouts):
            self._start_api_server(each, layout.etcd_url, number)
        self._wait_for_api_servers()
        self._start_controller_manager(layout)
        if os.environ.get("TESTS_WRITER"):
            self._writer = Writer(self.client())

    def _start_etcd(self, layout: commands.Layout) -> None:
        etcd = self._run(Program.ETCD, commands.etcd(layout), self.network.host)

        def is_healthy() -> bool:
            with self.network.host.entered():
                return _etcd_is_healthy(layout.address, layout.ports.etcd)

        etcd.wait_until(is_healthy, READY_SECONDS)

    def _start_api_server(self, layout: commands.Layout, etcd: str, number: int) -> None:
        member = self.network.members[number]
        options = commands.ApiServerOptions(
            number,
            etcd,
            member.advertise,
            ",".join(self.network.services),
            self._accounts.token_file,
            HERE / "audit-policy.yaml",
        )
        self._run(Program.KUBE_APISERVER, commands.api_server(layout, options), member.host)

    def _wait_for_api_servers(self) -> None:
        api_servers = self._running[1:]
        for number, each in enumerate(api_servers):
            each.wait_until(partial(_answers, self.client(member=number), "/readyz"), READY_SECONDS)
        self.apply((HERE / "rbac.yaml").read_text())
        policies = "/apis/networking.k8s.io/v1/networkpolicies"
        # The authorizer learns of the roles a moment after they are stored.
        for number, each in enumerate(api_servers):
            for user in (accounts.DEVELOPER, accounts.READONLY):
                each.wait_until(partial(_answers, self.client(user, number), policies), READY_SECONDS)
        api_servers[-1].wait_until(self._lists_all_members, READY_SECONDS)

    def _lists_all_members(self) -> bool:
        """Tell whether all API servers are listed: each enters itself, and the last to write may miss one.

        Whoever asks before they have met again, ten seconds later, sees a smaller cluster than there is.
        """
        slices = self.client().request("GET", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices")
        endpoints = (endpoint for each in slices.json()["items"] for endpoint in each["endpoints"] or ())
        listed = {address for endpoint in endpoints for address in endpoint["addresses"]}
        return listed >= {member.advertise for member in self.network.members}

    def _start_controller_manager(self, layout: commands.Layout) -> None:
        kubeconfig = self.kubeconfig(accounts.CONTROLLER_MANAGER)
        credentials = self.network.controllers
        if credentials is commands.ControllerAccounts.ONE:
            self.kubectl(
                "create", "clusterrolebinding", "tests-controllers", "--clusterrole=cluster-admin",
                f"--user={accounts.CONTROLLER_MANAGER}",
            )  # fmt: skip
        flags = commands.controller_manager(
            layout,
            kubeconfig,
            self.ca_file,
            endpoint_lag=self.network.endpoint_lag,
            accounts=credentials,
        )
        manager = self._run(Program.KUBE_CONTROLLER_MANAGER, flags, self.network.host)
        url = f"https://{layout.host}:{layout.ports.controller_manager}"
        client = ApiClient(url, self.ca_pem, self.token(), host=self.network.host)
        manager.wait_until(lambda: _answers(client, "/healthz"), READY_SECONDS)
        manager.wait_until(self._is_settled, READY_SECONDS)

    def _is_settled(self) -> bool:
        """Tell whether everything is there that a new cluster gets in its first seconds.

        Whoever compares the cluster before and after what he did would find it changed otherwise.
        """
        accounts, maps, spaces = (
            {
                (each["metadata"].get("namespace", ""), each["metadata"]["name"])
                for each in self.client().request("GET", f"/api/v1/{resource}").json()["items"]
            }
            for resource in ("serviceaccounts", "configmaps", "namespaces")
        )
        namespaces = {name for _, name in spaces}
        each = self.network.controllers is commands.ControllerAccounts.EACH
        expected = {name for name in commands.CONTROLLERS.values() if name and each}
        return (
            namespaces >= commands.SYSTEM_NAMESPACES
            and accounts >= {(name, "default") for name in namespaces}
            and accounts >= {("kube-system", name) for name in expected}
            and maps >= {(name, "kube-root-ca.crt") for name in namespaces}
            and maps >= {("kube-system", "kube-apiserver-legacy-service-account-token-tracking")}
        )

    def _run(self, program: Program, flags: list[str], host: Host) -> Process:
        log = self.folder / f"{program}-{len(self._running)}.log"
        process = Process([self._programs[program], *flags], log, host=host)
        self._running.append(process)
        return process


def _answers(client: ApiClient, path: str) -> bool:
    with suppress(OSError, http.client.HTTPException):
        answer: ApiResponse = client.request("GET", path)
        return answer.ok
    return False


def _etcd_is_healthy(address: str, port: int) -> bool:
    connection = http.client.HTTPConnection(address, port, timeout=5)
    try:
        connection.request("GET", "/health")
        return bool(json.load(connection.getresponse()).get("health") == "true")
    except (OSError, http.client.HTTPException, ValueError):
        return False
    finally:
        connection.close()
