"""Random policies over a small universe, as manifests and as engine values, and all of its flows."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from itertools import product
from random import Random

from app.engine.addresses import address_at, block_set, place_of
from app.engine.intervals import IntervalSet
from app.engine.points import Peer, Point
from app.engine.policy import Direction, Namespace, Peers, PodPeer, Policy, Rule
from app.engine.ports import ALL_PORTS, PortSet, Protocol, at, port_range, position
from app.engine.selectors import Selector
from tests.engine.oracle import End, Flow, Object

OWN = "ns-a"
KEYS = ("app", "tier")
VALUES = ("a", "b")
NAMES = ("ns-a", "ns-b", "ns-c")
CIDRS = ("10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "192.168.0.0/16")
ADDRESSES = ("10.0.0.1", "10.1.0.1", "10.1.2.3", "192.168.7.7", "8.8.8.8")
PORTS = (1, 80, 443, 8080, 65535)
PORT_NAMES = ("http", "metrics")

NAMESPACES = {
    "ns-a": Namespace.of("ns-a", {"iomete.com/managed": "true", "team": "x"}),
    "ns-b": Namespace.of("ns-b", {"iomete.com/managed": "true"}),
    "ns-c": Namespace.of("ns-c", {"team": "x"}),
}


@dataclass(frozen=True)
class Universe:
    """What policies may mention, and so how many classes of flows there are."""

    keys: tuple[str, ...] = KEYS
    values: tuple[str, ...] = VALUES
    cidrs: tuple[str, ...] = CIDRS
    addresses: tuple[str, ...] = ADDRESSES
    ports: tuple[int, ...] = PORTS
    protocols: tuple[Protocol, ...] = tuple(Protocol)
    port_names: tuple[str, ...] = PORT_NAMES

    @property
    def labels(self) -> list[dict[str, str]]:
        """Every class of pod labels that a selector can tell apart."""
        return [
            {key: value for key, value in zip(self.keys, chosen, strict=True) if value is not None}
            for chosen in product((None, *self.values, "zz"), repeat=len(self.keys))
        ]

    def points(self, namespaces: tuple[str, ...] = NAMES) -> list[Point]:
        """Return a point for every class of labels, peer and port that policies can tell apart."""
        labels = self.labels
        peers = [Peer(name, NAMESPACES[name].labels, label) for name in namespaces for label in labels]
        peers += [Peer(address=place_of(address)) for address in self.addresses]
        numbers = sorted({1, *self.ports, *(port + 1 for port in self.ports if port < PORTS[-1])})
        places = [position(protocol, port) for protocol in self.protocols for port in numbers]
        named = ((), *((name,) for name in self.port_names))
        return [
            Point(label, peer, place, frozenset(names))
            for label in labels
            for peer in peers
            for place in places
            for names in named
        ]


_HEAD = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}


def _is_within(inner: str, outer: str) -> bool:
    return block_set(ip_network(inner)).is_subset(block_set(ip_network(outer)))


LARGE = Universe()
SMALL = Universe(
    keys=("app",),
    values=("a",),
    cidrs=("10.0.0.0/8", "10.1.0.0/16"),
    addresses=("10.0.0.1", "10.1.0.1", "8.8.8.8"),
    ports=(80, 443),
    protocols=(Protocol.TCP, Protocol.UDP),
    port_names=("http",),
)
"""So few classes that hundreds of thousands of policy sets can be tried on all of them."""


@dataclass(frozen=True)
class Generator:
    """Makes random, valid policies from a seeded source of chance."""

    chance: Random
    universe: Universe = LARGE

    def selector(self, keys: tuple[str, ...] = (), values: tuple[str, ...] = ()) -> Object:
        """Return a LabelSelector over ``keys`` and ``values``; those of the universe by default."""
        keys, values = keys or self.universe.keys, values or self.universe.values
        most = min(2, len(keys))
        made: Object = {}
        for key in self.chance.sample(keys, min(most, self.chance.choice((0, 0, 1, 1, 2)))):
            operator = self.chance.choice(("match", "In", "NotIn", "Exists", "DoesNotExist"))
            if operator == "match":
                made.setdefault("matchLabels", {})[key] = self.chance.choice(values)
                continue
            one: Object = {"key": key, "operator": operator}
            if operator in ("In", "NotIn"):
                one["values"] = self.chance.sample(values, self.chance.randint(1, len(values)))
            made.setdefault("matchExpressions", []).append(one)
        return made

    def namespace_selector(self) -> Object:
        """Return a namespaceSelector; often one that means something here."""
        match self.chance.randrange(4):
            case 0:
                return {"matchLabels": {"iomete.com/managed": "true"}}
            case 1:
                return {"matchLabels": {"kubernetes.io/metadata.name": self.chance.choice(NAMES)}}
            case 2:
                return {}
        return self.selector(("team", "iomete.com/managed"), ("x", "true"))

    def peer(self) -> Object:
        """Return one item of ``from`` or ``to``."""
        match self.chance.randrange(4):
            case 0:
                cidr = self.chance.choice(self.universe.cidrs)
                inner = [
                    within for within in self.universe.cidrs if within != cidr and _is_within(within, cidr)
                ]
                block: Object = {"cidr": cidr}
                if inner and self.chance.random() < 0.5:
                    block["except"] = self.chance.sample(inner, 1)
                return {"ipBlock": block}
            case 1:
                return {"podSelector": self.selector()}
            case 2:
                return {"namespaceSelector": self.namespace_selector()}
        return {"namespaceSelector": self.namespace_selector(), "podSelector": self.selector()}

    def port(self) -> Object:
        """Return one item of ``ports``, its protocol defaulted."""
        made: Object = {"protocol": self.chance.choice((Protocol.TCP, *self.universe.protocols)).value}
        match self.chance.randrange(4):
            case 0:
                made["port"] = self.chance.choice(self.universe.ports)
            case 1:
                made["port"], made["endPort"] = sorted(self.chance.sample(self.universe.ports, 2))
            case 2:
                made["port"] = self.chance.choice(self.universe.port_names)
        return made

    def rules(self, peers_field: str) -> list[Object]:
        """Return up to three rules."""
        made: list[Object] = []
        for _ in range(self.chance.choice((0, 1, 1, 2, 3))):
            rule: Object = {}
            if self.chance.random() < 0.8:
                rule[peers_field] = [self.peer() for _ in range(self.chance.randint(1, 2))]
            if self.chance.random() < 0.5:
                rule["ports"] = [self.port() for _ in range(self.chance.randint(1, 2))]
            made.append(rule)
        return made

    def policy(self, name: str) -> Object:
        """Return a NetworkPolicy of ``OWN`` as an API server would store it."""
        types = self.chance.choice((["Ingress"], ["Egress"], ["Ingress", "Egress"]))
        spec: Object = {"podSelector": self.selector(), "policyTypes": types}
        spec["ingress"], spec["egress"] = self.rules("from"), self.rules("to")
        metadata = {"name": name, "namespace": OWN}
        return {**_HEAD, "metadata": metadata, "spec": spec}

    def policies(self, most: int) -> list[Object]:
        """Return up to ``most`` policies."""
        return [self.policy(f"p{index}") for index in range(self.chance.randint(0, most))]


def engine_policy(manifest: Object) -> Policy:
    """Return the engine's value of a manifest that this module made."""
    spec, meta = manifest["spec"], manifest["metadata"]
    return Policy(
        meta["namespace"],
        meta["name"],
        Selector.parse(spec["podSelector"]),
        frozenset(Direction(policytype) for policytype in spec["policyTypes"]),
        tuple(_engine_rule(rule, "from", meta["namespace"]) for rule in spec["ingress"]),
        tuple(_engine_rule(rule, "to", meta["namespace"]) for rule in spec["egress"]),
    )


def _engine_rule(rule: Object, peers_field: str, namespace: str) -> Rule:
    peers = None
    if rule.get(peers_field):
        items = rule[peers_field]
        blocks = [item["ipBlock"] for item in items if "ipBlock" in item]
        addresses = IntervalSet.union(
            block_set(ip_network(block["cidr"]), [ip_network(x) for x in block.get("except", [])])
            for block in blocks
        )
        peers = Peers(
            tuple(_engine_peer(item, namespace) for item in items if "ipBlock" not in item), addresses
        )
    return Rule(peers, _engine_ports(rule["ports"]) if rule.get("ports") else ALL_PORTS)


def _engine_peer(peer: Object, namespace: str) -> PodPeer:
    pods = Selector.parse(peer.get("podSelector", {}))
    if "namespaceSelector" not in peer:
        return PodPeer.own(namespace, pods)
    return PodPeer(Selector.parse(peer["namespaceSelector"]), pods)


def _engine_ports(ports: list[Object]) -> PortSet:
    numbers, names = [], []
    for item in ports:
        protocol, port = Protocol(item["protocol"]), item.get("port")
        if port is None:
            numbers.append(port_range(protocol))
        elif isinstance(port, str):
            names.append((protocol, port))
        else:
            numbers.append(port_range(protocol, port, item.get("endPort") or port))
    return PortSet.of(numbers, names)


def as_flow(point: Point, direction: Direction) -> Flow:
    """Return the oracle's flow for a point of ``direction``."""
    own = End(OWN, dict(NAMESPACES[OWN].labels), dict(point.labels))
    peer = point.peer
    address = None if peer.address is None else str(address_at(peer.address))
    other = End(peer.namespace, dict(peer.namespace_labels), dict(peer.labels), address)
    protocol, port = at(point.place)
    source, destination = (other, own) if direction is Direction.INGRESS else (own, other)
    return Flow(source, destination, protocol.value, port, point.port_names)
