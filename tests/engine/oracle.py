"""A deliberately simple evaluator for one concrete flow: the API documentation, word by word.

It reads plain manifests as an API server stores them, and shares no code with ``app.engine``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True)
class End:
    """One end of a flow: a pod (``namespace`` given) or an address."""

    namespace: str | None = None
    namespace_labels: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    ip: str | None = None


@dataclass(frozen=True)
class Flow:
    """Traffic of ``source`` to ``port`` of ``destination``, which calls that port ``names``."""

    source: End
    destination: End
    protocol: str
    port: int
    names: frozenset[str] = frozenset()


def selects(selector: Object, labels: dict[str, str]) -> bool:
    """Match labels against a LabelSelector; all requirements are ANDed."""
    wanted = selector.get("matchLabels") or {}
    if any(key not in labels or labels[key] != value for key, value in wanted.items()):
        return False
    return all(_holds(matchexpression, labels) for matchexpression in selector.get("matchExpressions") or [])


def _holds(requirement: Object, labels: dict[str, str]) -> bool:
    key, values = requirement["key"], requirement.get("values") or []
    match requirement["operator"]:
        case "In":
            return key in labels and labels[key] in values
        case "NotIn":
            return key not in labels or labels[key] not in values
        case "Exists":
            return key in labels
    return key not in labels


def peer_matches(peer: Object, other: End, own_namespace: str) -> bool:
    """Match one item of ``from`` or ``to`` against the other end."""
    if block := peer.get("ipBlock"):
        if other.ip is None:
            return False
        address = ip_address(other.ip)
        inside = address in ip_network(block["cidr"])
        return inside and not any(address in ip_network(excepted) for excepted in block.get("except") or [])
    if other.namespace is None:
        return False
    if (namespaces := peer.get("namespaceSelector")) is not None:
        if not selects(namespaces, other.namespace_labels):
            return False
    elif other.namespace != own_namespace:
        return False
    pods = peer.get("podSelector")
    return pods is None or selects(pods, other.labels)


def port_matches(port: Object, flow: Flow) -> bool:
    """Match one item of ``ports`` against protocol, number and names."""
    if port.get("protocol", "TCP") != flow.protocol:
        return False
    wanted = port.get("port")
    if wanted is None:
        return True
    if isinstance(wanted, str):
        return wanted in flow.names
    last = port.get("endPort") or wanted
    return bool(wanted <= flow.port <= last)


def _rule_matches(rule: Object, peers_field: str, flow: Flow, own_namespace: str) -> bool:
    other = flow.source if peers_field == "from" else flow.destination
    peers, ports = rule.get(peers_field) or [], rule.get("ports") or []
    return (not peers or any(peer_matches(peer, other, own_namespace) for peer in peers)) and (
        not ports or any(port_matches(port, flow) for port in ports)
    )


def allowed(policies: list[Object], flow: Flow, direction: str) -> bool:
    """Tell whether ``policies`` allow ``flow``: at the destination for ``Ingress``, else at the source."""
    rules_field, peers_field = ("ingress", "from") if direction == "Ingress" else ("egress", "to")
    pod = flow.destination if direction == "Ingress" else flow.source
    isolated = False
    for policy in policies:
        spec = policy["spec"]
        own_namespace = policy["metadata"]["namespace"]
        if own_namespace != pod.namespace or direction not in spec["policyTypes"]:
            continue
        if not selects(spec.get("podSelector") or {}, pod.labels):
            continue
        isolated = True
        rules = spec.get(rules_field) or []
        if any(_rule_matches(rule, peers_field, flow, own_namespace) for rule in rules):
            return True
    return not isolated
