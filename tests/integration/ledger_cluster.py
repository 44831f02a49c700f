"""A control plane whose guard has a ledger, a writer beside it, and namespaces in which changes meet."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from app.names import LEDGER_CONFIG_MAP, NAME
from tests.integration.decisions.objects import create, names, open_to_all, policy
from tests.integration.guard import create_own_objects
from tests.kube.control_plane import ControlPlane
from tests.kube.webhook import MANAGED_LABEL
from tests.kube.writer import written_to

LEDGER = f"/api/v1/namespaces/{NAME}/configmaps/{LEDGER_CONFIG_MAP}"
DENY = {"podSelector": {}, "policyTypes": ["Ingress"]}


@contextmanager
def ledger_cluster() -> Iterator[ControlPlane]:
    """Run a control plane with what the ledger needs of the guard's objects; somebody writes beside it."""
    with ControlPlane() as running:
        create_own_objects(running)
        with written_to(running.client()):
            yield running


def managed_namespace(cluster: ControlPlane, name: str, keepers: Sequence[str]) -> None:
    """Make a managed namespace in which each of ``keepers`` keeps everything open, and one has to."""
    metadata = {"name": name, "labels": {MANAGED_LABEL: "true"}}
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
    assert cluster.client().request("POST", "/api/v1/namespaces", body).ok
    restore(cluster, name, keepers)
    create(cluster, policy(name, "deny", DENY))


def restore(cluster: ControlPlane, namespace: str, keepers: Sequence[str]) -> None:
    """Bring back those of ``keepers`` that are gone."""
    for name in set(keepers) - names(cluster, namespace):
        create(cluster, open_to_all(namespace, name))


def entries(cluster: ControlPlane, namespace: str = "") -> dict[str, str]:
    """Return the changes under way, of one namespace or of all, by their keys in the ledger."""
    data = cluster.client().request("GET", LEDGER).json().get("data") or {}
    return {key: value for key, value in data.items() if key.startswith(f"entry.{namespace}")}


def settled(cluster: ControlPlane) -> None:
    """Wait until nothing is under way any more."""
    until = threading.Event()
    for _ in range(1_200):
        if not entries(cluster):
            return
        until.wait(0.1)
    raise AssertionError(f"the ledger is not settled: {entries(cluster)}")
