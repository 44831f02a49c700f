"""Is this flow allowed, and by or despite which policy and rule? The answer of ``explain``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.engine.points import Peer, Point, allowing, isolating
from app.engine.policy import Direction
from app.engine.words import listed, rule_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.engine.cluster import Cluster
    from app.engine.policy import Policy


@dataclass(frozen=True, slots=True)
class End:
    """One end of a flow: a pod with its namespace and labels, or an address outside the cluster."""

    namespace: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    address: int | None = None


@dataclass(frozen=True, slots=True)
class Flow:
    """Traffic to ``place`` (protocol and port) of ``destination``, which calls it ``port_names``."""

    source: End
    destination: End
    place: int
    port_names: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Half:
    """What the policies of one end say: allowed or not, and why, in sentences."""

    direction: Direction
    is_allowed: bool
    reasons: tuple[str, ...]


def explain_flow(cluster: Cluster, flow: Flow) -> tuple[Half, ...]:
    """Return what the source's egress and the destination's ingress say; both must allow (rule 4).

    An end outside the cluster has no policies, so it has no half.
    """
    ends = (
        (Direction.EGRESS, flow.source, flow.destination),
        (Direction.INGRESS, flow.destination, flow.source),
    )
    return tuple(
        _half(cluster.policies.get(near.namespace, ()), direction, _point(near, _peer(far, cluster), flow))
        for direction, near, far in ends
        if near.namespace is not None
    )


def _peer(end: End, cluster: Cluster) -> Peer:
    if end.namespace is None:
        return Peer(address=end.address)
    return Peer(end.namespace, cluster.namespaces[end.namespace].labels, end.labels, end.address)


def _point(near: End, far: Peer, flow: Flow) -> Point:
    return Point(near.labels, far, flow.place, flow.port_names)


def _half(policies: tuple[Policy, ...], direction: Direction, point: Point) -> Half:
    by = [one.name for one in isolating(policies, direction, point.labels)]
    if not by:
        return Half(direction, is_allowed=True, reasons=("no policy isolates this pod",))
    found = list(allowing(policies, direction, point))
    if found:
        return Half(
            direction,
            is_allowed=True,
            reasons=tuple(f"allowed by {one} ({rule_words(one.rule)})" for one in found),
        )
    return Half(
        direction,
        is_allowed=False,
        reasons=(f"isolated by {listed(by)}; no rule of any policy lets it through",),
    )
