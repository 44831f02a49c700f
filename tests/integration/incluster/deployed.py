"""The guard as `deploy/` ships it, applied with `kubectl apply -k`, as an admin without our CLI would."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tests.integration.incluster.scenes import eventually
from tests.kube.cluster import IMAGE, Cluster
from tests.kube.container import CHECKOUT
from tests.kube.pods import Pod
from tests.kube.webhook import MANAGED_LABEL

GUARD = "netpol-guard"
"""The name of its namespace, Deployment, Service and configuration."""


def overlay(
    folder: Path, settings: dict[str, Any] | None = None, *, base: Path = CHECKOUT / "deploy"
) -> Path:
    """Write an overlay of `deploy/` with the image of the tests and, where given, other settings."""
    name, _, tag = IMAGE.rpartition(":")
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{GUARD}-settings", "namespace": GUARD},
    }
    kustomization: dict[str, Any] = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(base, folder)],
        "images": [{"name": GUARD, "newName": name, "newTag": tag}],
    }
    if settings is not None:
        data = {"data": {"settings.yaml": json.dumps(settings)}}
        kustomization["patches"] = [{"patch": json.dumps({**config, **data})}]
    (folder / "kustomization.yaml").write_text(json.dumps(kustomization))
    return folder


def apply(cluster: Cluster, folder: Path) -> None:
    """Run `kubectl apply -k` on an overlay."""
    cluster.kubectl("apply", "-k", str(folder))


def wait_until_guarding(cluster: Cluster) -> None:
    """Wait for the roll-out, for the guard itself to raise `failurePolicy`, and for it to be called."""
    cluster.kubectl("rollout", "status", f"deployment/{GUARD}", "-n", GUARD, "--timeout=180s")
    assert eventually(lambda: failure_policies(cluster) == {"Fail"}), cluster.kubelet.describe()
    assert eventually(lambda: _is_called(cluster)), cluster.kubelet.describe()


def _is_called(cluster: Cluster) -> bool:
    """Whether a request that needs the guard's answer gets it; the Service may list its Pods late."""
    managed = {"metadata": {"name": "asked", "labels": {MANAGED_LABEL: "true"}}}
    return cluster.client().request("POST", "/api/v1/namespaces?dryRun=All", managed).ok


def configuration(cluster: Cluster) -> dict[str, Any]:
    """Return the webhook configuration as it is stored."""
    configurations = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    answer = cluster.client().request("GET", f"{configurations}/{GUARD}")
    assert answer.ok, answer.message
    stored: dict[str, Any] = answer.json()
    return stored


def failure_policies(cluster: Cluster) -> set[str]:
    """Return what the webhooks say is to happen without an answer."""
    return {webhook["failurePolicy"] for webhook in configuration(cluster)["webhooks"]}


def replicas(cluster: Cluster) -> list[Pod]:
    """Return the guard's Pods."""
    return cluster.kubelet.pods(GUARD, {"app.kubernetes.io/name": GUARD})
