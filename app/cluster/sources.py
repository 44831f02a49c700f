"""Where the API server's calls to webhooks come from, as far as that can be told without a call.

The order is that of ``api-server-sources.md``: what the admin declares overrides everything; what was
measured and what is found statically add up. Pure: facts in, engine values out.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from app.cluster.facts import AGENT_VALUE, KUBE_SYSTEM
from app.engine.addresses import network_set, place_of
from app.engine.cluster import Endpoint, Provenance, Source
from app.engine.intervals import IntervalSet
from app.engine.policy import PodPeer
from app.engine.selectors import NAMESPACE_NAME_LABEL, Selector

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from app.cluster.facts import Facts
    from app.wire.objects import EndpointSliceFacts

HOST_NETWORK_LABEL = "policy-group.network.openshift.io/host-network"
"""OpenShift (OVN-Kubernetes) gives its host network this label, with an empty value."""

_KUBERNETES = ("default", "kubernetes")


@dataclass(frozen=True, slots=True)
class Discovery:
    """The sources that were found; ``notes`` tell what is missing or not used, and why."""

    sources: tuple[Source, ...]
    notes: tuple[str, ...] = ()


def declared_source(text: str, origin: str = "in the guard's settings under apiServer.sources") -> Source:
    """Return the source that an admin wrote down: an address or a CIDR.

    Raises ``ValueError`` for anything else.

    >>> declared_source("10.20.0.10").addresses == declared_source("10.20.0.10/32").addresses
    True
    """
    return Source(Provenance.DECLARED, origin, addresses=network_set(ip_network(text.strip(), strict=False)))


def discover(
    facts: Facts, *, declared: tuple[Source, ...] = (), measured: tuple[Source, ...] = ()
) -> Discovery:
    """Return the sources of the API server's calls, strongest first.

    ``declared`` overrides everything; a guessed source that ``measured`` holds too is not repeated.
    """
    if declared:
        return Discovery(declared)
    guesses = _guesses(facts)
    proven = {(one.addresses, one.pods) for one in measured}
    guessed = tuple(one for one in guesses if (one.addresses, one.pods) not in proven)
    notes = []
    if facts.agents and any(_is_kubernetes(one) for one in facts.slices):
        notes.append(
            "the API server calls through konnectivity agents, so the endpoints of default/kubernetes"
            " are not taken for sources"
        )
    if not measured and not guessed:
        notes.append("no source of the API server's calls is known: declare them in the settings")
    return Discovery((*measured, *guessed), tuple(notes))


def _guesses(facts: Facts) -> tuple[Source, ...]:
    return (*_addresses(facts), *_agents(facts), *_host_networks(facts))


def _addresses(facts: Facts) -> Iterator[Source]:
    """Yield one source per address, with all the places where it was found."""
    origins: dict[int, list[str]] = {}
    for address, origin in _addresses_with_origin(facts):
        known = origins.setdefault(place_of(address), [])
        if origin not in known:
            known.append(origin)
    for place, found in sorted(origins.items()):
        one = IntervalSet.of((place, place + 1))
        yield Source(Provenance.GUESSED, " and ".join(sorted(found)), addresses=one)


def _addresses_with_origin(facts: Facts) -> Iterator[tuple[str, str]]:
    if not facts.agents:
        for each in facts.slices:
            if _is_kubernetes(each):
                yield from ((one, "EndpointSlice default/kubernetes") for one in _usable(each.addresses))
    for node in facts.nodes:
        if node.is_control_plane:
            yield from ((one, f"control-plane node {node.name}") for one in _usable(node.addresses))


def _agents(facts: Facts) -> Iterator[Source]:
    """Yield the proxy pods through which the API server's calls come where it tunnels (AKS, GKE)."""
    for agent in sorted(facts.agents, key=lambda one: one.key):
        peer = PodPeer.own(KUBE_SYSTEM, Selector.labels({agent.key: AGENT_VALUE}))
        origin = f"pods {agent.key}={AGENT_VALUE} in {KUBE_SYSTEM}"
        yield Source(Provenance.GUESSED, origin, pods=peer)


def _host_networks(facts: Facts) -> Iterator[Source]:
    for name, namespace in sorted(facts.namespaces.items()):
        if namespace.labels.get(HOST_NETWORK_LABEL) == "":
            # Both labels, as such a namespace carries both: a policy may select it by either.
            labels = {HOST_NETWORK_LABEL: "", NAMESPACE_NAME_LABEL: name}
            peer = PodPeer(Selector.labels(labels))
            yield Source(Provenance.GUESSED, f"host network, namespace {name}", pods=peer)


def api_server_endpoints(slices: Iterable[EndpointSliceFacts]) -> tuple[Endpoint, ...]:
    """Return where pods reach the API server: the endpoints of ``default/kubernetes``, of all families."""
    found = {
        (place_of(address), port.number, port.protocol)
        for each in slices
        if _is_kubernetes(each)
        for address in _usable(each.addresses)
        for port in each.ports
        if port.number is not None
    }
    ordered = sorted(found, key=lambda one: (one[0], one[1], one[2].value))
    return tuple(
        Endpoint(IntervalSet.of((place, place + 1)), protocol, number) for place, number, protocol in ordered
    )


def _is_kubernetes(found: EndpointSliceFacts) -> bool:
    return (found.namespace, found.service) == _KUBERNETES


def _usable(addresses: Iterable[str]) -> Iterator[str]:
    """Yield what is an address: an EndpointSlice may hold host names, too."""
    for one in addresses:
        try:
            ip_address(one)
        except ValueError:
            continue
        yield one
