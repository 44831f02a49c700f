"""Pods, Deployments, Secrets and ConfigMaps -> the few facts that say whether something runs, and with what.

Like ``app.wire.objects``: an object as parsed JSON or YAML, or as JSON text; ``UnusableObject`` where it has
not the shape of its kind. Absent and null are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from app.wire.metadata import NO_METADATA, Metadata
from app.wire.objects import Source, read_object
from app.wire.probe import Address, address_of
from app.wire.registrations import decoded

if TYPE_CHECKING:
    from collections.abc import Iterator


class _ContainerPort(msgspec.Struct, rename="camel"):
    container_port: int = 0
    name: str | None = None


class _Container(msgspec.Struct):
    name: str = ""
    image: str | None = None
    ports: list[_ContainerPort] | None = None


class _SecretVolume(msgspec.Struct, rename="camel"):
    secret_name: str | None = None


class _Volume(msgspec.Struct):
    secret: _SecretVolume | None = None


class _PodSpec(msgspec.Struct, rename="camel"):
    containers: list[_Container] | None = None
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
    pod_ips: list[_PodAddress] | None = msgspec.field(name="podIPs", default=None)
    conditions: list[_Condition] | None = None
    container_statuses: list[_ContainerStatus] | None = None


class _Pod(msgspec.Struct):
    metadata: Metadata = NO_METADATA
    spec: _PodSpec | None = None
    status: _PodStatus | None = None


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


def pod_facts(source: Source) -> PodFacts:
    """Return the facts of a Pod."""
    read = read_object(source, _Pod, "Pod")
    spec, status = read.spec or _PodSpec(), read.status or _PodStatus()
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


def _own_addresses(spec: _PodSpec, status: _PodStatus) -> Iterator[Address]:
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


class _Template(msgspec.Struct):
    metadata: Metadata = NO_METADATA
    spec: _PodSpec | None = None


class _DeploymentSpec(msgspec.Struct):
    replicas: int | None = None
    template: _Template | None = None


class _DeploymentStatus(msgspec.Struct, rename="camel"):
    ready_replicas: int | None = None


class _Deployment(msgspec.Struct):
    metadata: Metadata = NO_METADATA
    spec: _DeploymentSpec | None = None
    status: _DeploymentStatus | None = None


@dataclass(frozen=True, slots=True)
class DeploymentFacts:
    """A Deployment: how many pods it wants and how many are ready; ``pod_labels`` are its template's."""

    namespace: str
    name: str
    wanted: int
    ready: int
    labels: Mapping[str, str] = field(default_factory=dict)
    pod_labels: Mapping[str, str] = field(default_factory=dict)
    images: tuple[str, ...] = ()


def deployment_facts(source: Source) -> DeploymentFacts:
    """Return the facts of a Deployment."""
    read = read_object(source, _Deployment, "Deployment")
    spec = read.spec or _DeploymentSpec()
    template = spec.template or _Template()
    containers = (template.spec.containers if template.spec else None) or ()
    return DeploymentFacts(
        read.metadata.namespace,
        read.metadata.name,
        wanted=1 if spec.replicas is None else spec.replicas,
        ready=(read.status.ready_replicas if read.status else None) or 0,
        labels=read.metadata.labels,
        pod_labels=template.metadata.labels,
        images=tuple(one.image for one in containers if one.image),
    )


class _Data(msgspec.Struct):
    metadata: Metadata = NO_METADATA
    data: dict[str, str] | None = None


def config_map_data(source: Source) -> Mapping[str, str]:
    """Return the texts of a ConfigMap by key."""
    return read_object(source, _Data, "ConfigMap").data or {}


def secret_certificate(source: Source) -> bytes:
    """Return the serving certificate of a TLS Secret, PEM; empty where it has none. Never its key."""
    return decoded((read_object(source, _Data, "Secret").data or {}).get("tls.crt"))
