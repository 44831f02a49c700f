"""Pods as NetworkPolicies and their peers see them: labels, addresses, and the names of ports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from app.engine.ports import Protocol
from app.wire.metadata import NO_METADATA, Metadata
from app.wire.objects import Source, read_object


class _Port(msgspec.Struct, rename="camel"):
    container_port: int = 0
    name: str | None = None
    protocol: Protocol | None = None


class _Container(msgspec.Struct):
    ports: list[_Port] | None = None


class _Spec(msgspec.Struct, rename="camel"):
    containers: list[_Container] | None = None
    init_containers: list[_Container] | None = None
    host_network: bool | None = None


class _Address(msgspec.Struct):
    ip: str = ""


class _Status(msgspec.Struct, rename="camel"):
    pod_ip: str | None = msgspec.field(name="podIP", default=None)
    pod_ips: list[_Address] | None = msgspec.field(name="podIPs", default=None)


class _Pod(msgspec.Struct):
    metadata: Metadata = NO_METADATA
    spec: _Spec | None = None
    status: _Status | None = None


@dataclass(frozen=True, slots=True)
class NamedPort:
    """A container port that has a name."""

    name: str
    protocol: Protocol
    number: int


@dataclass(frozen=True, slots=True)
class PodIdentity:
    """A pod; ``is_host_network``: it uses its node's network, where NetworkPolicies do not reach."""

    namespace: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    addresses: tuple[str, ...] = ()
    ports: tuple[NamedPort, ...] = ()
    is_host_network: bool = False


def pod_identity(source: Source) -> PodIdentity:
    """Return what a Pod is to others. Raises ``UnusableObject`` where the object is no Pod."""
    read = read_object(source, _Pod, "Pod")
    spec, status = read.spec or _Spec(), read.status or _Status()
    listed = [one.ip for one in status.pod_ips or ()] or [status.pod_ip or ""]
    ports = tuple(
        NamedPort(one.name, one.protocol or Protocol.TCP, one.container_port)
        for container in (*(spec.containers or ()), *(spec.init_containers or ()))
        for one in container.ports or ()
        if one.name
    )
    return PodIdentity(
        read.metadata.namespace,
        read.metadata.name,
        read.metadata.labels,
        tuple(one for one in listed if one),
        ports,
        is_host_network=bool(spec.host_network),
    )
