"""Is this flow allowed, and by or despite which policy and rule? The answer of ``explain``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from app.engine.cluster import Cluster
from app.engine.points import Peer, Point, RuleRef, allowing, isolating
from app.engine.policy import Direction, Policy
from app.engine.sentences import closest_rule


class FlowAnswer(Enum):
    """What policies say about a flow."""

    ALLOWED = "allowed"
    DENIED = "denied"
    UNCERTAIN = "uncertain"


@dataclass(frozen=True, slots=True)
class End:
    """One end of a flow: a pod with its namespace and labels, or an address outside the cluster.

    ``address`` of a pod is its own, where it is known: an ``ipBlock`` may cover it, which not every network
    plugin heeds. A pod in the host's network is, for policies, nothing but its node's address.
    """

    namespace: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    address: int | None = None
    is_host_network: bool = False


@dataclass(frozen=True, slots=True)
class Flow:
    """Traffic to ``place`` (protocol and port) of ``destination``, which calls it ``port_names``."""

    source: End
    destination: End
    place: int
    port_names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Half:
    """What the policies of one end say, and the policies and rules that decide it.

    ``allowing`` is empty where no policy isolates the pod. ``closest`` is the rule that denied traffic misses
    by the least. An answer is uncertain where only an ``ipBlock`` that covers the peer's address allows.
    """

    direction: Direction
    answer: FlowAnswer
    point: Point
    isolating: tuple[Policy, ...] = ()
    allowing: tuple[RuleRef, ...] = ()
    closest: RuleRef | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Both halves, without those of ends that no policy reaches."""

    halves: tuple[Half, ...]

    @property
    def answer(self) -> FlowAnswer:
        """Allowed only if both ends allow (rule 4)."""
        answers = {half.answer for half in self.halves}
        worst_first = FlowAnswer.DENIED, FlowAnswer.UNCERTAIN
        return next((answer for answer in worst_first if answer in answers), FlowAnswer.ALLOWED)


def explain_flow(cluster: Cluster, flow: Flow) -> Explanation:
    """Return what the source's egress and the destination's ingress say.

    An end outside the cluster, or in the network of its host, has no policies, so it has no half.
    """
    ends = (
        (Direction.EGRESS, flow.source, flow.destination),
        (Direction.INGRESS, flow.destination, flow.source),
    )
    halves = (
        _half(cluster.policies.get(near.namespace, ()), direction, _point(near, _peer(far, cluster), flow))
        for direction, near, far in ends
        if near.namespace is not None and not near.is_host_network
    )
    return Explanation(tuple(halves))


def _peer(end: End, cluster: Cluster) -> Peer:
    if end.namespace is None or end.is_host_network:
        return Peer(address=end.address)
    return Peer(end.namespace, cluster.namespaces[end.namespace].labels, end.labels, end.address)


def _point(near: End, far: Peer, flow: Flow) -> Point:
    return Point(near.labels, far, flow.place, flow.port_names)


def _half(standing: tuple[Policy, ...], direction: Direction, point: Point) -> Half:
    # A policy that is being deleted is in force until it is gone, whatever may be taken for granted of it.
    policies = tuple(replace(policy, terminating=False) for policy in standing)
    by = tuple(isolating(policies, direction, point.labels))
    if not by:
        return Half(direction, FlowAnswer.ALLOWED, point)
    plain = _without_address(point)
    found = tuple(allowing(policies, direction, plain))
    if found:
        return Half(direction, FlowAnswer.ALLOWED, point, by, found)
    perhaps = tuple(allowing(policies, direction, point))
    if perhaps:
        return Half(direction, FlowAnswer.UNCERTAIN, point, by, perhaps)
    return Half(direction, FlowAnswer.DENIED, plain, by, closest=closest_rule(plain, direction, policies))


def _without_address(point: Point) -> Point:
    """Return the point as it is where ``ipBlock`` does not match pods (rule 13)."""
    if point.peer.namespace is None:
        return point
    return replace(point, peer=replace(point.peer, address=None))
