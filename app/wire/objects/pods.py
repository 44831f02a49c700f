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
class PodFacts:
    """A pod: what NetworkPolicies see of it; whether it is ready, and if not, why in Kubernetes' word.

    ``secrets`` are the Secrets that it mounts, ``ports`` the container ports that have a name, sidecars
    included. ``is_host_network``: it uses its node's network, where NetworkPolicies do not reach.
    """

    namespace: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    is_ready: bool = True
    reason: str = ""
    secrets: tuple[str, ...] = ()
    ports: tuple[NamedPort, ...] = ()
    addresses: tuple[Address, ...] = ()
    is_host_network: bool = False
    has_ended: bool = False

    @property
    def own_addresses(self) -> tuple[Address, ...]:
        """The addresses that are its alone: it has none in the host's network, and once it has ended."""
        return () if self.is_host_network or self.has_ended else self.addresses

    def is_selected(self, namespace: str, selector: Mapping[str, str]) -> bool:
        """Tell whether the Service of ``namespace`` with ``selector`` selects the pod."""
        return self.namespace == namespace and selector.items() <= dict(self.labels).items()


def pod_facts(source: RawObject) -> PodFacts:
    """Return the facts of a Pod. Raises ``UnusableObject`` where the object is no Pod."""
    read = read_object(source, _Pod, "Pod")
    spec, status = read.spec or PodSpec(), read.status or _PodStatus()
    ready = any(told.type == "Ready" and told.status == "True" for told in status.conditions or ())
    secrets = (volume.secret.secret_name for volume in spec.volumes or () if volume.secret)
    addresses = [told.ip for told in status.pod_ips or ()] or [status.pod_ip or ""]
    return PodFacts(
        read.metadata.namespace,
        read.metadata.name,
        read.metadata.labels,
        is_ready=ready,
        reason="" if ready else next(_troubles(status), "not ready"),
        secrets=tuple(name for name in secrets if name),
        ports=tuple(_named_ports(spec)),
        addresses=tuple(address for text in addresses if (address := address_of(text)) is not None),
        is_host_network=bool(spec.host_network),
        has_ended=status.phase in ("Succeeded", "Failed"),
    )


def _named_ports(spec: PodSpec) -> Iterator[NamedPort]:
    for container in (*(spec.containers or ()), *(spec.init_containers or ())):
        for port in container.ports or ():
            if port.name:
                yield NamedPort(port.name, port.protocol or Protocol.TCP, port.container_port)


def _troubles(status: _PodStatus) -> Iterator[str]:
    """Yield why a pod is not ready, the most telling first."""
    for container in status.container_statuses or ():
        if container.state and container.state.waiting and container.state.waiting.reason:
            yield container.state.waiting.reason
    for condition in status.conditions or ():
        if condition.status == "False" and condition.reason:
            yield condition.reason
    if status.phase and status.phase != "Running":
        yield status.phase
