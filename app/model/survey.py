"""What one look at a whole cluster found: the value that the cluster room makes and doctor examines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum

from app.engine.cluster import Cluster, Source
from app.model.measured_sources import NOTHING_REMEMBERED, Memory
from app.wire.objects.pods import PodFacts
from app.wire.objects.services import EndpointSliceFacts, ServiceFacts, ServiceKey
from app.wire.objects.webhooks import Registration
from app.wire.objects.workloads import DeploymentFacts


@dataclass(frozen=True, slots=True)
class Unread:
    """Something that could not be read or tried: what, why, and what would help (an RBAC rule, as a rule)."""

    what: str
    why: str
    how: str = ""


class CallOutcome(Enum):
    """How a connection that the API server made for us went."""

    ANSWERED = "answered"
    FAILED = "failed"
    UNKNOWN = "unknown"


class ConfigMapUse(Enum):
    """Whether the guard uses one of the ConfigMaps that its replicas share."""

    UNKNOWN = "nobody can tell"
    USED = "in use"
    MISSING = "there is no such ConfigMap"
    UNUSED = "a replica says that it is not in use"
    BESIDE_OTHERS = "a replica says that others answer which keep none"


@dataclass(frozen=True, slots=True)
class Call:
    """One real connection from the API server to a webhook's Service; ``said`` is the API server's word."""

    outcome: CallOutcome
    seconds: float = 0.0
    said: str = ""


@dataclass(frozen=True, slots=True)
class OverriddenObject:
    """An object that carries the override annotation, with the reason that somebody gave."""

    kind: str
    namespace: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class PluginLimit:
    """Sources that no NetworkPolicy can let in with this network plugin: why, and what to do instead."""

    sources: tuple[Source, ...]
    why: str
    how: str

    def __str__(self) -> str:
        return f"{self.why}. Instead: {self.how}"


@dataclass(frozen=True, slots=True)
class Survey:
    """A cluster at one moment. What could not be read is empty here and named in ``unread``.

    ``hidden`` are the areas that must not be drawn conclusions about: the resources in ``unread``, plural as
    in an RBAC rule. ``certificates`` are the serving certificates of webhooks (PEM), by Service.
    ``deployments`` and ``pods`` hold only what the checks look at. ``memory`` is which sources were measured,
    and from where reviews came besides; ``limit`` is what the network plugin cannot express.
    ``ledger`` and ``webhook_services``: whether the guard uses its ledger, and keeps what Services were.
    """

    cluster: Cluster = field(default_factory=Cluster)
    registrations: tuple[Registration, ...] = ()
    services: Mapping[ServiceKey, ServiceFacts] = field(default_factory=dict)
    slices: tuple[EndpointSliceFacts, ...] = ()
    pods: tuple[PodFacts, ...] = ()
    deployments: tuple[DeploymentFacts, ...] = ()
    calls: Mapping[ServiceKey, Call] = field(default_factory=dict)
    certificates: Mapping[ServiceKey, bytes] = field(default_factory=dict)
    overrides: tuple[OverriddenObject, ...] = ()
    notes: tuple[str, ...] = ()
    unread: tuple[Unread, ...] = ()
    hidden: frozenset[str] = frozenset()
    memory: Memory = NOTHING_REMEMBERED
    limit: PluginLimit | None = None
    ledger: ConfigMapUse = ConfigMapUse.UNKNOWN
    webhook_services: ConfigMapUse = ConfigMapUse.UNKNOWN
    moment: datetime = field(default_factory=lambda: datetime.now(UTC))
    is_live: bool = True
