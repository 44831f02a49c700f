"""How long doctor takes for a large cluster, and how much memory: ``python -m tests.doctor.load 2000 10``.

The program itself, in a process of its own, against an API server that serves so many namespaces with so many
policies each, one in twenty of them broken, in pages over HTTP.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.cluster.survey.collected import Questions
from app.cluster.survey.live import Surveyor
from app.doctor.checks.neighbours import NEIGHBOUR_SELECTORS
from tests.doctor.paginated import Paginated, serve
from tests.doctor.world import controlled, healthy, with_status

Manifest = dict[str, Any]
ROOT = Path(__file__).resolve().parents[2]
_BROKEN = 20


def large(namespaces: int, policies: int, seed: int = 1) -> Iterator[Manifest]:
    """Yield the healthy cluster with so many more data planes; one in twenty has a narrowed baseline."""
    objects = healthy()
    yield from map(with_status, objects.values())
    yield from controlled(objects)
    chance = random.Random(seed)
    for number in range(namespaces):
        yield from _data_plane(f"team-{number:04}", policies, chance, is_broken=number % _BROKEN == 0)


def _data_plane(name: str, policies: int, chance: random.Random, *, is_broken: bool) -> Iterator[Manifest]:
    labels = {"iomete.com/managed": "true", "kubernetes.io/metadata.name": name, "team": name}
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    managed: Manifest = {"namespaceSelector": {"matchLabels": {"iomete.com/managed": "true"}}}
    if is_broken:
        managed["podSelector"] = {"matchLabels": {"app": "spark"}}
    specs: list[tuple[str, Manifest]] = [
        ("iomete-ingress-egress", {"podSelector": {}, "ingress": [{"from": [managed]}], "egress": [{}]}),
        (
            "iomete-spark-operator",
            {
                "podSelector": {"matchLabels": {"service": "spark-operator"}},
                "ingress": [{"from": [{"ipBlock": {"cidr": "10.99.0.1/32"}}]}],
                "egress": [{}],
            },
        ),
        *((f"app-{number}", _app_spec(name, number, chance)) for number in range(max(0, policies - 2))),
    ]
    for policy, spec in specs[:policies]:
        types = ["Ingress", *(["Egress"] if "egress" in spec else [])]
        yield {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": policy, "namespace": name, "managedFields": _MANAGED_FIELDS},
            "spec": {**spec, "policyTypes": types},
        }
    yield {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "jdbc", "namespace": name},
        "spec": {
            "selector": {"app": "jdbc"},
            "ports": [{"name": "jdbc", "port": 10000, "protocol": "TCP", "targetPort": 10000}],
        },
    }


def _app_spec(name: str, number: int, chance: random.Random) -> Manifest:
    """Return what teams write: let in one's own, a gateway, a scraper, a port."""
    app = {"matchLabels": {"app": f"app-{number}"}}
    peers: list[Manifest] = [
        {"podSelector": {}},
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "istio-system"}}},
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}},
        {"podSelector": {"matchLabels": {"app": chance.choice(["web", "api", name])}}},
        {"ipBlock": {"cidr": f"10.{chance.randrange(256)}.0.0/16"}},
    ]
    ports = [{"protocol": "TCP", "port": chance.choice([80, 443, 8080, 9090, 10000, 15002])}]
    return {
        "podSelector": chance.choice([{}, app]),
        "ingress": [{"from": [peers[number % 5]], "ports": ports}],
    }


_MANAGED_FIELDS = [
    {
        "manager": "argocd-controller",
        "operation": "Apply",
        "apiVersion": "networking.k8s.io/v1",
        "time": "2026-03-03T07:45:26Z",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": {"f:ingress": {}, "f:egress": {}, "f:podSelector": {}, "f:policyTypes": {}}},
    }
]


def kubeconfig(url: str, folder: Path) -> Path:
    """Write a kubeconfig for a server without TLS."""
    path = folder / "kubeconfig"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "x", "cluster": {"server": url}}],
        "users": [{"name": "x", "user": {"token": "none"}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "current-context": "x",
    }
    path.write_text(json.dumps(config))
    return path


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds as they passed, seconds on a processor, peak memory in MiB, and the exit code."""

    seconds: float
    busy: float
    memory: float
    code: int


_STOPWATCH = """
import json, os, sys, time
begun = time.monotonic()
out = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
process = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, out, 1)])
_, status, used = os.wait4(process, 0)
busy = used.ru_utime + used.ru_stime
print(json.dumps([time.monotonic() - begun, busy, used.ru_maxrss / 1024, os.waitstatus_to_exitcode(status)]))
"""
"""Runs in a small process of its own: a child's peak memory counts from what its parent held."""


def measure(arguments: list[str], folder: Path) -> Measured:
    """Run the program, and measure it."""
    command = [sys.executable, "-c", _STOPWATCH, str(folder / "out"), sys.executable, "-m", "app", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Measured(*json.loads(done.stdout))


def main(namespaces: int, policies: int) -> None:
    """Measure doctor and map, and print what came out."""
    objects = Paginated(large(namespaces, policies))
    # Every page is encoded once beforehand, so that the server's work is not measured.
    Surveyor(objects, Questions(neighbours=NEIGHBOUR_SELECTORS)).collect()
    server = serve(objects)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"{namespaces} namespaces with {policies} policies each, one in {_BROKEN} broken")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = kubeconfig(f"http://127.0.0.1:{server.server_port}", folder)
        for command in (["doctor"], ["doctor", "--format", "html"], ["map"]):
            objects.requests.clear()
            told = measure([*command, "--kubeconfig", str(config)], folder)
            size = (folder / "out").stat().st_size
            calls = len(objects.requests)
            print(
                f"{' '.join(command):<22} {told.seconds:6.1f} s ({told.busy:.1f} s busy)  "
                f"{told.memory:4.0f} MiB  {calls:3} calls  exit code {told.code}  "
                f"{size / 1024:.0f} KiB of output"
            )
        last = (folder / "out").read_text().splitlines()
        print("\n".join(last[:6]))
    server.shutdown()


if __name__ == "__main__":
    os.chdir(ROOT)
    main(*(int(number) for number in sys.argv[1:]))
