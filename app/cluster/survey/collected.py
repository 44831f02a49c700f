"""What one look at a cluster, or a folder of manifests, yields before anybody says where calls come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from app.cluster.state.cilium import limit_of
from app.cluster.state.facts import Agent, Facts
from app.cluster.state.snapshot import Snapshot, snapshot_of
from app.engine.cluster import Source
from app.engine.policy import Namespace, Policy
from app.model.kinds import MUTATING
from app.model.survey import OverriddenObject, ServiceKey, Survey
from app.names import NAME, OVERRIDE_ANNOTATION
from app.wire.objects.metadata import Metadata
from app.wire.objects.nodes import NodeFacts
from app.wire.objects.registrations import Registration
from app.wire.objects.services import EndpointSliceFacts, ServiceFacts

KUBERNETES = ("default", "kubernetes")


@dataclass(frozen=True, slots=True)
class Questions:
    """What to look for beside what is always read.

    ``guard`` is namespace and name of the guard's objects; ``neighbours`` are label selectors of pods outside
    the managed namespaces that have business inside; ``calls`` tells whether webhooks are really called.
    """

    guard: ServiceKey = (NAME, NAME)
    neighbours: tuple[Mapping[str, str], ...] = ()
    calls: bool = True


@dataclass(frozen=True, slots=True)
class Collected:
    """What was read; ``settings`` is the text of the guard's settings, "" without.

    ``cilium`` is the data of Cilium's ConfigMap, None where there is none.
    """

    facts: Facts
    survey: Survey
    policies: Mapping[str, tuple[Policy, ...]]
    settings: str = ""
    cilium: Mapping[str, str] | None = None

    def judged(self, declared: tuple[Source, ...] = ()) -> Survey:
        """Return the survey, with the API server's sources as declared, or else as measured and found."""
        now = datetime.now(UTC)
        snapshot = snapshot_of(self.facts, Snapshot(), declared=declared, now=now)
        limit = None if self.cilium is None else limit_of(self.cilium, snapshot.sources, self.facts.nodes)
        return replace(
            self.survey,
            cluster=snapshot.with_policies(self.policies),
            unknown_peers=self.facts.memory.unknown,
            limit=limit,
        )


@dataclass(frozen=True, slots=True)
class Lists:
    """What the lists of a live cluster said."""

    namespaces: Mapping[str, Namespace]
    registrations: tuple[Registration, ...]
    services: Mapping[ServiceKey, ServiceFacts]
    slices: tuple[EndpointSliceFacts, ...]
    nodes: tuple[NodeFacts, ...]
    agents: frozenset[Agent]

    def watched_services(self, guard: ServiceKey) -> frozenset[ServiceKey]:
        """Return the Services of managed namespaces that serve webhooks, and the guard's."""
        managed = Facts(namespaces=self.namespaces).managed
        named = {
            (one.client.namespace, one.client.service) for one in self.registrations if one.client.service
        }
        return frozenset(key for key in named if key[0] in managed or key == guard)

    def slices_of(self, keys: Iterable[ServiceKey]) -> tuple[EndpointSliceFacts, ...]:
        """Return the EndpointSlices of these Services."""
        wanted = set(keys)
        return tuple(one for one in self.slices if (one.namespace, one.service) in wanted)

    def is_ready(self, key: ServiceKey) -> bool:
        """Tell whether a Service has an endpoint that is ready."""
        return any(endpoint.ready for one in self.slices_of((key,)) for endpoint in one.endpoints)

    def ports(self, keys: frozenset[ServiceKey]) -> list[tuple[ServiceKey, int]]:
        """Return a port to call for each of these Services that exists."""
        ports = {(one.client.namespace, one.client.service): one.client.port for one in self.registrations}
        return [(key, ports[key]) for key in sorted(keys) if key in self.services]

    def facts(self, watched: frozenset[ServiceKey], hidden: frozenset[str]) -> Facts:
        """Return what discovery works from: the same value as the webhook's caches make."""
        return Facts(
            namespaces=self.namespaces,
            clients=tuple(one.client for one in self.registrations),
            services=self.services,
            hidden=watched if "services" in hidden else frozenset(),
            slices=self.slices_of({*watched, KUBERNETES}),
            nodes=self.nodes,
            agents=self.agents,
            default_assumed=MUTATING.resource in hidden,
        )


def overrides_in(kind: str, found: Iterable[Metadata]) -> Iterable[OverriddenObject]:
    """Return the objects among ``found``, all of one kind, that carry the override annotation."""
    return (
        OverriddenObject(kind, one.namespace, one.name, one.annotations[OVERRIDE_ANNOTATION])
        for one in found
        if OVERRIDE_ANNOTATION in one.annotations
    )


def by_namespace(
    namespaces: Iterable[str], policies: Iterable[Policy | None]
) -> Mapping[str, tuple[Policy, ...]]:
    """Return the policies of each namespace; none is told from not read."""
    grouped: dict[str, list[Policy]] = {name: [] for name in namespaces}
    for one in policies:
        # A policy of a namespace that was made after the namespaces were listed is of no concern here.
        if one is not None and one.namespace in grouped:
            grouped[one.namespace].append(one)
    return {name: tuple(found) for name, found in grouped.items()}
