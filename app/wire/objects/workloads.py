"""Pods, Deployments, Secrets and ConfigMaps -> the few facts that say whether something runs, and with what.

Like ``app.wire.objects.services``: an object as parsed JSON or YAML, or as JSON text; ``UnusableObject``
where it has not the shape of its kind. Absent and null are the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from app.wire.objects.metadata import NO_METADATA, Metadata
from app.wire.objects.pods import PodSpec
from app.wire.objects.read import RawObject, read_object
from app.wire.objects.webhooks import decoded


class _Template(msgspec.Struct):
    metadata: Metadata = NO_METADATA
    spec: PodSpec | None = None


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


def deployment_facts(source: RawObject) -> DeploymentFacts:
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
        images=tuple(container.image for container in containers if container.image),
    )


class KeyedData(msgspec.Struct):
    """A ConfigMap or a Secret, as far as anybody here asks."""

    metadata: Metadata = NO_METADATA
    data: dict[str, str] | None = None


def config_map_data(source: RawObject) -> Mapping[str, str]:
    """Return the texts of a ConfigMap by key."""
    return read_object(source, KeyedData, "ConfigMap").data or {}


def secret_certificate(source: RawObject) -> bytes:
    """Return the serving certificate of a TLS Secret, PEM; empty where it has none. Never its key."""
    return decoded((read_object(source, KeyedData, "Secret").data or {}).get("tls.crt"))
