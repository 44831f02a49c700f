"""The flows that must stay possible, as regions (``docs/design/decisions.md``, Required flows)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from app.engine.addresses import ALL_OF, Family
from app.engine.cluster import MANAGED, Cluster, Provenance, Source, TargetPort, WebhookService
from app.engine.intervals import IntervalSet
from app.engine.policy import Direction, Namespace, PodPeer
from app.engine.ports import ALL_NUMBERS, PortName, Protocol, port_range
from app.engine.regions import ExistingPods, FuturePods, Outside, PeerRegion, Region
from app.engine.selectors import EVERYTHING, NAMESPACE_NAME_LABEL, LabelSet, Selector


class FlowId(Enum):
    """The rows of the table of required flows."""

    WEBHOOK_INGRESS = "webhook-ingress"
    MANAGED_INGRESS = "managed-ingress"
    MANAGED_EGRESS = "managed-egress"
    PLATFORM_EGRESS = "platform-egress"


class Severity(Enum):
    """What the loss of a flow is worth."""

    REJECT = "reject"
    WARN = "warn"


class IpBlockMatchesPods(Enum):
    """Whether the cluster's network plugin lets ``ipBlock`` match pods (rule 13)."""

    UNKNOWN = "unknown"
    YES = "yes"
    NO = "no"


_DNS = (PodPeer.own("kube-system", Selector.labels({"k8s-app": "kube-dns"})),)


@dataclass(frozen=True, slots=True)
class Options:
    """What an admin may decide about the requirements.

    ``dns``: the pods that answer DNS. ``outside``: also warn when egress to the outside world is restricted.
    ``pod_addresses``: the addresses that pods may have, for ``ipBlock`` rules.
    """

    ip_block_matches_pods: IpBlockMatchesPods = IpBlockMatchesPods.UNKNOWN
    dns: tuple[PodPeer, ...] = _DNS
    outside: bool = False
    pod_addresses: IntervalSet = field(default=ALL_OF[Family.IPV4])

    def known_by(self, cluster: Cluster) -> Options:
        """Return the options with what the cluster knows itself, where an admin has not decided."""
        if cluster.blocks_match_pods is None or self.ip_block_matches_pods is not IpBlockMatchesPods.UNKNOWN:
            return self
        matches = IpBlockMatchesPods.YES if cluster.blocks_match_pods else IpBlockMatchesPods.NO
        return replace(self, ip_block_matches_pods=matches)


@dataclass(frozen=True, slots=True)
class RequiredFlow:
    """One region that must stay open for the pods of ``namespace``, and what its loss is worth.

    ``source`` and ``webhook`` are set for ``webhook-ingress``; ``label`` names the far end of a
    ``platform-egress`` flow; ``port`` is the target port of a webhook.
    """

    id: FlowId
    namespace: str
    region: Region
    severity: Severity
    source: Source | None = None
    webhook: WebhookService | None = None
    port: TargetPort | None = None
    label: str = ""

    @property
    def is_future(self) -> bool:
        """Whether the far end is a managed namespace that does not exist yet."""
        return isinstance(self.region.peer, FuturePods) and self.id in _MANAGED

    @property
    def is_pod_to_pod(self) -> bool:
        """Whether both ends are pods, so that ``ipBlock`` may or may not count."""
        return not isinstance(self.region.peer, Outside)


_MANAGED = (FlowId.MANAGED_INGRESS, FlowId.MANAGED_EGRESS)


def guarded_namespaces(cluster: Cluster) -> frozenset[str]:
    """Return the names of the managed namespaces that are not being deleted."""
    return frozenset(
        name
        for name, namespace in cluster.namespaces.items()
        if MANAGED.matches(namespace.labels) and not namespace.terminating
    )


def required_flows(
    cluster: Cluster, namespace: str, options: Options, guarded: frozenset[str]
) -> tuple[RequiredFlow, ...]:
    """Return the flows that the policies of ``namespace`` must leave open, the gravest first.

    ``guarded`` are the namespaces whose pods are required peers: those of the state before the change, so
    that taking a label away does not end the requirement.
    """
    return (
        *_webhook_flows(cluster, namespace),
        *managed_flows(namespace, guarded),
        *_platform_flows(cluster, namespace, options),
    )


def managed_flows(namespace: str, guarded: frozenset[str]) -> Iterator[RequiredFlow]:
    """Yield the flows between the pods of ``namespace`` and those of ``guarded``, today's and to come."""
    future = future_namespaces(guarded)
    for flow, direction in (
        (FlowId.MANAGED_INGRESS, Direction.INGRESS),
        (FlowId.MANAGED_EGRESS, Direction.EGRESS),
    ):
        for peer, severity in ((ExistingPods(guarded), Severity.REJECT), (FuturePods(future), Severity.WARN)):
            region = Region(direction, EVERYTHING, peer, ALL_NUMBERS)
            yield RequiredFlow(flow, namespace, region, severity)


def future_namespaces(taken: frozenset[str], base: Selector = MANAGED) -> Selector:
    """Return the selector of namespaces that match ``base`` and are none of ``taken``; all have a name."""
    name = LabelSet(taken, cofinite=True, absent=False)
    return base & Selector.of([(NAMESPACE_NAME_LABEL, name)])


def _webhook_flows(cluster: Cluster, namespace: str) -> Iterator[RequiredFlow]:
    order = list(Provenance)
    for webhook in cluster.webhooks:
        if webhook.namespace != namespace:
            continue
        for source in sorted(cluster.sources, key=lambda source: order.index(source.provenance)):
            peer = _source_region(source, cluster.namespaces)
            for port, numbers, names in _target_ports(webhook):
                region = Region(Direction.INGRESS, webhook.selector, peer, numbers, names)
                severity = _webhook_severity(webhook, source, port)
                yield RequiredFlow(FlowId.WEBHOOK_INGRESS, namespace, region, severity, source, webhook, port)


def _webhook_severity(webhook: WebhookService, source: Source, port: TargetPort | None) -> Severity:
    unresolved = port is not None and port.name is not None and not port.resolved
    if webhook.assumed or unresolved or source.provenance is Provenance.GUESSED:
        return Severity.WARN
    return Severity.REJECT


def _source_region(source: Source, namespaces: Mapping[str, Namespace]) -> PeerRegion:
    if source.addresses is not None:
        return Outside(source.addresses)
    return _pods_region(source.pods or PodPeer(), namespaces)


def _pods_region(peer: PodPeer, namespaces: Mapping[str, Namespace]) -> PeerRegion:
    """Return where the pods of ``peer`` are: in the namespaces that match today, else in one to come."""
    matching = frozenset(
        name for name, namespace in namespaces.items() if peer.namespaces.matches(namespace.labels)
    )
    if matching:
        return ExistingPods(matching, peer.pods)
    return FuturePods(peer.namespaces, peer.pods)


def _target_ports(
    webhook: WebhookService,
) -> Iterator[tuple[TargetPort | None, IntervalSet, frozenset[PortName]]]:
    """Yield each target port with its numbers and names; without known ports, all TCP (the default)."""
    if not webhook.ports:
        yield None, port_range(Protocol.TCP), frozenset()
    for port in webhook.ports:
        if port.number is not None:
            yield port, port_range(port.protocol, port.number, port.number), frozenset()
        elif port.name is not None:
            spans = [port_range(port.protocol, number, number) for number in port.resolved]
            numbers = IntervalSet.union(spans) if spans else port_range(port.protocol)
            yield port, numbers, frozenset({(port.protocol, port.name)})


def _platform_flows(cluster: Cluster, namespace: str, options: Options) -> Iterator[RequiredFlow]:
    dns_ports = port_range(Protocol.UDP, 53, 53) | port_range(Protocol.TCP, 53, 53)
    ends: list[tuple[str, PeerRegion, IntervalSet]] = []
    ends += [("DNS", _pods_region(peer, cluster.namespaces), dns_ports) for peer in options.dns]
    for endpoint in cluster.api_server:
        port = port_range(endpoint.protocol, endpoint.port, endpoint.port)
        ends.append(("the API server", Outside(endpoint.addresses), port))
    if options.outside:
        everywhere = Outside(ALL_OF[Family.IPV4] | ALL_OF[Family.IPV6])
        ends.append(("addresses outside the cluster", everywhere, ALL_NUMBERS))
    for label, peer, ports in ends:
        region = Region(Direction.EGRESS, EVERYTHING, peer, ports)
        yield RequiredFlow(FlowId.PLATFORM_EGRESS, namespace, region, Severity.WARN, label=label)
