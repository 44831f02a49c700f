"""Whether the guard's Deployment runs as it was written, and what keeps it."""

from __future__ import annotations

from collections.abc import Iterator

from app.errors import ChangeFailed
from app.install.guard.attempts import attempts
from app.install.guard.manifests import WORKLOAD
from app.install.ports import Clock, Store
from app.model.kinds import POD, Manifest
from app.names import NAME, NAME_LABEL

_LOGS = f"kubectl logs -n {NAME} deployment/{NAME}"
_HOW = f"look at it with kubectl describe pods -n {NAME}, put it right, and run this again"


def progress_of(deployment: Manifest) -> tuple[int, int]:
    """Return how many replicas are new and available, and how many that should be.

    As ``kubectl rollout status``: the status must be about this generation, and no old replica be left.
    """
    spec, status = deployment["spec"], deployment.get("status") or {}
    wanted: int = spec.get("replicas", 1)
    if status.get("observedGeneration", 0) < deployment["metadata"].get("generation", 0):
        return 0, wanted
    updated, total = status.get("updatedReplicas", 0), status.get("replicas", 0)
    ready = min(updated, status.get("availableReplicas", 0))
    return (ready if total == updated else min(ready, wanted - 1)), wanted


def wait_for_rollout(store: Store, clock: Clock, seconds: float) -> str:
    """Wait until the Deployment runs; return how many replicas. Raises ``ChangeFailed`` past ``seconds``."""
    ready = wanted = 0
    for is_last in attempts(clock, seconds):
        deployment = store.get(WORKLOAD)
        ready, wanted = (0, 0) if deployment is None else progress_of(deployment)
        if deployment is not None and ready >= wanted:
            break
        if is_last:
            why = "; ".join(dict.fromkeys(_troubles(store))) or "its pods are not ready"
            raise ChangeFailed(f"run {WORKLOAD}", f"{ready} of {wanted} after {seconds:g} s: {why}", _HOW)
    return f"{ready} of {wanted} replicas ready"


def _troubles(store: Store) -> Iterator[str]:
    """Yield what keeps the guard's pods, in Kubernetes' words."""
    pods = store.list(POD, NAME, f"{NAME_LABEL}={NAME}")
    if not pods:
        yield "it has no pods: look at the events of its ReplicaSet"
    for pod in pods:
        status = pod.get("status") or {}
        for container in status.get("containerStatuses") or ():
            now, before = container.get("state") or {}, container.get("lastState") or {}
            waiting = now.get("waiting") or {}
            if waiting.get("reason"):
                yield f"{waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")
            if ended := now.get("terminated") or before.get("terminated"):
                yield f"its program ended with exit code {ended.get('exitCode')}: {_LOGS} says why"
        for condition in status.get("conditions") or ():
            if condition.get("status") == "False" and condition.get("message"):
                yield f"{condition['type']} is not so: {condition['message']}"
