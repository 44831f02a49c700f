"""Services, EndpointSlices and nodes -> the few facts that discovery needs.

Each function takes an object as parsed JSON or YAML, or as JSON text, and raises ``UnusableObject`` where it
has not the shape of its kind. Absent and null are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from app.engine.ports import Protocol
from app.wire.objects.metadata import NO_METADATA, Metadata
from app.wire.objects.read import RawObject, read_object

SERVICE_NAME_LABEL = "kubernetes.io/service-name"

ServiceKey = tuple[str, str]
"""Namespace and name of a Service."""


class _ServicePort(msgspec.Struct, rename="camel"):
    port: int
    name: str | None = None
    protocol: Protocol | None = None
    target_port: int | str | None = None


class _ServiceSpec(msgspec.Struct, rename="camel"):
    type: str | None = None
    selector: dict[str, str] | None = None
    ports: list[_ServicePort] | None = None
    external_name: str | None = None


class _Service(msgspec.Struct):
    metadata: Metadata = NO_METADATA
    spec: _ServiceSpec | None = None


@dataclass(frozen=True, slots=True)
class ServicePort:
    """A port of a Service; ``target`` is the pods' port, as a number or a container port's name."""

    name: str
    port: int
    protocol: Protocol
    target: int | str


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """A Service; ``selector`` is empty where it has none (then EndpointSlices are written by hand)."""

    namespace: str
    name: str
    selector: Mapping[str, str]
    ports: tuple[ServicePort, ...]
    is_external_name: bool = False

    @property
    def key(self) -> ServiceKey:
        """Namespace and name."""
        return self.namespace, self.name


def service_facts(source: RawObject) -> ServiceFacts:
    """Return the facts of a Service; a ``targetPort`` that is absent is the port itself."""
    read = read_object(source, _Service, "Service")
    spec = read.spec or _ServiceSpec()
    ports = tuple(
        ServicePort(port.name or "", port.port, port.protocol or Protocol.TCP, port.target_port or port.port)
        for port in spec.ports or ()
    )
    external = spec.type == "ExternalName"
    return ServiceFacts(read.metadata.namespace, read.metadata.name, spec.selector or {}, ports, external)


class _Conditions(msgspec.Struct):
    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class _Target(msgspec.Struct):
    kind: str | None = None
    name: str | None = None


class _Endpoint(msgspec.Struct, rename="camel"):
    addresses: list[str] | None = None
    conditions: _Conditions | None = None
    target_ref: _Target | None = None


class _EndpointPort(msgspec.Struct):
    name: str | None = None
    protocol: Protocol | None = None
    port: int | None = None


class _EndpointSlice(msgspec.Struct, rename="camel"):
    metadata: Metadata = NO_METADATA
    address_type: str | None = None
    endpoints: list[_Endpoint] | None = None
    ports: list[_EndpointPort] | None = None


@dataclass(frozen=True, slots=True)
class EndpointPort:
    """What a Service's port resolved to; ``name`` is the *Service* port's; no number means all ports."""

    name: str
    protocol: Protocol
    number: int | None


@dataclass(frozen=True, slots=True)
class EndpointFacts:
    """The addresses of one pod or host. Unknown readiness counts as ready, as the API says.

    ``pod`` is its name, "" for no pod. ``may_answer``: requests may reach it, be it on an old connection.
    """

    addresses: tuple[str, ...]
    ready: bool
    pod: str = ""
    may_answer: bool = True


@dataclass(frozen=True, slots=True)
class EndpointSliceFacts:
    """An EndpointSlice of the Service called ``service``; ``address_type`` is IPv4, IPv6 or FQDN."""

    namespace: str
    name: str
    service: str
    address_type: str
    endpoints: tuple[EndpointFacts, ...]
    ports: tuple[EndpointPort, ...]
    labels: Mapping[str, str]

    @property
    def key(self) -> ServiceKey:
        """The Service."""
        return self.namespace, self.service

    @property
    def addresses(self) -> tuple[str, ...]:
        """All addresses, of ready endpoints and others."""
        return tuple(address for endpoint in self.endpoints for address in endpoint.addresses)


def _endpoint_facts(endpoint: _Endpoint, conditions: _Conditions) -> EndpointFacts:
    ready, target = conditions.ready is not False, endpoint.target_ref
    pod = target.name or "" if target is not None and target.kind == "Pod" else ""
    may_answer = ready or bool(conditions.serving) or bool(conditions.terminating)
    return EndpointFacts(tuple(endpoint.addresses or ()), ready, pod, may_answer)


def endpointslice_facts(source: RawObject) -> EndpointSliceFacts:
    """Return the facts of an EndpointSlice."""
    read = read_object(source, _EndpointSlice, "EndpointSlice")
    endpoints = tuple(
        _endpoint_facts(endpoint, endpoint.conditions or _Conditions()) for endpoint in read.endpoints or ()
    )
    ports = tuple(
        EndpointPort(port.name or "", port.protocol or Protocol.TCP, port.port) for port in read.ports or ()
    )
    meta = read.metadata
    service = meta.labels.get(SERVICE_NAME_LABEL, "")
    kind = read.address_type or ""
    return EndpointSliceFacts(meta.namespace, meta.name, service, kind, endpoints, ports, meta.labels)
