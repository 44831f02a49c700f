"""What the network plugin cannot express of what the policies say (``docs/design/sources.md``, Discovery, 4).

Cilium gives nodes, and the address of ``cilium_host`` on each, identities of their own before it looks at any
CIDR: an ``ipBlock`` does not match them unless ``policyCIDRMatchMode`` includes ``nodes``. So a baseline that
lets such an address in lets nobody in, and all that stands in its text would be a claim.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_network

from app.cluster.client.objects import Objects
from app.cluster.state.resources import CILIUM_CONFIG
from app.cluster.state.sources import pod_networks
from app.engine.addresses import address_of, network_set
from app.engine.cluster import Source
from app.engine.intervals import IntervalSet
from app.engine.words import addresses_words
from app.errors import StateUnreadable
from app.model.kinds import NODE
from app.model.survey import PluginLimit
from app.wire.objects.nodes import NodeFacts, node_facts

_NODE_MATCHING = "policy-cidr-match-mode"


def plugin_limit(objects: Objects, sources: Sequence[Source]) -> PluginLimit | None:
    """Return what the cluster's network plugin cannot express, None where it can as far as is known.

    Where nodes must not be read, every address may be a node's. Never raises.
    """
    try:
        found = objects.get(CILIUM_CONFIG)
    except StateUnreadable:
        return None
    if found is None:
        return None
    try:
        nodes = [node_facts(node) for node in objects.list(NODE)]
    except StateUnreadable:
        nodes = None
    return limit_of(found.get("data") or {}, sources, nodes)


def limit_of(
    cilium: Mapping[str, str], sources: Iterable[Source], nodes: Iterable[NodeFacts] | None
) -> PluginLimit | None:
    """Return what Cilium, so configured, cannot express; ``nodes`` is None where they are not known."""
    if "nodes" in cilium.get(_NODE_MATCHING, "").replace(",", " ").split():
        return None
    by_address = [(source, source.addresses) for source in sources if source.addresses is not None]
    if nodes is not None:
        of_nodes = IntervalSet.union(_addresses(nodes))
        by_address = [(source, addresses) for source, addresses in by_address if addresses & of_nodes]
    if not by_address:
        return None
    places = addresses_words(IntervalSet.union(addresses for _, addresses in by_address))
    return PluginLimit(
        tuple(source for source, _ in by_address),
        f"Cilium does not match nodes by ipBlock here, and the API server calls from nodes ({places}): no"
        " NetworkPolicy can let it in by its address, and the baselines would cut every webhook off",
        "set policyCIDRMatchMode to nodes in Cilium's configuration (key"
        f" {_NODE_MATCHING}: nodes in ConfigMap {CILIUM_CONFIG.namespace}/{CILIUM_CONFIG.name}), restart"
        " its agents, and run this again; or let the API server in by a CiliumNetworkPolicy for the"
        " webhook's pods (fromEntities: host, remote-node, kube-apiserver), which is not judged here",
    )


def _addresses(nodes: Iterable[NodeFacts]) -> Iterator[IntervalSet]:
    """Yield the addresses of nodes, and of the pod network: a source in there is a node's, or a pod's."""
    for node in nodes:
        for text in (*node.addresses, *node.tunnels.values()):
            if (address := address_of(text)) is not None:
                yield network_set(ip_network(address))
        yield from map(network_set, pod_networks(node))
