"""What tests find in a cluster: a managed namespace with Pods and a webhook in it, and policies."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.kube.cluster import Cluster

_POLL_SECONDS = 0.1
_WAIT_SECONDS = 120.0
BRIEFLY = {"terminationGracePeriodSeconds": 1}
"""For Pods without a program. The namespace controller looks again only after half of their grace periods."""


def eventually(is_so: Callable[[], bool], seconds: float = _WAIT_SECONDS) -> bool:
    """Wait until it is so; return whether it became so in time."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def make_managed(cluster: Cluster, namespace: str = "managed") -> None:
    """Make a managed namespace with a ready Pod `paused` in it that has no program."""
    labels = {"iomete.com/managed": "true"}
    paused = {**BRIEFLY, "containers": [{"name": "paused", "image": "registry.example/paused"}]}
    metadata = {"name": namespace, "labels": labels}
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    account = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
    assert eventually(lambda: cluster.client().request("GET", account).ok)
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "paused", "namespace": namespace},
            "spec": paused,
        }
    )
    cluster.kubelet.wait_until(lambda _: bool(cluster.kubelet.pods(namespace)), "the paused Pod")
    cluster.kubectl("wait", "pod/paused", "-n", namespace, "--for=condition=Ready", "--timeout=180s")


def baselined_namespace(cluster: Cluster, name: str) -> None:
    """Make a managed namespace with a webhook in it and both baselines."""
    make_managed(cluster, name)
    cluster.apply(*spark_operator(name))
    done = cluster.guard("bootstrap", "--baselines-only", "--yes", "--pause", "0", "-n", name)
    assert done.returncode == 0, done.stdout + done.stderr


def spark_operator(namespace: str) -> list[dict[str, Any]]:
    """Return a webhook in a namespace: its Pod (without a program), Service and configuration."""
    labels = {"service": "spark-operator"}
    metadata = {"name": "spark-operator-webhook", "namespace": namespace}
    pod = {
        **BRIEFLY,
        "containers": [
            {
                "name": "operator",
                "image": "registry.example/spark-operator",
                "ports": [{"name": "webhook", "containerPort": 9443}],
            }
        ],
    }
    client = {"service": {"name": metadata["name"], "namespace": namespace, "port": 443}}
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "resources": ["bindings"],
        "operations": ["CREATE"],
    }
    return [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {**metadata, "labels": labels}, "spec": pod},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": labels, "ports": [{"port": 443, "targetPort": "webhook"}]},
        },
        {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": f"spark-operator-{namespace}"},
            "webhooks": [
                {
                    "name": "pods.spark-operator.example",
                    "clientConfig": client,
                    "rules": [rule],
                    "failurePolicy": "Ignore",
                    "sideEffects": "None",
                    "admissionReviewVersions": ["v1"],
                }
            ],
        },
    ]


def deny_all(namespace: str) -> dict[str, Any]:
    """Return the policy that a developer applies first."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "default-deny", "namespace": namespace},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
    }
