"""A small IOMETE cluster made at random, and its required flows restated as boxes of brute force.

What the engine derives with selectors, masks and formulas is written down here once more as plain lists of
pods, namespaces, addresses and ports, so that a slip in one of the two shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from itertools import product
from random import Random

from app.engine.addresses import network_set
from app.engine.cluster import Cluster, Endpoint, Provenance, Source, TargetPort, WebhookService
from app.engine.judge import Loss
from app.engine.policy import PodPeer
from app.engine.ports import Protocol
from app.engine.required_flows import IpBlockMatchesPods, Options
from app.engine.selectors import NAMESPACE_NAME_LABEL, Selector
from tests.engine.brute import Box, Port, Space
from tests.engine.oracle import End
from tests.engine.universe import NAMESPACES, OWN, SMALL

MANAGED = ("ns-a", "ns-b")
FUTURE = ("managed ns-c", "ns-new")
"""Managed namespaces of tomorrow: ``ns-c``, which exists but is not managed today, and a new one."""
ADDRESSES = SMALL.addresses
POD_ADDRESS_CLASSES = (*ADDRESSES, "10.0.0.2", "10.1.0.2", "8.8.4.4")
"""The addresses of sources, and one beside each that no rule for a source alone covers."""
POD_ADDRESSES = ("0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16")
WEBHOOK_POD = {"app": "a"}
API_SERVER = "10.1.0.1"
_PODS = "pods"
_DNS = PodPeer(Selector.labels({NAMESPACE_NAME_LABEL: "ns-c"}), Selector.labels(WEBHOOK_POD))
PORTS = tuple(
    Port(protocol.value, number, frozenset(names))
    for protocol in Protocol
    for number in (1, 53, 80, 81, 443, 444)
    for names in ((), ("http",))
)
_TARGETS = (
    TargetPort(Protocol.TCP, 443),
    TargetPort(Protocol.UDP, 80),
    TargetPort(Protocol.TCP, name="http", resolved=frozenset({80})),
    TargetPort(Protocol.TCP, name="http", resolved=frozenset({80, 443})),
    TargetPort(Protocol.TCP, name="http"),
)

Test = Callable[[End], bool]
Where = tuple[frozenset[int], Test, Callable[[Port], bool]]
"""Own labels, peers and ports of a required flow."""
Key = tuple[str, str]
"""A required flow: its row in the table of ``docs/design/decisions.md``, and which of that row."""


def _labels(selector: dict[str, str]) -> frozenset[int]:
    return frozenset(
        index
        for index, label in enumerate(SMALL.labels)
        if all(label.get(k) == v for k, v in selector.items())
    )


def _far_ends(addresses: tuple[str | None, ...]) -> Iterator[End]:
    teams: tuple[dict[str, str], ...] = ({}, *({"team": team} for team in ("x", "true", "zz")))
    for name, labels, ip in product(NAMESPACES, SMALL.labels, addresses):
        yield End(name, dict(NAMESPACES[name].labels), labels, ip)
    for name, team, labels, ip in product(FUTURE, teams, SMALL.labels, addresses):
        own = {"iomete.com/managed": "true", "kubernetes.io/metadata.name": name.removeprefix("managed ")}
        yield End(name, {**own, **team}, labels, ip)
    for address in ADDRESSES:
        yield End(ip=address)


def space(pod_cidr: str | None) -> Space:
    """Return all flows of the small universe; pods have addresses of ``pod_cidr``, or none that counts."""
    addresses: tuple[str | None, ...] = (None,)
    if pod_cidr is not None:
        addresses = tuple(cls_ for cls_ in POD_ADDRESS_CLASSES if _within(cls_, pod_cidr))
    return Space(OWN, tuple(SMALL.labels), tuple(_far_ends(addresses)), PORTS)


def _within(address: str, cidr: str) -> bool:
    return ip_address(address) in ip_network(cidr)


WITHOUT_ADDRESSES = space(None)
WITH_ADDRESSES = {address: space(address) for address in POD_ADDRESSES}


@dataclass(frozen=True)
class Required:
    """One required flow: direction, whether its far end is pods, and who is meant in either view.

    ``rejects``: its loss is a rejection. ``last_rejects``: the loss of a guessed source, which is one where
    no other source gets through to target port number ``target`` either.
    """

    key: Key
    direction: str
    is_pods: bool
    box: Box
    box_with_addresses: Box
    rejects: bool
    last_rejects: bool = False
    target: int | None = None


@dataclass(frozen=True)
class Small:
    """Everything about the cluster but its policies."""

    sources: tuple[Source, ...]
    targets: tuple[TargetPort, ...]
    assumed: bool
    matches_pods: IpBlockMatchesPods
    pod_cidr: str

    @classmethod
    def random(cls, chance: Random) -> Small:
        """Return a cluster with one or two sources and target ports."""
        kinds = chance.choices(tuple(Provenance), k=chance.choice((1, 2)))
        chosen = chance.sample((*ADDRESSES, _PODS), len(kinds))
        sources = tuple(_source(kind, place) for kind, place in zip(kinds, chosen, strict=True))
        targets = tuple(chance.sample(_TARGETS, chance.choice((1, 1, 2))))
        mode = chance.choice(tuple(IpBlockMatchesPods))
        return cls(sources, targets, chance.random() < 0.1, mode, chance.choice(POD_ADDRESSES))

    @property
    def cluster(self) -> Cluster:
        """The engine's value."""
        selector = Selector.labels(WEBHOOK_POD)
        webhook = WebhookService(OWN, "webhook", selector, self.targets, assumed=self.assumed)
        endpoint = Endpoint(network_set(ip_network(API_SERVER)), Protocol.TCP, 443)
        return Cluster(NAMESPACES, {}, self.sources, (webhook,), (endpoint,))

    @property
    def options(self) -> Options:
        """The engine's options."""
        addresses = network_set(ip_network(self.pod_cidr))
        return Options(self.matches_pods, dns=(_DNS,), pod_addresses=addresses)

    @property
    def views(self) -> tuple[bool, ...]:
        """Which views count: that of pods with addresses, that of pods without, or both."""
        match self.matches_pods:
            case IpBlockMatchesPods.YES:
                return (True,)
            case IpBlockMatchesPods.NO:
                return (False,)
        return (False, True)

    @property
    def with_addresses(self) -> Space:
        """The flows where pods have addresses that count."""
        return WITH_ADDRESSES[self.pod_cidr]

    def required(self) -> Iterator[Required]:
        """Yield the required flows."""
        everyone = frozenset(range(len(SMALL.labels)))
        for row, direction in (("managed-ingress", "Ingress"), ("managed-egress", "Egress")):
            yield self._of((row, "existing"), direction, (everyone, _is_managed, _any_port), rejects=True)
            yield self._of((row, "future"), direction, (everyone, _is_future, _any_port), rejects=False)
        dns = (everyone, _is_dns, _is_dns_port)
        yield self._of(("platform-egress", "DNS"), "Egress", dns, rejects=False)
        api = (everyone, lambda end: end.ip == API_SERVER and end.namespace is None, _is_api_port)
        yield self._of(("platform-egress", "the API server"), "Egress", api, rejects=False)
        for source, (index, target) in product(self.sources, enumerate(self.targets)):
            yield self._webhook(source, index, target)

    def _webhook(self, source: Source, index: int, target: TargetPort) -> Required:
        names = frozenset({target.name} - {None})
        numbers = target.resolved if target.number is None else {target.number}

        def is_source(end: End) -> bool:
            if source.pods is not None:
                return _is_dns(end)
            return end.namespace is None and end.ip == source.origin

        def is_target(port: Port) -> bool:
            fits = port.protocol == target.protocol.value and names <= port.names
            return fits and (not numbers or port.number in numbers)

        is_certain = not self.assumed and bool(numbers)
        guessed = source.provenance is Provenance.GUESSED
        made = self._of(
            ("webhook-ingress", f"{source.origin} {index}"),
            "Ingress",
            (_labels(WEBHOOK_POD), is_source, is_target),
            rejects=is_certain and not guessed,
        )
        return replace(made, last_rejects=is_certain and guessed, target=index)

    def _of(self, key: Key, direction: str, where: Where, *, rejects: bool) -> Required:
        own, is_peer, is_port = where
        ports = sum(1 << index for index, port in enumerate(PORTS) if is_port(port))
        boxes = [
            Box(own, frozenset(index for index, peer in enumerate(flows.peers) if is_peer(peer)), ports)
            for flows in (WITHOUT_ADDRESSES, self.with_addresses)
        ]
        is_pods = any(WITHOUT_ADDRESSES.peers[peer].namespace is not None for peer in boxes[0].peers)
        return Required(key, direction, is_pods, boxes[0], boxes[1], rejects)


def _source(known: Provenance, what: str) -> Source:
    if what == _PODS:
        return Source(known, what, pods=_DNS)
    return Source(known, what, addresses=network_set(ip_network(what)))


def _is_managed(end: End) -> bool:
    return end.namespace in MANAGED


def _is_future(end: End) -> bool:
    return end.namespace in FUTURE


def _is_dns(end: End) -> bool:
    return end.namespace == "ns-c" and WEBHOOK_POD.items() <= end.labels.items()


def _any_port(_: Port) -> bool:
    return True


def _is_dns_port(port: Port) -> bool:
    return port.protocol in ("TCP", "UDP") and port.number == 53


def _is_api_port(port: Port) -> bool:
    # Rule 20: a port name never matches an address outside, so there are no names to be tried.
    return (port.protocol, port.number) == ("TCP", 443) and not port.names


def key_of(loss: Loss, small: Small) -> Key:
    """Return which required flow the engine's ``loss`` is about."""
    flow = loss.flow
    if flow.source is not None and flow.port is not None:
        return flow.id.value, f"{flow.source.origin} {small.targets.index(flow.port)}"
    return flow.id.value, flow.label or ("future" if flow.is_future else "existing")
