"""A cluster's objects in memory, with the rules of the API server that reconciling relies on, and a clock."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from app.certificates.configuration import CONFIGURATION
from app.certificates.pairs import Pair
from app.errors import ChangeFailed
from app.model.kinds import NAMESPACE, POD, DryRun, Kind, Manifest, Reference, Written
from app.model.probe import PROBE_ANNOTATION, seen
from app.names import FIELD_MANAGER, NAME, NAME_LABEL
from app.shipped import guard_manifests

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def shipped_configuration() -> Manifest:
    (found,) = (
        manifest for manifest in guard_manifests() if manifest["kind"] == "ValidatingWebhookConfiguration"
    )
    return found


class Crash(Exception):  # noqa: N818 - what happens to a process
    """The process ended in the middle of a call."""


@dataclass(repr=False)
class FakeCluster:
    """Objects with versions; ``before_call`` is called before each call that somebody makes."""

    now: datetime = START
    objects: dict[Reference, Manifest] = field(default_factory=dict)
    history: list[tuple[datetime, Manifest | None]] = field(default_factory=list)
    """Every state of the webhook configuration, and since when."""
    is_reached: bool = False
    writes: list[str] = field(default_factory=list)
    before_call: Callable[[], None] = lambda: None
    _version: int = 0

    def clock(self) -> datetime:
        return self.now

    def advance(self, duration: timedelta) -> None:
        self.now += duration

    def put(self, manifest: Manifest) -> Manifest:
        """Store the object, whatever was there."""
        self._version += 1
        stored = copy.deepcopy(manifest)
        stored["metadata"]["resourceVersion"] = str(self._version)
        reference = Reference.of(stored)
        self.objects[reference] = stored
        if reference == CONFIGURATION:
            self.history.append((self.now, stored))
        return copy.deepcopy(stored)

    def remove(self, reference: Reference) -> None:
        self.objects.pop(reference, None)
        if reference == CONFIGURATION:
            self.history.append((self.now, None))

    def kubectl_apply(self) -> None:
        """Do what ``kubectl apply`` of the shipped configuration does: its fields as shipped, others kept."""
        shipped, live = shipped_configuration(), self.objects.get(CONFIGURATION)
        if live is not None:
            for webhook, old in zip(shipped["webhooks"], live["webhooks"], strict=True):
                webhook["clientConfig"] = {**old["clientConfig"], **webhook["clientConfig"]}
            kept = ("annotations", "managedFields")
            shipped["metadata"] |= {name: live["metadata"][name] for name in kept if name in live["metadata"]}
        self.put(shipped)

    # -- what the reconciler calls ------------------------------------------------------------------------

    def get(self, reference: Reference) -> Manifest | None:
        self.before_call()
        return copy.deepcopy(self.objects.get(reference))

    def list(self, kind: Kind, namespace: str = "", labels: str = "") -> list[Manifest]:
        self.before_call()
        assert labels == f"{NAME_LABEL}={NAME}"
        return [
            copy.deepcopy(item)
            for reference, item in self.objects.items()
            if (reference.kind, reference.namespace) == (kind, namespace)
        ]

    def create(self, manifest: Manifest) -> Written:
        self.before_call()
        if Reference.of(manifest) in self.objects:
            raise _conflict("create", manifest)
        return self._write("create", manifest)

    def replace(self, manifest: Manifest) -> Written:
        self.before_call()
        self._same_version("update", manifest)
        return self._write("update", manifest)

    def apply(self, manifest: Manifest, *, force: bool = False) -> Written:
        self.before_call()
        assert force
        self._same_version("apply", manifest)
        live = copy.deepcopy(self.objects[Reference.of(manifest)])
        fields = {webhook["name"]: webhook for webhook in manifest["webhooks"]}
        for webhook in live["webhooks"]:
            given = fields.get(webhook["name"], {})
            webhook["clientConfig"] = {**webhook["clientConfig"], **given.get("clientConfig", {})}
            webhook["failurePolicy"] = given.get("failurePolicy", webhook["failurePolicy"])
        entry = {"manager": FIELD_MANAGER, "operation": "Apply", "time": f"{self.now:%Y-%m-%dT%H:%M:%SZ}"}
        live["metadata"]["managedFields"] = [entry]
        return self._write("apply", live)

    def merge(self, reference: Reference, patch: Manifest, dry_run: DryRun = DryRun.NONE) -> Written:
        self.before_call()
        if dry_run is DryRun.ALL:
            assert reference == Reference(NAMESPACE, NAME)
            nonce = patch["metadata"]["annotations"][PROBE_ANNOTATION]
            return Written({}, (str(seen(nonce, "10.20.0.10", "guard-1")),) if self.is_reached else ())
        live = self.objects.get(reference)
        if live is None:
            raise ChangeFailed(f"patch {reference}", "the API server answered 404", status=404)
        merged = copy.deepcopy(live)
        merged["metadata"].setdefault("annotations", {}).update(patch["metadata"]["annotations"])
        return self._write("patch", merged)

    def _same_version(self, what: str, manifest: Manifest) -> None:
        live = self.objects.get(Reference.of(manifest))
        if live is None or live["metadata"]["resourceVersion"] != manifest["metadata"]["resourceVersion"]:
            raise _conflict(what, manifest)

    def _write(self, verb: str, manifest: Manifest) -> Written:
        self.writes.append(f"{verb} {manifest['kind']}")
        return Written(self.put(manifest))


def _conflict(what: str, manifest: Manifest) -> ChangeFailed:
    return ChangeFailed(f"{what} {Reference.of(manifest)}", "the API server answered 409", status=409)


@dataclass
class FakeServer:
    """What answers handshakes."""

    pair: Pair | None = None

    def take(self, pair: Pair) -> None:
        self.pair = pair


class Counters:
    """What was counted."""

    def __init__(self) -> None:
        self.reconciled: list[str] = []
        self.authority_expiry = 0.0

    def set_authority_expiry(self, timestamp: float) -> None:
        self.authority_expiry = timestamp

    def record_reconcile(self, what: str) -> None:
        self.reconciled.append(what)


def pod(name: str, *, ready: bool = True) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": str(ready)}]
    return {
        "apiVersion": POD.version,
        "kind": POD.name,
        "metadata": {"name": name, "namespace": NAME, "labels": {NAME_LABEL: NAME}},
        "status": {"conditions": conditions},
    }
