"""The part of a cluster's state that decides about required flows, as one immutable value.

Whoever reads state (a directory, a live cluster, the files given to ``check``) delivers this; the engine
never asks where it came from.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from app.engine.intervals import IntervalSet
from app.engine.policy import Namespace, PodPeer, Policy
from app.engine.ports import Protocol
from app.engine.selectors import Selector

MANAGED_LABEL = "iomete.com/managed"
MANAGED_VALUE = "true"
MANAGED = Selector.labels({MANAGED_LABEL: MANAGED_VALUE})
"""Selects the namespaces whose flows are guarded."""


class Provenance(Enum):
    """How an API server source is known, strongest first (``docs/design/decisions.md``, Required flows)."""

    DECLARED = "declared"
    MEASURED = "measured"
    GUESSED = "guessed"


@dataclass(frozen=True, slots=True)
class Source:
    """Where calls of the API server come from: addresses, or proxy pods (konnectivity, host network).

    Exactly one of ``addresses`` and ``pods`` is set. ``origin`` says in words where this is known from, e.g.
    ``EndpointSlice default/kubernetes``.
    """

    provenance: Provenance
    origin: str
    addresses: IntervalSet | None = None
    pods: PodPeer | None = None


def strongest(sources: Iterable[Source]) -> tuple[Source, ...]:
    """Return the sources, the strongest first, each place once: as what it is known best.

    >>> guessed = Source(Provenance.GUESSED, "an EndpointSlice")
    >>> [source.origin for source in strongest([guessed, Source(Provenance.MEASURED, "a probe")])]
    ['a probe']
    """
    order = {provenance: index for index, provenance in enumerate(Provenance)}
    found: dict[tuple[IntervalSet | None, PodPeer | None], Source] = {}
    for source in sorted(sources, key=lambda source: order[source.provenance]):
        found.setdefault((source.addresses, source.pods), source)
    return tuple(found.values())


@dataclass(frozen=True, slots=True)
class TargetPort:
    """A ``targetPort`` of a webhook Service: a number, or a name with what EndpointSlices resolve it to."""

    protocol: Protocol
    number: int | None = None
    name: str | None = None
    resolved: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class WebhookService:
    """A Service of a guarded namespace that a webhook configuration names.

    ``configurations`` are those that name it, e.g. ``MutatingWebhookConfiguration/spark-operator-x``.
    ``assumed`` marks the documented default, used where webhook configurations cannot be read; ``is_missing``
    that there is no such Service now, so that pods and ports are those that it had.
    """

    namespace: str
    name: str
    selector: Selector
    ports: tuple[TargetPort, ...]
    configurations: tuple[str, ...] = ()
    assumed: bool = False
    is_missing: bool = False


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address and port at which pods reach the API server."""

    addresses: IntervalSet
    protocol: Protocol
    port: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """Namespaces by name, policies by namespace, and the facts that required flows follow from.

    ``policies`` holds only the namespaces that were read for the question at hand. ``blocks_match_pods``:
    whether the network plugin lets ``ipBlock`` match pods (rule 13); None where that is not known.
    """

    namespaces: Mapping[str, Namespace] = field(default_factory=dict)
    policies: Mapping[str, tuple[Policy, ...]] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()
    webhooks: tuple[WebhookService, ...] = ()
    api_server: tuple[Endpoint, ...] = ()
    blocks_match_pods: bool | None = None
