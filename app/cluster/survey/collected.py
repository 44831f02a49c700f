"""What one look at a cluster, or a folder of manifests, yields before anybody says where calls come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from app.cluster.state.facts import Facts
from app.cluster.state.snapshot import Snapshot, snapshot_of
from app.cluster.state.webhook_services import with_memory
from app.cluster.survey.cilium import limit_of
from app.engine.cluster import Source
from app.engine.policy import Policy
from app.model.survey import OverriddenObject, Survey
from app.names import NAME, OVERRIDE_ANNOTATION
from app.wire.objects.metadata import Metadata
from app.wire.objects.services import ServiceKey


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
        facts = with_memory(replace(self.facts, has_cilium=self.cilium is not None))
        snapshot = snapshot_of(facts, Snapshot(), declared=declared)
        limit = None if self.cilium is None else limit_of(self.cilium, snapshot.sources, self.facts.nodes)
        cluster = snapshot.with_policies(self.policies)
        return replace(self.survey, cluster=cluster, memory=self.facts.memory, limit=limit)


def overrides_in(kind: str, found: Iterable[Metadata]) -> Iterable[OverriddenObject]:
    """Return the objects among ``found``, all of one kind, that carry the override annotation."""
    return (
        OverriddenObject(kind, metadata.namespace, metadata.name, metadata.annotations[OVERRIDE_ANNOTATION])
        for metadata in found
        if OVERRIDE_ANNOTATION in metadata.annotations
    )
