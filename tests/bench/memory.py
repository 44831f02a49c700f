"""The guard's memory beside very many policies, against the limit of the Deployment that we ship."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from app.shipped import DEPLOY
from tests.bench.live import NAMED, make_namespaces
from tests.bench.servers import resident_mb
from tests.integration.decisions.objects import API_SERVER, POLICIES, Object, policy
from tests.integration.guard import running_guard
from tests.kube.control_plane import ControlPlane
from tests.kube.load import ApiCall, Load, call_api

NAMESPACES = 2_000
_CLIENTS = 8


@dataclass(frozen=True, slots=True)
class MemoryFigures:
    """Megabytes over all processes of the guard: once it is ready, at the most, and allowed."""

    policies: int
    ready_mb: float
    most_mb: float
    limit_mb: float


def measure_memory(folder: Path, policies: int, tell: Callable[[str], None]) -> MemoryFigures:
    """Start the guard beside so many policies of managed namespaces; raise ``LoadError`` if that fails."""
    namespaces = min(NAMESPACES, policies)
    with ControlPlane() as control_plane:
        tell(f"memory: {policies:,} policies are made")
        make_namespaces(control_plane, namespaces)
        for number in range(policies // namespaces):
            call = ApiCall("POST", POLICIES.format(NAMED), _application(number), status=201)
            call_api(control_plane, [call], Load(namespaces, _CLIENTS))
        with running_guard(control_plane, folder, apiServer={"sources": [API_SERVER]}) as guard:
            pid = guard.process.pid
            return MemoryFigures(policies, resident_mb(pid), resident_mb(pid, "VmHWM"), _limit_mb())


def _application(number: int) -> Object:
    """Return what a chart brings for one application: its own pods, two kinds of peers, one network."""
    app = f"app-{number}-{{number}}"
    peers = [
        {"podSelector": {"matchLabels": {"role": f"client-of-{app}"}}},
        {"namespaceSelector": {"matchLabels": {"team": f"team-{number}"}}},
    ]
    spec = {
        "podSelector": {"matchLabels": {"app": app}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": peers, "ports": [{"protocol": "TCP", "port": 8_000 + number}]}],
        "egress": [{"to": [{"ipBlock": {"cidr": f"10.{number}.0.0/16"}}]}],
    }
    return policy(NAMED, f"app-{number}", spec, labels={"app.kubernetes.io/name": app})


def _limit_mb() -> float:
    deployment = yaml.safe_load((DEPLOY / "deployment.yaml").read_text())
    limit: str = deployment["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"]
    return float(limit.removesuffix("Mi"))
