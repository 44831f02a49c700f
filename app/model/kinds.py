"""Kinds of objects, references to them, and what comes of writing one: words that many rooms share.

Whoever reads and writes objects (``app.cluster.client.objects``) takes and returns these; whoever decides
about them needs no client for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from app.errors import ChangeFailed

Manifest = dict[str, Any]
"""An object as JSON has it; ``apiVersion``, ``kind`` and ``metadata.name`` are there."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of object, and where the API server keeps it."""

    version: str
    name: str
    resource: str
    is_namespaced: bool = True

    @property
    def group(self) -> str:
        """The API group, "" for the core group."""
        return self.version.rpartition("/")[0]

    def path(self, namespace: str = "", name: str = "") -> str:
        """Return the path of one object, of a namespace's collection, or of the whole collection."""
        root = f"/apis/{self.version}" if self.group else f"/api/{self.version}"
        place = f"/namespaces/{namespace}" if self.is_namespaced and namespace else ""
        return f"{root}{place}/{self.resource}" + (f"/{name}" if name else "")


NAMESPACE = Kind("v1", "Namespace", "namespaces", is_namespaced=False)
NODE = Kind("v1", "Node", "nodes", is_namespaced=False)
POD = Kind("v1", "Pod", "pods")
SERVICE = Kind("v1", "Service", "services")
SERVICE_ACCOUNT = Kind("v1", "ServiceAccount", "serviceaccounts")
CONFIG_MAP = Kind("v1", "ConfigMap", "configmaps")
SECRET = Kind("v1", "Secret", "secrets")
EVENT = Kind("events.k8s.io/v1", "Event", "events")
ENDPOINT_SLICE = Kind("discovery.k8s.io/v1", "EndpointSlice", "endpointslices")
DEPLOYMENT = Kind("apps/v1", "Deployment", "deployments")
PDB = Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets")
NETWORK_POLICY = Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies")
ROLE = Kind("rbac.authorization.k8s.io/v1", "Role", "roles")
ROLE_BINDING = Kind("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings")
CLUSTER_ROLE = Kind("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", is_namespaced=False)
CLUSTER_ROLE_BINDING = Kind(
    "rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", is_namespaced=False
)
_REGISTRATION = "admissionregistration.k8s.io/v1"
VALIDATING = Kind(
    _REGISTRATION, "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", is_namespaced=False
)
MUTATING = Kind(
    _REGISTRATION, "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", is_namespaced=False
)
CRD = Kind(
    "apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", is_namespaced=False
)

KINDS = (
    NAMESPACE, NODE, POD, SERVICE, SERVICE_ACCOUNT, CONFIG_MAP, SECRET, EVENT, ENDPOINT_SLICE, DEPLOYMENT,
    PDB, NETWORK_POLICY, ROLE, ROLE_BINDING, CLUSTER_ROLE, CLUSTER_ROLE_BINDING, VALIDATING, MUTATING, CRD,
)  # fmt: skip


def kind_of(manifest: Mapping[str, Any]) -> Kind:
    """Return the kind of ``manifest``. Raises ``ChangeFailed`` for one that nobody here handles."""
    found = manifest.get("apiVersion"), manifest.get("kind")
    for kind in KINDS:
        if (kind.version, kind.name) == found:
            return kind
    raise ChangeFailed(f"handle {found[0]}/{found[1]}", "this kind of object is not known here")


class DryRun(Enum):
    """Whether the API server really makes a change, or says what would happen (``dryRun=All``)."""

    NONE = ""
    ALL = "All"


@dataclass(frozen=True, slots=True)
class Reference:
    """One object by kind, namespace ("" where there is none) and name."""

    kind: Kind
    name: str
    namespace: str = ""

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> Reference:
        """Return what ``manifest`` is about. Raises ``ChangeFailed`` for an unknown kind."""
        metadata = manifest["metadata"]
        return cls(kind_of(manifest), metadata["name"], metadata.get("namespace", ""))

    @property
    def path(self) -> str:
        """The path of the object."""
        return self.kind.path(self.namespace, self.name)

    def manifest(self, metadata: Mapping[str, Any] = {}, **members: object) -> Manifest:
        """Return a manifest of the object with ``members``, and ``metadata`` beside its name."""
        place = {"namespace": self.namespace} if self.namespace else {}
        metadata = {"name": self.name, **place, **metadata}
        return {"apiVersion": self.kind.version, "kind": self.kind.name, "metadata": metadata, **members}

    def __str__(self) -> str:
        """Return the words for messages: ``NetworkPolicy data-plane/iomete-ingress-egress``."""
        place = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind.name} {place}{self.name}"


@dataclass(frozen=True, slots=True)
class Written:
    """An object as the API server has it after a write, and the warnings that came with the answer."""

    object: Manifest
    warnings: tuple[str, ...] = ()
