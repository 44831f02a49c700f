"""Engine values in words, as people of the field write them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from app.engine.addresses import networks_of, one_by_one
from app.engine.cluster import MANAGED, Source, TargetPort, WebhookService
from app.engine.intervals import IntervalSet
from app.engine.points import Peer, Point
from app.engine.policy import Peers, PodPeer, Rule
from app.engine.ports import ALL_PORTS, LAST_PORT, PortSet, at
from app.engine.required_flows import FlowId, RequiredFlow
from app.engine.selectors import EVERYTHING, LabelSet, Selector, pinned_names

_SHOWN = 4
_LABELS_SHOWN = 12


def listed(items: Iterable[str], most: int = _SHOWN) -> str:
    """Return ``a, b and c``; past ``most`` items, how many more there are.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    known = list(items)
    if len(known) > most:
        return f"{', '.join(known[:most])} and {len(known) - most} more"
    if len(known) < 2:  # noqa: PLR2004 - one or none needs no "and"
        return "".join(known)
    return f"{', '.join(known[:-1])} and {known[-1]}"


def selector_words(selector: Selector) -> str:
    """Return a selector as ``kubectl -l`` would take it."""
    return ",".join(_term_words(key, accepted) for key, accepted in selector.terms)


def _term_words(key: str, accepted: LabelSet) -> str:
    values = ",".join(sorted(accepted.values))
    if accepted.cofinite:
        return f"{key} notin ({values})" if values else key
    if not accepted.values:
        return f"!{key}" if accepted.absent else f"{key} in ()"
    return f"{key}={values}" if len(accepted.values) == 1 else f"{key} in ({values})"


def labels_words(labels: Mapping[str, str]) -> str:
    """Return ``a pod``, or ``a pod with labels a=b, c=d``."""
    if not labels:
        return "a pod"
    plural = "label" if len(labels) == 1 else "labels"
    shown = [f"{key}={value}" for key, value in sorted(labels.items())]
    more = f" and {len(shown) - _LABELS_SHOWN} more" if len(shown) > _LABELS_SHOWN else ""
    return f"a pod with {plural} {', '.join(shown[:_LABELS_SHOWN])}{more}"


def pods_words(selector: Selector) -> str:
    """Return ``every pod``, or ``pods with a=b``."""
    return "every pod" if selector == EVERYTHING else f"pods with {selector_words(selector)}"


def addresses_words(addresses: IntervalSet) -> str:
    """Return the CIDRs of ``addresses``, single addresses without their prefix length."""
    return listed(
        str(shown.network_address) if shown.prefixlen == shown.max_prefixlen else str(shown)
        for network in networks_of(addresses)
        for shown in one_by_one(network)
    )


def numbers_words(numbers: IntervalSet) -> str:
    """Return ``TCP 443`` or ``TCP 1-1024 and UDP 53``."""
    return listed(_span_words(low, high) for low, high in numbers.spans)


def _span_words(low: int, high: int) -> str:
    protocol, first = at(low)
    last = at(high - 1)[1]
    if (first, last) == (1, LAST_PORT):
        return f"all {protocol.value}"
    return f"{protocol.value} {first}" if first == last else f"{protocol.value} {first}-{last}"


def ports_words(ports: PortSet) -> str:
    """Return the ports of a rule in words."""
    if ports == ALL_PORTS:
        return "all ports"
    named = [f"{protocol.value} port named {name!r}" for protocol, name in sorted(ports.names, key=str)]
    return listed([*([numbers_words(ports.numbers)] if ports.numbers else []), *named])


def peer_words(peer: PodPeer) -> str:
    """Return the pods of a peer in words."""
    names = pinned_names(peer.namespaces)
    if peer.namespaces == EVERYTHING:
        where = "all namespaces"
    elif peer.namespaces == MANAGED:
        where = "managed namespaces"
    elif names:
        where = f"namespace {listed(sorted(names))}"
    else:
        where = f"namespaces with {selector_words(peer.namespaces)}"
    return f"{pods_words(peer.pods)} of {where}"


def peers_words(peers: Peers | None) -> str:
    """Return the peers of a rule in words."""
    if peers is None:
        return "anyone"
    found = [peer_words(peer) for peer in peers.pods]
    if peers.addresses:
        found.append(addresses_words(peers.addresses))
    return listed(found) or "nobody"


def rule_words(rule: Rule) -> str:
    """Return a rule in words: peers, then ports."""
    return f"{peers_words(rule.peers)}, {ports_words(rule.ports)}"


def place_words(source: Source) -> str:
    """Return where calls of the API server come from in words."""
    if source.addresses is not None:
        return addresses_words(source.addresses)
    return peer_words(source.pods or PodPeer())


def source_words(source: Source) -> str:
    """Return where calls of the API server come from, and where that is known from, in words."""
    return f"{place_words(source)} ({source.origin})"


def missing_words(webhook: WebhookService) -> str:
    """Return that a webhook's Service is missing, and that its requirement stays."""
    ports = listed(map(_target_words, webhook.ports)) or "all of TCP"
    return (
        f"Service {webhook.namespace}/{webhook.name}, named by {listed(webhook.configurations)}, is missing;"
        f" the API server's way to it stays required, as it was seen last:"
        f" to {pods_words(webhook.selector)}, {ports}"
    )


def _target_words(port: TargetPort) -> str:
    if port.name is None:
        return f"{port.protocol.value} {port.number}"
    numbers = f" ({', '.join(map(str, sorted(port.resolved)))})" if port.resolved else ""
    return f"{port.protocol.value} port named {port.name!r}{numbers}"


def far_end_words(peer: Peer) -> str:
    """Return the far end of a witness: a pod in a namespace, or an address."""
    if peer.namespace is None:
        place = peer.address
        return "an address" if place is None else addresses_words(IntervalSet.of((place, place + 1)))
    return f"{labels_words(peer.labels)} in {peer.namespace}"


def witness_words(flow: RequiredFlow, point: Point) -> str:
    """Return one flow of ``flow`` that is lost, from source to destination with its port."""
    near = f"{labels_words(point.labels)} in {flow.namespace}"
    far = far_end_words(point.peer)
    protocol, port = at(point.place)
    source, destination = (far, near) if flow.region.direction.value == "Ingress" else (near, far)
    return f"{source} -> {destination}, {protocol.value} {port}"


def flow_words(flow: RequiredFlow) -> str:
    """Return what a required flow is for, as the object of "would cut"."""
    match flow.id:
        case FlowId.WEBHOOK_INGRESS:
            name = flow.webhook.name if flow.webhook is not None else "the webhook"
            return f"the API server from webhook {name} in {flow.namespace}"
        case FlowId.MANAGED_INGRESS:
            return f"managed namespaces from the pods of {flow.namespace} (ingress)"
        case FlowId.MANAGED_EGRESS:
            return f"the pods of {flow.namespace} from managed namespaces (egress)"
        case FlowId.PLATFORM_EGRESS:
            return f"the pods of {flow.namespace} from {flow.label} (egress)"
