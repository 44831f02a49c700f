"""What is known of a cluster besides its policies, before anybody draws conclusions from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from app.engine.addresses import Address, place_of
from app.engine.cluster import MANAGED, Source
from app.engine.policy import Namespace, Policy
from app.model.measured_sources import NOTHING_REMEMBERED, Memory
from app.model.seen_services import Seen
from app.wire.objects.nodes import NodeFacts
from app.wire.objects.pods import pod_facts
from app.wire.objects.read import RawObject
from app.wire.objects.services import EndpointSliceFacts, ServiceFacts, ServiceKey
from app.wire.objects.webhooks import WebhookClient

KUBE_SYSTEM = "kube-system"
KUBERNETES = ("default", "kubernetes")
"""The API server's own Service."""
AGENT_LABELS = ("app", "k8s-app")
AGENT_VALUE = "konnectivity-agent"
"""AKS labels its tunnel's pods ``app: konnectivity-agent``, GKE ``k8s-app: konnectivity-agent``."""


@dataclass(frozen=True, slots=True)
class Agent:
    """A konnectivity agent: the label by which all of a cluster's are found, and its addresses."""

    key: str
    addresses: tuple[Address, ...] = ()


def agent_of(source: RawObject) -> Agent | None:
    """Return the konnectivity agent that a Pod is, or None where it is none.

    Raises ``UnusableObject`` where the object is no Pod.
    """
    pod = pod_facts(source)
    if pod.namespace != KUBE_SYSTEM:
        return None
    found = (key for key in AGENT_LABELS if pod.labels.get(key) == AGENT_VALUE)
    return next((Agent(key, pod.own_addresses) for key in found), None)


@dataclass(frozen=True, slots=True)
class Facts:
    """Namespaces by name, and everything that sources and webhook Services are found in.

    ``has_cilium``: Cilium's configuration is there. ``clients`` are where webhooks are served, and ``seen``
    what their Services were when they were seen last; ``memory`` is which sources were measured.
    ``default_assumed``: the configurations that would tell could not be read, so the documented default
    stands in. ``hidden`` are Services that must not be read, and ``unread`` says in words what could not be.
    """

    namespaces: Mapping[str, Namespace] = field(default_factory=dict)
    clients: tuple[WebhookClient, ...] = ()
    services: Mapping[ServiceKey, ServiceFacts] = field(default_factory=dict)
    hidden: frozenset[ServiceKey] = frozenset()
    slices: tuple[EndpointSliceFacts, ...] = ()
    nodes: tuple[NodeFacts, ...] = ()
    agents: frozenset[Agent] = frozenset()
    seen: Seen = field(default_factory=dict)
    memory: Memory = NOTHING_REMEMBERED
    has_cilium: bool = False
    default_assumed: bool = False
    unread: tuple[str, ...] = ()

    @property
    def managed(self) -> frozenset[str]:
        """The names of the managed namespaces."""
        return managed_names(self.namespaces)

    def slices_of(self, keys: Iterable[ServiceKey]) -> tuple[EndpointSliceFacts, ...]:
        """Return the EndpointSlices of these Services."""
        named = set(keys)
        return tuple(found for found in self.slices if found.key in named)


def managed_names(namespaces: Mapping[str, Namespace]) -> frozenset[str]:
    """Return the names of those namespaces that carry the managed label."""
    return frozenset(name for name, found in namespaces.items() if MANAGED.matches(found.labels))


def by_namespace(
    namespaces: Iterable[str], policies: Iterable[Policy | None]
) -> Mapping[str, tuple[Policy, ...]]:
    """Return the policies of each namespace; none is told from not read."""
    grouped: dict[str, list[Policy]] = {name: [] for name in namespaces}
    for policy in policies:
        # A policy of a namespace that was made after the namespaces were listed is of no concern here.
        if policy is not None and policy.namespace in grouped:
            grouped[policy.namespace].append(policy)
    return {name: tuple(found) for name, found in grouped.items()}


@dataclass(frozen=True, slots=True)
class Known:
    """What a peer's address is held against; ``proxies``: the addresses of pods that calls come through."""

    sources: tuple[Source, ...] = ()
    memory: Memory = NOTHING_REMEMBERED
    proxies: frozenset[Address] = frozenset()

    def covers(self, peer: Address) -> bool:
        """Tell whether a known source covers ``peer``."""
        place = place_of(peer)
        return peer in self.proxies or any(
            source.addresses is not None and place in source.addresses for source in self.sources
        )
