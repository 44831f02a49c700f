"""Every flow of a small universe at once: what policies allow, as bit masks over peers and ports.

The matching is the oracle's, one selector, peer item and port item at a time; nothing of ``app.engine`` takes
part. Only the bookkeeping differs from asking the oracle flow by flow, and a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.engine import oracle
from tests.engine.oracle import End, Flow, Object


@dataclass(frozen=True)
class Port:
    """A port of the destination, with the names that its container ports give to it."""

    protocol: str
    number: int
    names: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Space:
    """The flows to try: every pod of ``own`` labels with every peer on every port."""

    namespace: str
    own: tuple[dict[str, str], ...]
    peers: tuple[End, ...]
    ports: tuple[Port, ...]
    _masks: dict[str, int] = field(default_factory=dict, compare=False)

    @property
    def all_ports(self) -> int:
        """The mask of every port."""
        return (1 << len(self.ports)) - 1

    def flow(self, place: tuple[int, int, int], direction: str) -> Flow:
        """Return the flow at a place: own labels, peer and port by index."""
        own = End(self.namespace, {}, self.own[place[0]])
        peer, port = self.peers[place[1]], self.ports[place[2]]
        source, destination = (peer, own) if direction == "Ingress" else (own, peer)
        return Flow(source, destination, port.protocol, port.number, port.names)

    def matching_peers(self, items: Sequence[Object]) -> int:
        """Return the mask of the peers that one of ``items`` matches; no items match everyone (rule 9)."""
        found = 0 if items else (1 << len(self.peers)) - 1
        for item in items:
            found |= self._remembered(item, self._peers_of)
        return found

    def matching_ports(self, items: Sequence[Object]) -> int:
        """Return the mask of the ports that one of ``items`` matches; no items match all (rule 9)."""
        found = 0 if items else self.all_ports
        for item in items:
            found |= self._remembered(item, self._ports_of)
        return found

    def _remembered(self, item: Object, mask_of: Callable[[Object], int]) -> int:
        """The same few items come again and again."""
        key = repr(item)
        mask = self._masks.get(key)
        if mask is None:
            mask = self._masks[key] = mask_of(item)
        return mask

    def _peers_of(self, item: Object) -> int:
        matches = (oracle.peer_matches(item, peer, self.namespace) for peer in self.peers)
        return sum(1 << index for index, matching in enumerate(matches) if matching)

    def _ports_of(self, item: Object) -> int:
        nobody = End()
        flows = (Flow(nobody, nobody, port.protocol, port.number, port.names) for port in self.ports)
        return sum(1 << index for index, flow in enumerate(flows) if oracle.port_matches(item, flow))


Allowed = tuple[tuple[int, ...], ...]
"""For each class of own labels and each peer the mask of the ports that are allowed."""


def allowed(space: Space, policies: Sequence[Object], direction: str) -> Allowed:
    """Return what ``policies``, all of the space's namespace, allow in ``direction``."""
    judged = [
        _Policy(space, policy, direction) for policy in policies if direction in policy["spec"]["policyTypes"]
    ]
    return tuple(_ports_by_peer(space, judged, labels) for labels in space.own)


class _Policy:
    def __init__(self, space: Space, policy: Object, direction: str) -> None:
        spec = policy["spec"]
        peers_field = "from" if direction == "Ingress" else "to"
        self.selector = spec.get("podSelector") or {}
        self.rules = [
            (space.matching_peers(rule.get(peers_field) or []), space.matching_ports(rule.get("ports") or []))
            for rule in spec.get(direction.lower()) or []
        ]


def _ports_by_peer(space: Space, judged: Sequence[_Policy], labels: dict[str, str]) -> tuple[int, ...]:
    selecting = [policy for policy in judged if oracle.selects(policy.selector, labels)]
    if not selecting:
        return (space.all_ports,) * len(space.peers)
    rules = [rule for policy in selecting for rule in policy.rules]
    found = []
    for index in range(len(space.peers)):
        ports = 0
        for peers, mask in rules:
            if peers >> index & 1:
                ports |= mask
        found.append(ports)
    return tuple(found)


@dataclass(frozen=True)
class Box:
    """A required flow: which own labels, which peers and which ports of a space it is about."""

    own: frozenset[int]
    peers: frozenset[int]
    ports: int


def lost(box: Box, state: Allowed) -> dict[tuple[int, int], int]:
    """Return what ``state`` does not allow of ``box``: ports by own labels and peer."""
    found = {}
    for own in box.own:
        for peer in box.peers:
            ports = box.ports & ~state[own][peer]
            if ports:
                found[own, peer] = ports
    return found


def newly_lost(box: Box, before: Allowed, after: Allowed) -> dict[tuple[int, int], int]:
    """Return what ``after`` loses of ``box`` that ``before`` allowed."""
    found = {}
    for (own, peer), ports in lost(box, after).items():
        new = ports & before[own][peer]
        if new:
            found[own, peer] = new
    return found
