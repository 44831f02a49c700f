"""NetworkPolicies as they stand in the cluster: what they mean, and whose they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from app.engine.cluster import Cluster
from app.engine.policy import Policy
from app.errors import InputError
from app.model.kinds import NETWORK_POLICY, Manifest, Reference
from app.names import OURS, ROLE_LABEL
from app.wire.networkpolicy.parse import Validation, parse_policy
from app.wire.networkpolicy.render import render_policy

_KUBECTL = "kubectl-client-side-apply"


class Role(Enum):
    """What a policy of ours is for; the value of its label."""

    BASELINE = "baseline"
    BRIDGE = "bridge"
    OPENING = "opening"


@dataclass(frozen=True, slots=True)
class Stored:
    """A policy of the cluster. ``role`` is None where it is not ours; ``managers`` own fields of its spec."""

    policy: Policy
    manifest: Manifest
    role: Role | None = None
    managers: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The object's name."""
        return self.policy.name

    @property
    def reference(self) -> Reference:
        """Where it is."""
        return reference_of(self.policy)

    @property
    def managed_by(self) -> str:
        """Who wrote it, for a sentence."""
        return " and ".join(self.managers) or "somebody"


def reference_of(policy: Policy) -> Reference:
    """Return where ``policy`` stands, or would."""
    return Reference(NETWORK_POLICY, policy.name, policy.namespace)


def stored_of(manifest: Manifest) -> Stored:
    """Return the policy that an API server sent. Raises ``InputError`` where nobody could read it."""
    parsed = parse_policy(manifest, validation=Validation.STORED)
    if parsed.policy is None:
        name = f"NetworkPolicy {parsed.metadata.namespace}/{parsed.metadata.name}"
        raise InputError(name, "; ".join(map(str, parsed.errors)))
    labels = parsed.metadata.labels
    role = next((known for known in Role if known.value == labels.get(ROLE_LABEL)), None)
    ours = OURS in labels.items()
    complete = {"apiVersion": NETWORK_POLICY.version, "kind": NETWORK_POLICY.name, **manifest}
    return Stored(parsed.policy, complete, role if ours else None, tuple(_managers(manifest)))


def _managers(manifest: Manifest) -> Iterable[str]:
    entries = manifest["metadata"].get("managedFields") or ()
    owners = (entry.get("manager", "") for entry in entries if "f:spec" in (entry.get("fieldsV1") or {}))
    return dict.fromkeys("kubectl apply" if owner == _KUBECTL else owner for owner in owners if owner)


def by_namespace(manifests: Iterable[Manifest]) -> Mapping[str, tuple[Stored, ...]]:
    """Return policies by namespace, in the order of their names."""
    grouped: dict[str, list[Stored]] = {}
    for stored in sorted(map(stored_of, manifests), key=lambda found: found.name):
        grouped.setdefault(stored.policy.namespace, []).append(stored)
    return {name: tuple(found) for name, found in grouped.items()}


@dataclass(frozen=True, slots=True)
class Inventory:
    """What is there: the cluster with the namespaces as they will be labelled, and their policies.

    ``neighbours`` are namespaces outside that have business inside; ``notes`` what is not known or judged.
    """

    cluster: Cluster
    stored: Mapping[str, tuple[Stored, ...]]
    neighbours: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def of(self, namespace: str) -> tuple[Stored, ...]:
        """Return the policies of ``namespace``."""
        return self.stored.get(namespace, ())


def manifest_of(policy: Policy, role: Role) -> Manifest:
    """Return what we write for ``policy``."""
    manifest: Manifest = dict(render_policy(policy))
    labels = dict([OURS, (ROLE_LABEL, role.value)])
    manifest["metadata"] = {"name": policy.name, "namespace": policy.namespace, "labels": labels}
    return manifest
