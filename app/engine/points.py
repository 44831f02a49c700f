"""One concrete flow, and what policies say about it: the API documentation, read literally.

The exact search (``decision.py``) finds points; this module checks and simplifies them, and answers
``explain``. The tests hold it against an independent oracle.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from app.engine.policy import Direction, Peers, PodPeer, Policy, Rule


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a flow: a pod (``namespace`` given), or an address outside the cluster.

    ``address`` is a place on the address axis. A pod has one only where ``ipBlock`` is taken to match pods;
    without, no ``ipBlock`` matches it.
    """

    namespace: str | None = None
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    address: int | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """A flow between a pod of the judged namespace and a peer.

    ``labels`` are those of the judged pod: the destination for ingress, the source for egress. ``place`` is
    protocol and port on the port axis; ``port_names`` are the names that the destination's container ports
    give to it.
    """

    labels: Mapping[str, str]
    peer: Peer
    place: int
    port_names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RuleRef:
    """A rule by policy, direction and position: ``ingress[2]`` of policy ``x``."""

    policy: Policy
    direction: Direction
    index: int

    @property
    def rule(self) -> Rule:
        """The rule itself."""
        return self.policy.rules(self.direction)[self.index]

    def __str__(self) -> str:
        return f"{self.direction.field}[{self.index}] of {self.policy.name}"


def pod_peer_matches(wanted: PodPeer, peer: Peer) -> bool:
    """Tell whether ``peer`` is a pod that ``wanted`` selects; both selectors must match (rule 10)."""
    return (
        peer.namespace is not None
        and wanted.namespaces.matches(peer.namespace_labels)
        and wanted.pods.matches(peer.labels)
    )


def peers_match(peers: Peers | None, peer: Peer) -> bool:
    """Tell whether at least one peer item matches; None restricts nothing (rule 9)."""
    if peers is None:
        return True
    if peer.address is not None and peer.address in peers.addresses:
        return True
    return any(pod_peer_matches(wanted, peer) for wanted in peers.pods)


def rule_matches(rule: Rule, point: Point) -> bool:
    """Tell whether a peer *and* a port of ``rule`` match (rule 9)."""
    return rule.ports.contains(point.place, point.port_names) and peers_match(rule.peers, point.peer)


def isolating(
    policies: Iterable[Policy], direction: Direction, labels: Mapping[str, str]
) -> Iterator[Policy]:
    """Yield the policies that isolate a pod with ``labels`` in ``direction`` (rule 2)."""
    return (policy for policy in policies if policy.isolates(direction) and policy.pods.matches(labels))


def allowing(policies: Iterable[Policy], direction: Direction, point: Point) -> Iterator[RuleRef]:
    """Yield every rule that allows ``point``, in the order of the policies (rule 3)."""
    for policy in policies:
        rules = policy.rules(direction)
        if rules and policy.pods.matches(point.labels):
            for index, rule in enumerate(rules):
                if rule_matches(rule, point):
                    yield RuleRef(policy, direction, index)


def is_allowed(policies: Iterable[Policy], direction: Direction, point: Point) -> bool:
    """Tell whether ``policies``, all of the judged pod's namespace, allow ``point`` in ``direction``.

    Not isolated: everything is allowed (rule 2). Isolated: the union of the rules (rule 3).
    """
    isolated = False
    for policy in policies:
        if not policy.isolates(direction) or not policy.pods.matches(point.labels):
            continue
        isolated = True
        if any(rule_matches(rule, point) for rule in policy.allowing(direction)):
            return True
    return not isolated
