"""Make a witness as plain as possible: fewest labels, a real namespace, a well-known port.

The solver's model is one flow that would be lost, but an odd one. Each part is replaced by something plainer
as long as the flow stays lost; so the result is checked by evaluation, not by trust in the encoding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice

from app.engine.budget import Budget, TooComplexError, demand
from app.engine.intervals import IntervalSet
from app.engine.points import Peer, Point, is_allowed
from app.engine.policy import Direction, Rule
from app.engine.ports import Protocol, at, position
from app.engine.regions import ExistingPods, Outside, Region, Side
from app.engine.selectors import NAMESPACE_NAME_LABEL

_PLAIN_PORTS = (
    *((Protocol.TCP, port) for port in (443, 8443, 9443, 7078, 15002, 10000, 80, 8080, 53, 6443)),
    *((Protocol.UDP, port) for port in (53, 443)),
    (Protocol.SCTP, 38412),
)
_NAMESPACES_TRIED = 20
_LABELS_TRIED = 100
_ADDRESSES_TRIED = 1_000


@dataclass(frozen=True, slots=True)
class Proviso:
    """What a witness depends on beside what it shows: the far pod's address, names of the port.

    ``named``: it is lost only with these names; ``not_named``: it is not lost with one of these.
    """

    address: bool = False
    named: tuple[str, ...] = ()
    not_named: tuple[str, ...] = ()


ALWAYS = Proviso()


def proviso_of(region: Region, point: Point, after: Side, before: Side) -> Proviso:
    """Return on what it depends whether a flow like ``point``, which is lost, is lost."""
    after, before = _about(after, point), _about(before, point)
    rules = [
        rule
        for side in (after, before)
        for policy in side.policies
        for rule in policy.allowing(region.direction)
    ]

    def lost(candidate: Point) -> bool:
        return is_lost(region, candidate, after, before)

    given = frozenset(name for _, name in region.port_names)
    protocol = at(point.place)[0]
    known = sorted({name for rule in rules for kind, name in rule.ports.names if kind is protocol} - given)
    if isinstance(region.peer, Outside) and region.direction is Direction.EGRESS:
        known = []  # rule 20: a port has no name at an address outside
    others = [name for name in known if name not in point.port_names]
    return Proviso(
        _depends_on_address(point, rules, after.world.pod_addresses, lost),
        () if lost(replace(point, port_names=given)) else tuple(sorted(point.port_names - given)),
        tuple(name for name in others if not lost(replace(point, port_names=point.port_names | {name}))),
    )


def _depends_on_address(
    point: Point, rules: Iterable[Rule], pods: IntervalSet | None, lost: Callable[[Point], bool]
) -> bool:
    if point.peer.namespace is None or point.peer.address is None or pods is None:
        return False
    blocks = (rule.peers.addresses for rule in rules if rule.peers is not None)
    borders = sorted({border for block in blocks for span in block.spans for border in span})
    places = [low for low, _ in pods.spans] + [border for border in borders if border in pods]
    return len(places) > _ADDRESSES_TRIED or not all(
        lost(replace(point, peer=replace(point.peer, address=place))) for place in places
    )


def contains(region: Region, point: Point) -> bool:
    """Tell whether ``point`` lies in ``region``."""
    given_names = {name for _, name in region.port_names}
    return (
        point.place in region.ports
        and region.subject.matches(point.labels)
        and given_names <= point.port_names
        and _peer_inside(region, point.peer)
    )


def _peer_inside(region: Region, peer: Peer) -> bool:
    wanted = region.peer
    if isinstance(wanted, Outside):
        return peer.address is not None and peer.address in wanted.addresses
    if not wanted.pods.matches(peer.labels):
        return False
    if isinstance(wanted, ExistingPods):
        return peer.namespace in wanted.namespaces
    return wanted.namespaces.matches(peer.namespace_labels)


def seen_by(point: Point, region: Region, side: Side) -> Point:
    """Return ``point`` with the labels that the peer's namespace has on ``side``.

    A namespace to come keeps the labels that it will have, also where one of that name exists already.
    """
    name = point.peer.namespace
    if name is None or not isinstance(region.peer, ExistingPods):
        return point
    namespace = side.world.table.namespaces.get(name)
    if namespace is None:
        return point
    return replace(point, peer=replace(point.peer, namespace_labels=namespace.labels))


def is_lost(region: Region, point: Point, after: Side, before: Side | None = None) -> bool:
    """Tell whether ``after`` cuts ``point``, and, if ``before`` is given, ``before`` did not."""
    if not contains(region, point):
        return False
    if is_allowed(after.policies, region.direction, seen_by(point, region, after)):
        return False
    return before is None or is_allowed(before.policies, region.direction, seen_by(point, region, before))


def simplified(
    region: Region, point: Point, after: Side, before: Side | None = None, *, budget: Budget
) -> Point:
    """Return a plainer point that is lost just as ``point`` is; as plain as can be had within ``budget``."""
    # A plainer point has no other labels, so what does not select any such pod need not be asked each time.
    after = _about(after, point)
    before = None if before is None else _about(before, point)

    def lost(candidate: Point) -> bool:
        demand(budget)
        return is_lost(region, candidate, after, before)

    steps: tuple[Callable[[Point], Iterator[Point]], ...] = (
        lambda found: _first_lost(_without_names(found, region), lost),
        lambda found: _first_lost(_namespaces(found, region, after), lost),
        lambda found: _fewer_labels(found, lost, after),
        lambda found: _first_lost(_plain_ports(found), lost),
    )
    try:
        for step in steps:
            for plainer in step(point):
                point = plainer
    except TooComplexError:
        return point  # which is proof enough
    return point


def _about(side: Side, point: Point) -> Side:
    """Return the policies of ``side`` that select the pod of ``point``, or would with some labels fewer."""
    return Side([policy for policy in side.policies if policy.pods.matches_some_of(point.labels)], side.world)


def _first_lost(candidates: Iterator[Point], lost: Callable[[Point], bool]) -> Iterator[Point]:
    return islice(filter(lost, candidates), 1)


def _without_names(point: Point, region: Region) -> Iterator[Point]:
    yield replace(point, port_names=frozenset(name for _, name in region.port_names))


def _namespaces(point: Point, region: Region, side: Side) -> Iterator[Point]:
    wanted = region.peer
    if not isinstance(wanted, ExistingPods):
        return
    own = {policy.namespace for policy in side.policies}
    # A flow from elsewhere tells more than one between two pods of the same namespace.
    for name in sorted(wanted.namespaces, key=lambda name: (name in own, name))[:_NAMESPACES_TRIED]:
        labels = side.world.table.namespaces[name].labels
        yield replace(point, peer=replace(point.peer, namespace=name, namespace_labels=labels))


def _fewer_labels(point: Point, lost: Callable[[Point], bool], side: Side) -> Iterator[Point]:
    """Yield ever plainer points."""
    for key in sorted(point.labels)[:_LABELS_TRIED]:
        plainer = replace(point, labels=_without(point.labels, key))
        if lost(plainer):
            point = plainer
            yield point
    for key in sorted(point.peer.labels)[:_LABELS_TRIED]:
        plainer = replace(point, peer=replace(point.peer, labels=_without(point.peer.labels, key)))
        if lost(plainer):
            point = plainer
            yield point
    if point.peer.namespace in side.world.table.namespaces:
        return
    for key in sorted(point.peer.namespace_labels)[:_LABELS_TRIED]:
        if key != NAMESPACE_NAME_LABEL:
            labels = _without(point.peer.namespace_labels, key)
            plainer = replace(point, peer=replace(point.peer, namespace_labels=labels))
            if lost(plainer):
                point = plainer
                yield point


def _without(labels: Mapping[str, str], key: str) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name != key}


def _plain_ports(point: Point) -> Iterator[Point]:
    for protocol, port in _PLAIN_PORTS:
        yield replace(point, place=position(protocol, port))
