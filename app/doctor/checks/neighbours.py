"""Who else talks to managed namespaces or is talked to (``docs/design/iomete.md``): DNS and neighbours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from app.doctor import repairs
from app.doctor.context import Context, by_service
from app.doctor.findings import Check, Finding
from app.doctor.losses import loss_findings
from app.engine.cluster import MANAGED
from app.engine.points import Peer, Point, is_allowed, isolating
from app.engine.policy import Direction, Peers, PodPeer, Policy, Rule
from app.engine.ports import PortSet, Protocol, port_range, position
from app.engine.regions import ExistingPods, Region
from app.engine.required_flows import FlowId, RequiredFlow, Severity
from app.engine.words import labels_words, listed
from app.model.neighbours import NEIGHBOURS, Business, business_of
from app.wire.objects.services import ServiceFacts, ServicePort

_METRICS = "metrics"
_DNS_PORTS = port_range(Protocol.UDP, 53, 53) | port_range(Protocol.TCP, 53, 53)
NEIGHBOUR_SELECTORS = tuple(labels for known in NEIGHBOURS.values() for labels in known)
"""The labels by which pods of gateways and scrapers are found."""


_CHECKS = {Business.GATEWAY: Check.GATEWAY_CUT_OFF, Business.SCRAPER: Check.SCRAPER_CUT_OFF}
_WORDS = {Business.GATEWAY: "the gateway", Business.SCRAPER: "the scraper"}
_CONSEQUENCES = {
    Business.GATEWAY: "users see 503 or time-outs: the UI, JDBC, Arrow Flight and Spark Connect come in"
    " through it",
    Business.SCRAPER: "its metrics and alerts are missing",
}


@dataclass(frozen=True, slots=True)
class _Neighbour:
    """Somebody outside the managed namespaces who has business inside; ``labels`` of one of its pods."""

    service: ServiceFacts
    labels: Mapping[str, str]
    business: Business

    def is_interested(self, port: ServicePort) -> bool:
        """Tell whether it would call this port of a Service."""
        return self.business is Business.GATEWAY or _METRICS in port.name


def examine_neighbours(context: Context) -> Iterator[Finding]:
    """Yield who is cut off."""
    yield from _dns(context)
    webhooks = by_service(context.survey.registrations)
    services: dict[str, list[ServiceFacts]] = {}
    for key, service in context.survey.services.items():
        if service.selector and key not in webhooks:
            services.setdefault(service.namespace, []).append(service)
    for neighbour in _neighbours(context):
        for name in sorted(context.verdicts.guarded):
            if context.includes(name):
                yield from _cut_off(context, neighbour, name, services.get(name, []))


# -- DNS -----------------------------------------------------------------------------------------------------


def _dns(context: Context) -> Iterator[Finding]:
    """Yield DNS pods whose own namespace does not let managed namespaces in."""
    for peer in context.verdicts.options.dns:
        for name, namespace in context.verdicts.cluster.namespaces.items():
            if peer.namespaces.matches(namespace.labels):
                yield from _dns_in(context, peer, name)


def _dns_in(context: Context, peer: PodPeer, namespace: str) -> Iterator[Finding]:
    policies = context.verdicts.cluster.policies.get(namespace, ())
    if not policies or not context.verdicts.guarded:
        return
    region = Region(Direction.INGRESS, peer.pods, ExistingPods(context.verdicts.guarded), _DNS_PORTS)
    flow = RequiredFlow(FlowId.PLATFORM_EGRESS, namespace, region, Severity.WARN, label="DNS")
    losses = context.verdicts.losses(policies, (flow,)) or ()
    for found in loss_findings(losses, policies):
        by = listed(dict.fromkeys(policy.name for loss in losses for policy in loss.isolating))
        yield Finding(
            Check.DNS_CUT_OFF,
            f"the DNS pods of {namespace} do not let managed namespaces in (isolated by {by})",
            namespace,
            evidence=found.evidence,
            consequence="names do not resolve in managed namespaces: jobs fail to start, or hang",
            repair=repairs.applied("let managed namespaces ask DNS", _dns_policy(peer, namespace)),
        )


def _dns_policy(peer: PodPeer, namespace: str) -> Policy:
    rule = Rule(Peers((PodPeer(MANAGED),)), PortSet(_DNS_PORTS))
    return Policy(namespace, "netpol-guard-dns", peer.pods, frozenset({Direction.INGRESS}), (rule,))


# -- gateways and scrapers -----------------------------------------------------------------------------------


def _neighbours(context: Context) -> Iterator[_Neighbour]:
    for key, service in context.survey.services.items():
        namespace = context.verdicts.cluster.namespaces.get(service.namespace)
        if namespace is None or service.namespace in context.verdicts.guarded or namespace.terminating:
            continue
        business = business_of(service.selector)
        if business is not None:
            pods = context.pods_of(key)
            yield _Neighbour(service, pods[0].labels if pods else service.selector, business)


def _cut_off(
    context: Context, neighbour: _Neighbour, namespace: str, services: list[ServiceFacts]
) -> Iterator[Finding]:
    wanted = [
        (service, port) for service in services for port in service.ports if neighbour.is_interested(port)
    ]
    blocked = [(pair, by) for pair in wanted if (by := _blocked_by(context, neighbour, *pair))]
    if not blocked or len(blocked) < len(wanted):
        return
    (service, port), by = blocked[0]
    source = neighbour.service
    yield Finding(
        _CHECKS[neighbour.business],
        f"{_WORDS[neighbour.business]} {source.namespace}/{source.name} reaches no Service of {namespace}",
        namespace,
        evidence=(_example(neighbour, service, port), f"why: {by}"),
        consequence=_CONSEQUENCES[neighbour.business],
        repair=repairs.allowed(namespace, source.namespace),
    )


def _example(neighbour: _Neighbour, service: ServiceFacts, port: ServicePort) -> str:
    source = f"{labels_words(dict(neighbour.labels))} in {neighbour.service.namespace}"
    place = f"Service {service.name} in {service.namespace}"
    return f"example: {source} -> {place}, {port.protocol.value} {port.target}"


def _blocked_by(context: Context, neighbour: _Neighbour, service: ServiceFacts, port: ServicePort) -> str:
    """Return why the neighbour does not reach a port of a Service, empty where it does."""
    cluster = context.verdicts.cluster
    near, far = neighbour.service.namespace, service.namespace
    number, names = _target(port)
    place = position(port.protocol, number)
    ends = (
        (Direction.EGRESS, near, neighbour.labels, far, service.selector),
        (Direction.INGRESS, far, service.selector, near, neighbour.labels),
    )
    for direction, own, labels, other, other_labels in ends:
        peer = Peer(other, cluster.namespaces[other].labels, other_labels)
        point = Point(labels, peer, place, names)
        policies = cluster.policies.get(own, ())
        if not is_allowed(policies, direction, point):
            by = listed(policy.name for policy in isolating(policies, direction, labels))
            return f"isolated for {direction.value} by {by} in {own}; no rule lets it through"
    return ""


def _target(port: ServicePort) -> tuple[int, frozenset[str]]:
    if isinstance(port.target, int):
        return port.target, frozenset()
    return port.port, frozenset({port.target})
