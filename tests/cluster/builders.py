"""Facts of a small cluster, for tests to change one thing of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from app.cluster.state.facts import Facts
from app.engine.policy import Namespace
from app.engine.ports import Protocol
from app.wire.objects.nodes import NodeFacts
from app.wire.objects.services import (
    EndpointFacts,
    EndpointPort,
    EndpointSliceFacts,
    ServiceFacts,
    ServicePort,
)
from app.wire.objects.webhooks import WebhookClient

MANAGED = {"iomete.com/managed": "true"}
KEY = ("iomete-system", "hook")
CLIENT = WebhookClient("MutatingWebhookConfiguration/hook", "hook.example.test", *KEY)
PORT = ServicePort("https", 443, Protocol.TCP, 9443)
SERVICE = ServiceFacts(*KEY, {"app": "hook"}, (PORT,))


def namespace(name: str, labels: Mapping[str, str] | None = None) -> Namespace:
    """Return a namespace that is managed unless other labels are given."""
    return Namespace.of(name, MANAGED if labels is None else labels)


def endpointslice(
    *addresses: str, service: tuple[str, str] = ("default", "kubernetes"), port: int = 6443
) -> EndpointSliceFacts:
    """Return a slice of one endpoint per address, with one port named https."""
    kind = "IPv6" if ":" in "".join(addresses) else "IPv4"
    endpoints = tuple(EndpointFacts((address,), ready=True) for address in addresses)
    ports = (EndpointPort("https", Protocol.TCP, port),)
    return EndpointSliceFacts(service[0], f"{service[1]}-{kind}", service[1], kind, endpoints, ports, {})


def node(name: str, *addresses: str, control_plane: bool = True) -> NodeFacts:
    """Return a node of the control plane, or a worker."""
    return NodeFacts(name, addresses, (), control_plane, {})


def facts(**changes: object) -> Facts:
    """Return a managed namespace with one webhook Service, changed as told."""
    start = Facts(
        namespaces={KEY[0]: namespace(KEY[0]), "default": namespace("default", {})},
        clients=(CLIENT,),
        services={KEY: SERVICE},
        slices=(endpointslice("10.20.0.10"),),
    )
    return replace(start, **changes)  # type: ignore[arg-type]  # tests name the members of Facts
