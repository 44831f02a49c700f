"""The guard in a cluster as `kubectl apply -k deploy` makes it: what tests of measured sources start from."""

from __future__ import annotations

from typing import Any

from app.shipped import guard_manifests
from app.wire.identity import NAME
from tests.cluster.cluster import IMAGE, Cluster


def shipped() -> list[dict[str, Any]]:
    """Return the shipped manifests, with the checkout as the image."""
    found = guard_manifests()
    for manifest in found:
        if manifest["kind"] == "Deployment":
            manifest["spec"]["template"]["spec"]["containers"][0]["image"] = IMAGE
    return found


def install(cluster: Cluster) -> None:
    """Apply the manifests and wait for two ready replicas."""
    cluster.apply(*shipped())
    cluster.kubectl("rollout", "status", f"deployment/{NAME}", "-n", NAME, "--timeout=60s")
