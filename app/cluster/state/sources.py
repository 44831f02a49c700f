"""Where the API server's calls to webhooks come from, as far as that can be told without a call.

The order is that of ``docs/design/sources.md``: what the admin declares overrides everything; what was
measured, what is found statically and what follows from both add up. Pure: facts in, engine values out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from app.cluster.state.facts import AGENT_VALUE, KUBE_SYSTEM, KUBERNETES, Facts
from app.engine.addresses import Address, Network, address_of, place_of
from app.engine.cluster import Endpoint, Provenance, Source, strongest
from app.engine.intervals import IntervalSet
from app.engine.policy import PodPeer
from app.engine.selectors import NAMESPACE_NAME_LABEL, Selector
from app.model.measured_sources import EXPIRES_OVER, ROUNDS_TO_EXPIRE, Remembered
from app.model.measurement import CallerPlace
from app.wire.objects.nodes import NodeFacts
from app.wire.objects.services import EndpointSliceFacts

HOST_NETWORK_LABEL = "policy-group.network.openshift.io/host-network"
"""OpenShift (OVN-Kubernetes) gives its host network this label, with an empty value."""

_K3S = "+k3s"
"""How its kubelets mark their version: ``v1.37.2+k3s1``."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """The sources that were found; ``notes`` tell what is missing or not used, and why."""

    sources: tuple[Source, ...]
    notes: tuple[str, ...] = ()


def discover(
    facts: Facts,
    *,
    declared: tuple[Source, ...] = (),
    measured: tuple[Source, ...] = (),
) -> Discovery:
    """Return the sources of the API server's calls, each once, the best known first.

    ``declared`` overrides everything; ``measured`` just now add to those that ``facts`` remember. Of these,
    one that expired, and that nothing static lists, is not required any more: its member retired.
    """
    if declared:
        return Discovery(declared)
    static = (*_addresses(facts), *_agents(facts), *_host_networks(facts))
    listed = {(source.addresses, source.pods) for source in static}
    alive, notes = [], [*facts.memory.notes, *_tunnel_notes(facts)]
    for known in facts.memory.measured:
        source = known.source
        is_required = not known.is_expired or (source.addresses, source.pods) in listed
        alive += [known] if is_required else []
        if known.unseen:
            notes.append(_unseen(known, is_required=is_required))
    derived = (found for known in alive for found in siblings(known.place, facts.nodes))
    found = strongest((*measured, *(known.source for known in alive), *static, *derived))
    if not found:
        notes.append("no source of the API server's calls is known: declare them in the settings")
    return Discovery(found, tuple(notes))


def _unseen(known: Remembered, *, is_required: bool) -> str:
    what = f"{known.place}, which was measured ({known.source.origin}), was {known.evidence}"
    if not is_required:
        return f"{what}, and nothing else lists it: it is not required any more"
    if known.is_expired:
        return f"{what}; it is required, as something else lists it"
    limit = f"{ROUNDS_TO_EXPIRE} of them over at least {EXPIRES_OVER.days} days"
    return f"{what}: after {limit} it is not required any more"


def _tunnel_notes(facts: Facts) -> Iterator[str]:
    if facts.agents and facts.slices_of((KUBERNETES,)):
        yield (
            "the API server calls through konnectivity agents, so the endpoints of default/kubernetes"
            " are not taken for sources"
        )


def siblings(place: CallerPlace, nodes: tuple[NodeFacts, ...]) -> Iterator[Source]:
    """Yield what a measured tunnel or gateway address is on the other nodes of the control plane.

    A node's own address in the pod network is either in an annotation, or has the same offset in every node's
    part of it, as flannel's: "derive the same address for every control-plane node; never allow the whole pod
    CIDR" (``docs/design/sources.md``). An address of any other sort has no siblings.
    """
    if place.address is None:
        return
    for address, origin in _tunnels_like(place.address, nodes):
        if address != place.address:
            yield CallerPlace(address).source(origin, Provenance.GUESSED)


def _tunnels_like(address: Address, nodes: tuple[NodeFacts, ...]) -> Iterator[tuple[Address, str]]:
    members = [candidate for candidate in nodes if candidate.is_control_plane]
    for node in nodes:
        for key in (key for key, text in node.tunnels.items() if address_of(text) == address):
            for member in members:
                if (other := address_of(member.tunnels.get(key, ""))) is not None:
                    yield other, f"{key} of control-plane node {member.name}, as measured of {node.name}"
        own = (int(network.network_address) for network in pod_networks(node) if address in network)
        for offset in (int(address) - start for start in own):
            for member in members:
                for network in pod_networks(member):
                    if network.version == address.version and offset < network.num_addresses:
                        origin = f"address {offset} of the pod CIDR of control-plane node {member.name}"
                        yield network[offset], f"{origin}, as measured of {node.name}"


def pod_networks(node: NodeFacts) -> Iterator[Network]:
    """Yield the node's parts of the pod network; what is none, as manifests may have it, is left out."""
    for text in node.pod_cidrs:
        with suppress(ValueError):
            yield ip_network(text, strict=False)


def _addresses(facts: Facts) -> Iterator[Source]:
    """Yield one source per address, with all the places where it was found."""
    origins: dict[int, list[str]] = {}
    for address, origin in _addresses_with_origin(facts):
        known = origins.setdefault(place_of(address), [])
        if origin not in known:
            known.append(origin)
    for place, found in sorted(origins.items()):
        yield Source(Provenance.GUESSED, " and ".join(sorted(found)), addresses=_single(place))


def _single(place: int) -> IntervalSet:
    return IntervalSet.of((place, place + 1))


def _addresses_with_origin(facts: Facts) -> Iterator[tuple[str, str]]:
    if not facts.agents:
        for found in facts.slices_of((KUBERNETES,)):
            yield from ((text, "EndpointSlice default/kubernetes") for text in _usable(found.addresses))
    for node in facts.nodes:
        if node.is_control_plane:
            yield from ((address, f"control-plane node {node.name}") for address in _usable(node.addresses))
            for key, address in node.tunnels.items():
                yield from ((text, f"{key} of control-plane node {node.name}") for text in _usable([address]))
            if _K3S in node.version:
                yield from _flannel_addresses(node)


def _flannel_addresses(node: NodeFacts) -> Iterator[tuple[str, str]]:
    """Yield what k3s's own network plugin calls from: the network address of the server's pod CIDR, or .1."""
    for network in pod_networks(node):
        for offset in range(min(2, network.num_addresses)):
            yield str(network[offset]), f"address {offset} of the pod CIDR of k3s server {node.name}"


def _agents(facts: Facts) -> Iterator[Source]:
    """Yield the proxy pods through which the API server's calls come where it tunnels (AKS, GKE)."""
    for key in sorted({agent.key for agent in facts.agents}):
        peer = PodPeer.own(KUBE_SYSTEM, Selector.labels({key: AGENT_VALUE}))
        origin = f"pods {key}={AGENT_VALUE} in {KUBE_SYSTEM}"
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
        if each.key == KUBERNETES
        for address in _usable(each.addresses)
        for port in each.ports
        if port.number is not None
    }
    ordered = sorted(found, key=lambda endpoint: (endpoint[0], endpoint[1], endpoint[2].value))
    return tuple(Endpoint(_single(place), protocol, number) for place, number, protocol in ordered)


def _usable(addresses: Iterable[str]) -> Iterator[str]:
    """Yield what is an address: an EndpointSlice may hold host names, too."""
    for address in addresses:
        with suppress(ValueError):
            ip_address(address)
            yield address
