"""Who else talks to managed namespaces or is talked to (``docs/design/iomete.md``): DNS and neighbours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from app.doctor import repairs
from app.doctor.context import Context
from app.doctor.findings import Area, Check, Finding, Severity
from app.doctor.losses import loss_findings
from app.engine.cluster import MANAGED
from app.engine.points import Peer, Point, is_allowed, isolating
from app.engine.policy import Direction, Peers, PodPeer, Policy, Rule
from app.engine.ports import PortSet, Protocol, port_range, position
from app.engine.regions import ExistingPods, Region
from app.engine.requirements import FlowId, RequiredFlow
from app.engine.requirements import Severity as Weight
from app.engine.words import labels_words, listed
from app.model.neighbours import NEIGHBOURS, Business, business_of
from app.wire.objects.services import ServiceFacts, ServicePort

_METRICS = "metrics"
_DNS_PORTS = port_range(Protocol.UDP, 53, 53) | port_range(Protocol.TCP, 53, 53)
NEIGHBOUR_SELECTORS = tuple(labels for known in NEIGHBOURS.values() for labels in known)
"""The labels by which pods of gateways and scrapers are found."""


@dataclass(frozen=True, slots=True)
class _Neighbour:
    """Somebody outside the managed namespaces who has business inside; ``labels`` of one of its pods."""

    service: ServiceFacts
    labels: Mapping[str, str]
    check: Check
    words: str
    consequence: str

    def is_interested(self, port: ServicePort) -> bool:
        """Tell whether it would call this port of a Service."""
        return self.check is Check.GATEWAY_CUT_OFF or _METRICS in port.name


def examine_neighbours(context: Context) -> Iterator[Finding]:
    """Yield who is cut off."""
    yield from _dns(context)
    neighbours = tuple(_neighbours(context))
    services: dict[str, list[ServiceFacts]] = {}
    for one in context.survey.services.values():
        if one.selector:
            services.setdefault(one.namespace, []).append(one)
    for neighbour in neighbours:
        for name in sorted(context.verdicts.guarded):
            if context.includes(name):
                yield from _cut_off(context, neighbour, name, services.get(name, []))


# -- DNS -----------------------------------------------------------------------------------------------------


def _dns(context: Context) -> Iterator[Finding]:
    """Yield DNS pods whose own namespace does not let managed namespaces in."""
    for peer in context.verdicts.options.dns:
        names = [
            one.name
            for one in context.verdicts.cluster.namespaces.values()
            if peer.namespaces.matches(one.labels)
        ]
        for name in names:
            yield from _dns_in(context, peer, name)


def _dns_in(context: Context, peer: PodPeer, namespace: str) -> Iterator[Finding]:
    policies = context.verdicts.cluster.policies.get(namespace, ())
    if not policies or not context.verdicts.guarded:
        return
    region = Region(Direction.INGRESS, peer.pods, ExistingPods(context.verdicts.guarded), _DNS_PORTS)
    flow = RequiredFlow(FlowId.PLATFORM_EGRESS, namespace, region, Weight.WARN, label="DNS")
    losses = context.verdicts.losses(policies, (flow,)) or ()
    for one in loss_findings(losses, policies):
        by = listed(dict.fromkeys(each.name for loss in losses for each in loss.isolating))
        yield Finding(
            Check.DNS_CUT_OFF,
            Severity.ERROR,
            Area.NEIGHBOURS,
            f"namespace {namespace}",
            f"the DNS pods of {namespace} do not let managed namespaces in (isolated by {by})",
            namespace,
            one.evidence,
            "names do not resolve in managed namespaces: jobs fail to start, or hang",
            repairs.applied("let managed namespaces ask DNS", _dns_policy(peer, namespace)),
        )


def _dns_policy(peer: PodPeer, namespace: str) -> Policy:
    rule = Rule(Peers((PodPeer(MANAGED),)), PortSet(_DNS_PORTS))
    return Policy(namespace, "netpol-guard-dns", peer.pods, frozenset({Direction.INGRESS}), (rule,))


# -- gateways and scrapers -----------------------------------------------------------------------------------


def _neighbours(context: Context) -> Iterator[_Neighbour]:
    for service in context.survey.services.values():
        namespace = context.verdicts.cluster.namespaces.get(service.namespace)
        if namespace is None or service.namespace in context.verdicts.guarded or namespace.terminating:
            continue
        pods = context.pods_of((service.namespace, service.name))
        labels = pods[0].labels if pods else service.selector
        business = business_of(service.selector)
        if business is Business.GATEWAY:
            yield _Neighbour(
                service,
                labels,
                Check.GATEWAY_CUT_OFF,
                "the gateway",
                "users see 503 or time-outs: the UI, JDBC, Arrow Flight and Spark Connect come in through it",
            )
        elif business is Business.SCRAPER:
            yield _Neighbour(
                service, labels, Check.SCRAPER_CUT_OFF, "the scraper", "its metrics and alerts are missing"
            )


def _cut_off(
    context: Context, neighbour: _Neighbour, namespace: str, services: list[ServiceFacts]
) -> Iterator[Finding]:
    webhooks = {
        (one.client.namespace, one.client.service)
        for one in context.survey.registrations
        if one.client.service
    }
    wanted = [
        (service, port)
        for service in services
        if (service.namespace, service.name) not in webhooks
        for port in service.ports
        if neighbour.is_interested(port)
    ]
    blocked = [(pair, by) for pair in wanted if (by := _blocked_by(context, neighbour, *pair))]
    if not blocked or len(blocked) < len(wanted):
        return
    (service, port), by = blocked[0]
    source = neighbour.service
    yield Finding(
        neighbour.check,
        Severity.WARNING,
        Area.NEIGHBOURS,
        f"namespace {namespace}",
        f"{neighbour.words} {source.namespace}/{source.name} reaches no Service of {namespace}",
        namespace,
        (_example(neighbour, service, port), f"why: {by}"),
        neighbour.consequence,
        repairs.allowed(namespace, source.namespace),
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
            by = listed(one.name for one in isolating(policies, direction, labels))
            return f"isolated for {direction.value} by {by} in {own}; no rule lets it through"
    return ""


def _target(port: ServicePort) -> tuple[int, frozenset[str]]:
    if isinstance(port.target, int):
        return port.target, frozenset()
    return port.port, frozenset({port.target})
