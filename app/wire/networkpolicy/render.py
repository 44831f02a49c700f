"""Engine policies -> NetworkPolicy manifests that a person would write, and that parse back to the same.

Used by ``bootstrap`` and by fixes. What the API cannot say (a policy without types, a label that is absent or
one of some values) is a ``ValueError``: no object that the API takes has such a meaning.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv6Network, ip_network

from app.engine.addresses import ALL_OF, Family, Network, address_at, network_set, networks_of, one_by_one
from app.engine.intervals import IntervalSet
from app.engine.policy import Direction, Peers, PodPeer, Policy, Rule
from app.engine.ports import ALL_PORTS, LAST_PORT, PortSet, at
from app.engine.selectors import NOTHING, LabelSet, Operator, Selector
from app.names import DOMAIN
from app.wire.networkpolicy.shapes import API_VERSION, KIND

JsonObject = dict[str, object]

_FEW_BLOCKS = 3
_MAPPED = IPv6Network("::ffff:0:0/96")
_NOBODY_KEY = f"{DOMAIN}/nobody"
_NO_SELECTOR: JsonObject = {
    "matchExpressions": [
        {"key": _NOBODY_KEY, "operator": Operator.EXISTS.value},
        {"key": _NOBODY_KEY, "operator": Operator.DOES_NOT_EXIST.value},
    ]
}


def _expressions(key: str, accepted: LabelSet) -> Iterator[JsonObject]:
    values = sorted(accepted.values)
    if accepted.cofinite:
        if not accepted.absent:
            yield {"key": key, "operator": Operator.EXISTS.value}
        if values:
            yield {"key": key, "operator": Operator.NOT_IN.value, "values": values}
    elif not accepted.absent:
        yield {"key": key, "operator": Operator.IN.value, "values": values}
    elif values:
        raise ValueError(f"no selector says that {key} is absent or one of {values}")
    else:
        yield {"key": key, "operator": Operator.DOES_NOT_EXIST.value}


def render_selector(selector: Selector) -> JsonObject:
    """Return the ``LabelSelector``: ``matchLabels`` where that says it, ``matchExpressions`` for the rest."""
    if selector == NOTHING:
        return _NO_SELECTOR
    labels: dict[str, str] = {}
    expressions: list[JsonObject] = []
    for key, accepted in selector.terms:
        if not accepted.cofinite and not accepted.absent and len(accepted.values) == 1:
            labels[key] = next(iter(accepted.values))
        else:
            expressions += _expressions(key, accepted)
    manifest: JsonObject = {}
    if labels:
        manifest["matchLabels"] = labels
    if expressions:
        manifest["matchExpressions"] = expressions
    return manifest


def _covering(addresses: IntervalSet) -> Network:
    """Return the smallest network that holds all of ``addresses`` (of one family, not empty)."""
    low, high = addresses.spans[0][0], addresses.spans[-1][1] - 1
    first, last = address_at(low), address_at(high)
    shared = first.max_prefixlen - (int(first) ^ int(last)).bit_length()
    return ip_network(f"{first}/{shared}", strict=False)


def _is_mapped(network: Network) -> bool:
    """Tell whether ``network``, spelled in IPv6, would be read as IPv4 (rule 13); no address is there."""
    return isinstance(network, IPv6Network) and network.subnet_of(_MAPPED)


def _blocks(addresses: IntervalSet) -> Iterator[JsonObject]:
    for family in Family:
        part = addresses & ALL_OF[family]
        plain = [network for network in networks_of(part) if not _is_mapped(network)]
        if len(plain) > _FEW_BLOCKS:
            outer = _covering(part)
            holes = list(networks_of(network_set(outer) - part))
            if len(holes) + 1 < len(plain):
                yield {"cidr": str(outer), "except": [str(hole) for hole in holes]}
                continue
        for network in plain:
            for single in one_by_one(network):
                yield {"cidr": str(single)}


def _pod_peer(peer: PodPeer, namespace: str) -> JsonObject:
    if peer == PodPeer.own(namespace, peer.pods):
        return {"podSelector": render_selector(peer.pods)}
    manifest: JsonObject = {"namespaceSelector": render_selector(peer.namespaces)}
    if peer.pods.terms:
        manifest["podSelector"] = render_selector(peer.pods)
    return manifest


def render_peers(peers: Peers, namespace: str) -> list[JsonObject]:
    """Return the items of ``from`` or ``to``; peers that are nobody are an item that matches nobody."""
    items = [_pod_peer(peer, namespace) for peer in peers.pods]
    items += [{"ipBlock": block} for block in _blocks(peers.addresses)]
    return items or [{"podSelector": _NO_SELECTOR}]


def render_ports(ports: PortSet) -> Iterator[JsonObject]:
    """Yield the items of ``ports``."""
    for low, high in ports.numbers.spans:
        (protocol, first), (_, last) = at(low), at(high - 1)
        if (first, last) == (1, LAST_PORT):
            yield {"protocol": protocol.value}
        elif first == last:
            yield {"protocol": protocol.value, "port": first}
        else:
            yield {"protocol": protocol.value, "port": first, "endPort": last}
    for protocol, name in sorted(ports.names, key=lambda named: (named[0].value, named[1])):
        yield {"protocol": protocol.value, "port": name}


def render_rule(rule: Rule, direction: Direction, namespace: str) -> JsonObject:
    """Return one item of ``ingress`` or ``egress``. Raises ``ValueError`` for a rule without any port."""
    manifest: JsonObject = {}
    if rule.peers is not None:
        manifest[direction.peers_field] = render_peers(rule.peers, namespace)
    if rule.ports != ALL_PORTS:
        manifest["ports"] = list(render_ports(rule.ports))
        if not manifest["ports"]:
            raise ValueError("no rule says that no port passes")
    return manifest


def render_policy(policy: Policy) -> JsonObject:
    """Return the manifest of ``policy``, in canonical spelling and with ``policyTypes`` written out.

    ``terminating`` is not rendered: a manifest cannot ask for it. Raises ``ValueError`` for a meaning that
    the API cannot express.
    """
    if not policy.types:
        raise ValueError("a policy without types cannot be written: the API adds Ingress")
    spec: JsonObject = {"podSelector": render_selector(policy.pods)}
    for direction in Direction:
        rules = policy.ingress if direction is Direction.INGRESS else policy.egress
        if rules:
            spec[direction.field] = [render_rule(rule, direction, policy.namespace) for rule in rules]
    spec["policyTypes"] = [direction.value for direction in Direction if direction in policy.types]
    metadata = {"name": policy.name, "namespace": policy.namespace}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec}
