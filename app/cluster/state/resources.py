"""What is read of a cluster besides its policies: which lists, and how their items are parsed."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from app.cluster.client.listing import Collection
from app.cluster.state.facts import AGENT_VALUE, KUBE_SYSTEM
from app.names import SOURCES_CONFIG_MAP
from app.wire.objects.nodes import CONTROL_PLANE_LABELS
from app.wire.objects.services import SERVICE_NAME_LABEL
from app.wire.objects.webhooks import WebhookClient, webhook_clients

_ADMISSION = "admissionregistration.k8s.io"
_DISCOVERY = "discovery.k8s.io"
_DEFINITIONS_PAGE = 20
"""A CustomResourceDefinition can have half a megabyte, of which three lines are kept."""

NAMESPACES = Collection("the namespaces", "", "namespaces", "/api/v1/namespaces")
NODES = Collection(
    "the control-plane nodes", "", "nodes", "/api/v1/nodes", {"labelSelector": CONTROL_PLANE_LABELS[0]}
)
DEFINITIONS = Collection(
    "the CustomResourceDefinitions",
    "apiextensions.k8s.io",
    "customresourcedefinitions",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    page=_DEFINITIONS_PAGE,
)


def configurations(
    sort: str,
) -> tuple[Collection, Callable[[msgspec.Raw], tuple[WebhookClient, ...] | None]]:
    """Return the list of the ``Mutating`` or ``Validating`` configurations, and the parser of its items."""
    kind = f"{sort}WebhookConfiguration"
    plural = f"{kind.lower()}s"
    collection = Collection(f"the {kind}s", _ADMISSION, plural, f"/apis/{_ADMISSION}/v1/{plural}")
    return collection, lambda raw: webhook_clients(raw, kind) or None


def service(namespace: str, name: str) -> Collection:
    """Return one Service, as a list that can be watched."""
    return Collection(
        f"Service {namespace}/{name}",
        "",
        "services",
        f"/api/v1/namespaces/{namespace}/services",
        {"fieldSelector": f"metadata.name={name}"},
        namespace,
    )


def slices(namespace: str, service: str) -> Collection:
    """Return the EndpointSlices of one Service."""
    return Collection(
        f"the EndpointSlices of Service {namespace}/{service}",
        _DISCOVERY,
        "endpointslices",
        f"/apis/{_DISCOVERY}/v1/namespaces/{namespace}/endpointslices",
        {"labelSelector": f"{SERVICE_NAME_LABEL}={service}"},
        namespace,
    )


def agents(key: str) -> Collection:
    """Return the konnectivity agents that carry the label ``key``."""
    return Collection(
        f"the konnectivity agents ({key}={AGENT_VALUE})",
        "",
        "pods",
        f"/api/v1/namespaces/{KUBE_SYSTEM}/pods",
        {"labelSelector": f"{key}={AGENT_VALUE}"},
        KUBE_SYSTEM,
    )


def remembered(namespace: str) -> Collection:
    """Return the ConfigMap of measured sources in ``namespace``, the guard's."""
    return Collection(
        f"the measured sources (ConfigMap {namespace}/{SOURCES_CONFIG_MAP})",
        "",
        "configmaps",
        f"/api/v1/namespaces/{namespace}/configmaps",
        {"fieldSelector": f"metadata.name={SOURCES_CONFIG_MAP}"},
        namespace,
    )
