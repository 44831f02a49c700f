"""Which lists of a cluster are read besides its policies."""

from __future__ import annotations

from app.cluster.client.listing import Collection
from app.cluster.state.facts import AGENT_VALUE, KUBE_SYSTEM
from app.model.kinds import (
    CONFIG_MAP,
    CRD,
    ENDPOINT_SLICE,
    NAMESPACE,
    NETWORK_POLICY,
    NODE,
    POD,
    SERVICE,
    Kind,
    Reference,
)
from app.names import LEDGER_CONFIG_MAP, SOURCES_CONFIG_MAP, WEBHOOK_SERVICES_CONFIG_MAP
from app.wire.objects.nodes import CONTROL_PLANE_LABELS
from app.wire.objects.services import SERVICE_NAME_LABEL

_DEFINITIONS_PAGE = 20
"""A CustomResourceDefinition can have half a megabyte, of which three lines are kept."""

POLICIES = Collection("the NetworkPolicies of all namespaces", NETWORK_POLICY)
NAMESPACES = Collection("the namespaces", NAMESPACE)
NODES = Collection("the control-plane nodes", NODE, selectors={"labelSelector": CONTROL_PLANE_LABELS[0]})
DEFINITIONS = Collection("the CustomResourceDefinitions", CRD, page=_DEFINITIONS_PAGE)


def configurations(kind: Kind) -> Collection:
    """Return the list of all webhook configurations of ``kind``."""
    return Collection(f"the {kind.name}s", kind)


def service(namespace: str, name: str) -> Collection:
    """Return one Service, as a list that can be watched."""
    only = {"fieldSelector": f"metadata.name={name}"}
    return Collection(f"Service {namespace}/{name}", SERVICE, namespace, only)


def slices(namespace: str, service: str) -> Collection:
    """Return the EndpointSlices of one Service."""
    words, labels = f"the EndpointSlices of Service {namespace}/{service}", f"{SERVICE_NAME_LABEL}={service}"
    return Collection(words, ENDPOINT_SLICE, namespace, {"labelSelector": labels})


def agents(key: str) -> Collection:
    """Return the konnectivity agents that carry the label ``key``."""
    labels = f"{key}={AGENT_VALUE}"
    return Collection(f"the konnectivity agents ({labels})", POD, KUBE_SYSTEM, {"labelSelector": labels})


CILIUM_CONFIG = Reference(CONFIG_MAP, "cilium-config", "kube-system")


def cilium() -> Collection:
    """Return Cilium's ConfigMap: it is there where Cilium is the plugin; unread, nobody knows."""
    return _config_map("Cilium's configuration", CILIUM_CONFIG.namespace, CILIUM_CONFIG.name)


def remembered(namespace: str) -> Collection:
    """Return the ConfigMap of measured sources in ``namespace``, the guard's."""
    return _config_map("the measured sources", namespace, SOURCES_CONFIG_MAP)


def seen_services(namespace: str) -> Collection:
    """Return the ConfigMap of what the Services of webhooks were, in ``namespace``, the guard's."""
    return _config_map("what webhook Services were", namespace, WEBHOOK_SERVICES_CONFIG_MAP)


def ledger(namespace: str) -> Collection:
    """Return the ConfigMap of changes under way in ``namespace``, the guard's."""
    return _config_map("the ledger", namespace, LEDGER_CONFIG_MAP)


def _config_map(what: str, namespace: str, name: str) -> Collection:
    words, only = f"{what} (ConfigMap {namespace}/{name})", {"fieldSelector": f"metadata.name={name}"}
    return Collection(words, CONFIG_MAP, namespace, only)
