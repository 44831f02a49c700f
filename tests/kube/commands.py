"""The command lines of the control plane's programs: flags alone, nothing is started here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

AUDIT_LOGS = "audit-*.log"
SERVICE_ACCOUNT_KEY = "service-account.key"
SERVING_CERTIFICATE = "serving"
SERVICE_ACCOUNT_ISSUER = "https://kubernetes.default.svc"

SYSTEM_NAMESPACES = frozenset({"default", "kube-node-lease", "kube-public", "kube-system"})
CONTROLLERS = {
    "namespace-controller": "namespace-controller",
    "garbage-collector-controller": "generic-garbage-collector",
    "serviceaccount-controller": "service-account-controller",
    "serviceaccount-token-controller": None,
    "root-ca-certificate-publisher-controller": "root-ca-cert-publisher",
    "deployment-controller": "deployment-controller",
    "replicaset-controller": "replicaset-controller",
    "endpoints-controller": "endpoint-controller",
    "endpointslice-controller": "endpointslice-controller",
    "disruption-controller": "disruption-controller",
}
"""What a cluster without nodes can use, each with its account; the others only cost start-up time."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The TCP ports of one control plane."""

    etcd: int
    etcd_peers: int
    api_server: int
    controller_manager: int


@dataclass(frozen=True, slots=True)
class Layout:
    """Where one control plane keeps its files and listens."""

    folder: Path
    address: str
    ports: Ports

    @property
    def host(self) -> str:
        """The address as it stands in a URL."""
        return f"[{self.address}]" if ":" in self.address else self.address

    @property
    def etcd_url(self) -> str:
        """Where etcd serves its clients."""
        return f"http://{self.host}:{self.ports.etcd}"

    @property
    def api_server_url(self) -> str:
        """Where the API server serves."""
        return f"https://{self.host}:{self.ports.api_server}"


def etcd(layout: Layout) -> list[str]:
    """Return etcd's flags. It does not wait for the disk: its data does not outlive the test run."""
    clients = layout.etcd_url
    peers = f"http://{layout.host}:{layout.ports.etcd_peers}"
    return [
        f"--data-dir={layout.folder / 'etcd'}",
        f"--listen-client-urls={clients}",
        f"--advertise-client-urls={clients}",
        f"--listen-peer-urls={peers}",
        f"--initial-advertise-peer-urls={peers}",
        f"--initial-cluster=default={peers}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


@dataclass(frozen=True, slots=True)
class ApiServerOptions:
    """What tells one API server of a control plane from another, and what they share."""

    number: int
    etcd: str
    advertise: str
    services: str
    tokens: Path
    audit_policy: Path


def api_server(layout: Layout, options: ApiServerOptions) -> list[str]:
    """Return kube-apiserver's flags."""
    key = layout.folder / SERVICE_ACCOUNT_KEY
    return [
        f"--etcd-servers={options.etcd}",
        f"--bind-address={layout.address}",
        f"--secure-port={layout.ports.api_server}",
        f"--advertise-address={options.advertise}",
        f"--service-cluster-ip-range={options.services}",
        f"--cert-dir={layout.folder}",
        *_serving(layout),
        f"--service-account-issuer={SERVICE_ACCOUNT_ISSUER}",
        f"--service-account-key-file={key}",
        f"--service-account-signing-key-file={key}",
        f"--token-auth-file={options.tokens}",
        "--authorization-mode=RBAC",
        # A Service webhook is called at its endpoints' addresses, so that no kube-proxy is needed.
        "--enable-aggregator-routing=true",
        f"--audit-policy-file={options.audit_policy}",
        f"--audit-log-path={layout.folder / AUDIT_LOGS.replace('*', str(options.number))}",
    ]


class ControllerAccounts(Enum):
    """As whom the controllers come: each with a ServiceAccount, as kubeadm has it, or all as one user."""

    EACH = "true"
    ONE = "false"


def controller_manager(
    layout: Layout,
    kubeconfig: Path,
    ca_file: Path,
    *,
    endpoint_lag: float,
    accounts: ControllerAccounts,
) -> list[str]:
    """Return kube-controller-manager's flags."""
    return [
        f"--kubeconfig={kubeconfig}",
        f"--bind-address={layout.address}",
        f"--secure-port={layout.ports.controller_manager}",
        *_serving(layout),
        f"--service-account-private-key-file={layout.folder / SERVICE_ACCOUNT_KEY}",
        f"--root-ca-file={ca_file}",
        f"--controllers={','.join(CONTROLLERS)}",
        f"--use-service-account-credentials={accounts.value}",
        "--leader-elect=false",
        # Many small test namespaces are deleted at once.
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        "--concurrent-namespace-syncs=20",
        f"--endpointslice-updates-batch-period={endpoint_lag}s",
    ]


def _serving(layout: Layout) -> list[str]:
    files = layout.folder / SERVING_CERTIFICATE
    return [f"--tls-cert-file={files}.crt", f"--tls-private-key-file={files}.key"]
