"""Pods as NetworkPolicies and their peers see them: labels, addresses, and the names of ports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from app.engine.addresses import Address, address_of
from app.engine.ports import Protocol
from app.wire.objects.metadata import NO_METADATA, Metadata
from app.wire.objects.read import RawObject, read_object


class _ContainerPort(msgspec.Struct, rename="camel"):
    container_port: int = 0
    name: str | None = None
    protocol: Protocol | None = None


class Container(msgspec.Struct):
    """``Container``, as far as anybody here asks."""

    name: str = ""
    image: str | None = None
    ports: list[_ContainerPort] | None = None


class _SecretVolume(msgspec.Struct, rename="camel"):
    secret_name: str | None = None


class _Volume(msgspec.Struct):
    secret: _SecretVolume | None = None


class PodSpec(msgspec.Struct, rename="camel"):
    """``PodSpec``, as far as anybody here asks."""

    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    volumes: list[_Volume] | None = None
    host_network: bool | None = None


class _Waiting(msgspec.Struct):
    reason: str | None = None


class _State(msgspec.Struct):
    waiting: _Waiting | None = None


class _ContainerStatus(msgspec.Struct):
    state: _State | None = None


class _Condition(msgspec.Struct):
    type: str = ""
    status: str = ""
    reason: str | None = None


class _PodAddress(msgspec.Struct):
    ip: str = ""


class _PodStatus(msgspec.Struct, rename="camel"):
    phase: str | None = None
    pod_ip: str | None = msgspec.field(name="podIP", default=None)
    pod_ips: list[_PodAddress] | None = msgspec.field(name="podIPs", default=None)
    conditions: list[_Condition] | None = None
    container_statuses: list[_ContainerStatus] | None = None


class _Pod(msgspec.Struct):
    metadata: Metadata = NO_METADATA
    spec: PodSpec | None = None
    status: _PodStatus | None = None


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


def pod_identity(source: RawObject) -> PodIdentity:
    """Return what a Pod is to others. Raises ``UnusableObject`` where the object is no Pod."""
    read = read_object(source, _Pod, "Pod")
    spec, status = read.spec or PodSpec(), read.status or _PodStatus()
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


@dataclass(frozen=True, slots=True)
class PodFacts:
    """A pod: whether it is ready, and if not, why in Kubernetes' word.

    ``secrets`` are the Secrets that it mounts, ``ports`` the names of its container ports. ``addresses`` are
    its own: it has none in the host's network, and once it has ended.
    """

    namespace: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    is_ready: bool = True
    reason: str = ""
    secrets: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    addresses: tuple[Address, ...] = ()

    def is_selected(self, namespace: str, selector: Mapping[str, str]) -> bool:
        """Tell whether the Service of ``namespace`` with ``selector`` selects the pod."""
        return self.namespace == namespace and selector.items() <= dict(self.labels).items()


def pod_facts(source: RawObject) -> PodFacts:
    """Return the facts of a Pod."""
    read = read_object(source, _Pod, "Pod")
    spec, status = read.spec or PodSpec(), read.status or _PodStatus()
    meta = read.metadata
    ready = any(one.type == "Ready" and one.status == "True" for one in status.conditions or ())
    secrets = (one.secret.secret_name for one in spec.volumes or () if one.secret)
    names = (port.name for one in spec.containers or () for port in one.ports or ())
    return PodFacts(
        meta.namespace,
        meta.name,
        meta.labels,
        is_ready=ready,
        reason="" if ready else next(_troubles(status), "not ready"),
        secrets=tuple(one for one in secrets if one),
        ports=tuple(one for one in names if one),
        addresses=tuple(_own_addresses(spec, status)),
    )


def _own_addresses(spec: PodSpec, status: _PodStatus) -> Iterator[Address]:
    if spec.host_network or status.phase in ("Succeeded", "Failed"):
        return
    for one in status.pod_ips or ():
        address = address_of(one.ip)
        if address is not None:
            yield address


def _troubles(status: _PodStatus) -> Iterator[str]:
    """Yield why a pod is not ready, the most telling first."""
    for one in status.container_statuses or ():
        if one.state and one.state.waiting and one.state.waiting.reason:
            yield one.state.waiting.reason
    for condition in status.conditions or ():
        if condition.status == "False" and condition.reason:
            yield condition.reason
    if status.phase and status.phase != "Running":
        yield status.phase
