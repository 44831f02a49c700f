"""The exact search by sifting: choose a class in each dimension, and see which boxes still hold the point.

A point that no box holds is found. Where a class leaves no more boxes than any other, it is chosen without
asking further, and so most questions need no choice at all. What has to be tried out is bounded; beyond
that, ``app.engine.search.find`` has a solver.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from app.engine.budget import Budget, demand
from app.engine.intervals import IntervalSet
from app.engine.points import Peer, Point
from app.engine.policy import Direction, Rule
from app.engine.ports import PortName, at, port_range
from app.engine.regions import ExistingPods, FuturePods, Outside, PeerRegion, Region, World
from app.engine.search.boxes import Boxes, add_selector
from app.engine.search.classes import GaveUpError, LabelClasses, Mask, Member, Option, minimal
from app.engine.search.samples import sample_labels
from app.engine.selectors import EVERYTHING, NAMESPACE_NAME_LABEL, Selector, fresh_value

_MOST_WORK = 4_000
"""Classes that are looked at behind choices, for one question; a millisecond or two."""

DimensionKey = tuple[str, str]
"""A dimension: of which part of a point, and the label key if it is one of labels."""
_ADDRESS, _PORT, _NAMESPACE = ("address", ""), ("port", ""), ("namespace", "")
_SUBJECT, _PODS, _SPACES = "subject", "pods", "namespaces"
Dimension: TypeAlias = "tuple[DimensionKey, list[Option]]"
Chosen: TypeAlias = "dict[DimensionKey, Member]"


@dataclass(frozen=True, slots=True)
class RegionPart:
    """A part of a region in which a point is looked for: a box itself.

    ``within`` are the numbers of today's namespaces, as a mask; None where they do not matter.
    """

    subject: Selector
    ports: IntervalSet
    names: frozenset[PortName] = frozenset()
    pods: Selector = EVERYTHING
    namespaces: Selector = EVERYTHING
    within: int | None = None
    addresses: IntervalSet | None = None

    def __bool__(self) -> bool:
        """Tell whether anything is in it."""
        return (
            bool(self.subject and self.ports and self.pods and self.namespaces)
            and self.within != 0
            and (self.addresses is None or bool(self.addresses))
        )


class Effort:
    """What may be spent on one question; what needs no choice costs nothing but time."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._left = _MOST_WORK

    def spend(self, classes: int) -> None:
        """Take note of a choice behind which there are so many classes to look at.

        Raises ``GaveUpError`` and ``TooComplexError``.
        """
        self._left -= classes
        if self._left < 0:
            raise GaveUpError
        demand(self._budget)

    def look(self) -> None:
        """Raise ``TooComplexError`` when time is up."""
        demand(self._budget)


class Sieve:
    """Looks for points of regions that none of some boxes holds, within the effort of one question."""

    def __init__(self, boxes: Boxes, effort: Effort) -> None:
        self._boxes = boxes
        self._effort = effort

    def find(self, base: RegionPart, region: Region, world: World, avoided: Mask) -> Point | None:
        """Return a point of ``base``, a part of ``region``, in none of ``avoided``.

        None if there is none. Raises ``GaveUpError`` and ``TooComplexError``.
        """
        self._effort.look()
        alive = avoided & self._held(base, region.peer)
        chosen = sift(alive, self._open(base, world, alive), self._effort)
        return None if chosen is None else _decoded(base, region, world, chosen)

    def _held(self, base: RegionPart, peer: PeerRegion) -> Mask:
        """Return the boxes that can hold a point of ``base`` at all, by their kind."""
        boxes = self._boxes
        held = ~boxes.unnamed(base.names)
        if isinstance(peer, Outside):
            return held & ~boxes.of_pods
        return held if base.addresses is not None else held & ~boxes.of_addresses

    def _open(self, base: RegionPart, world: World, alive: Mask) -> list[Dimension]:
        """Return the dimensions in which a class has to be chosen, as some box does not take every one."""
        boxes = self._boxes
        found = [*_label_dimensions(_SUBJECT, boxes.subjects, base.subject, alive)]
        if alive & boxes.of_pods:
            found += _label_dimensions(_PODS, boxes.pods, base.pods, alive)
            if base.within is None:
                found += _label_dimensions(_SPACES, boxes.future_namespaces(), base.namespaces, alive)
            else:
                found.append((_NAMESPACE, boxes.namespace_options(world.table, base.within)))
        if base.addresses is not None:
            found.append((_ADDRESS, boxes.address_options(base.addresses)))
        found.append((_PORT, boxes.port_options(base.ports)))
        return found


def find_labels(pods: Selector, selectors: Sequence[Selector], budget: Budget) -> dict[str, str] | None:
    """Return labels that ``pods`` matches and none of ``selectors`` does; None if there are none.

    Raises ``GaveUpError`` and ``TooComplexError``.
    """
    classes: dict[str, LabelClasses] = {}
    for index, selector in enumerate(selectors):
        add_selector(classes, selector, 1 << index)
    alive = (1 << len(selectors)) - 1
    chosen = sift(alive, [*_label_dimensions(_SUBJECT, classes, pods, alive)], Effort(budget))
    return None if chosen is None else _labels(_SUBJECT, pods, chosen)


def _label_dimensions(
    part: str, classes: Mapping[str, LabelClasses], base: Selector, alive: Mask
) -> Iterator[Dimension]:
    wanted = dict(base.terms)
    for key, labels in classes.items():
        if alive & labels.restricted:
            yield (part, key), labels.options(wanted.get(key))


def sift(alive: Mask, dimensions: list[Dimension], effort: Effort) -> Chosen | None:
    """Return a class for each dimension that matters so that no box of ``alive`` is left; None if none does.

    Raises ``GaveUpError`` and ``TooComplexError``.
    """
    chosen: Chosen = {}
    while alive:
        effort.look()
        undecided: list[Dimension] = []
        was = alive
        for place, options in dimensions:
            left = minimal(options, alive)
            if len(left) == 1:
                chosen[place], alive = left[0]
            else:
                undecided.append((place, left))
        if not alive or alive & _common(undecided):
            return None if alive else chosen
        dimensions = undecided
        if alive == was:
            rest = _tried(undecided, effort)
            return None if rest is None else chosen | rest
    return chosen


def _tried(undecided: list[Dimension], effort: Effort) -> Chosen | None:
    """Try each class of the dimension that has the fewest, the most promising first."""
    place, options = min(undecided, key=lambda dimension: len(dimension[1]))
    others = [dimension for dimension in undecided if dimension[0] != place]
    work = 1 + sum(len(left) for _, left in others)
    for member, left in sorted(options, key=lambda option: option[1].bit_count()):
        effort.spend(work)
        rest = sift(left, others, effort)
        if rest is not None:
            return {place: member, **rest}
    return None


def _common(dimensions: list[Dimension]) -> Mask:
    """Return the boxes that every class of every dimension lies in: no choice gets out of them."""
    common = -1
    for _, options in dimensions:
        for _, left in options:
            common &= left
    return common


# -- from classes to a point -------------------------------------------------------------------------------


def _decoded(base: RegionPart, region: Region, world: World, chosen: Chosen) -> Point:
    place = chosen.get(_PORT, base.ports.spans[0][0])
    place = place if isinstance(place, int) else 0
    protocol = at(place)[0]
    names = frozenset(name for named, name in base.names if named is protocol)
    return Point(_labels(_SUBJECT, base.subject, chosen), _peer(base, region, world, chosen), place, names)


def _peer(base: RegionPart, region: Region, world: World, chosen: Chosen) -> Peer:
    address = None
    if base.addresses is not None:
        found = chosen.get(_ADDRESS, base.addresses.spans[0][0])
        address = found if isinstance(found, int) else None
    if isinstance(region.peer, Outside):
        return Peer(address=address)
    labels = _labels(_PODS, base.pods, chosen)
    if base.within is None:
        namespace = _labels(_SPACES, base.namespaces, chosen)
        name = namespace.get(NAMESPACE_NAME_LABEL) or fresh_value(world.table.order)
        return Peer(name, {**namespace, NAMESPACE_NAME_LABEL: name}, labels, address)
    number = chosen.get(_NAMESPACE, (base.within & -base.within).bit_length() - 1)
    name = world.table.order[number if isinstance(number, int) else 0]
    return Peer(name, world.table.namespaces[name].labels, labels, address)


def _labels(part: str, base: Selector, chosen: Chosen) -> dict[str, str]:
    labels: dict[str, Member] = dict(sample_labels(base))
    labels.update((key, value) for (of, key), value in chosen.items() if of == part)
    return {key: value for key, value in sorted(labels.items()) if isinstance(value, str)}


# -- parts of regions --------------------------------------------------------------------------------------


def whole(region: Region, world: World) -> RegionPart | None:
    """Return all of ``region`` as one box; None where it is empty."""
    peer = region.peer
    base = RegionPart(region.subject, region.ports, region.port_names)
    match peer:
        case Outside(addresses):
            if region.port_names and region.direction is Direction.EGRESS:
                return None  # rule 20: a port has no name at an address outside
            base = replace(base, addresses=addresses)
        case ExistingPods(namespaces, pods):
            within = world.table.mask_of(namespaces)
            base = replace(base, pods=pods, within=within, addresses=world.pod_addresses or None)
        case FuturePods(namespaces, pods):
            base = replace(base, pods=pods, namespaces=namespaces, addresses=world.pod_addresses or None)
    return base or None


def parts_in_rule(base: RegionPart, rule: Rule, region: Region, world: World) -> Iterator[RegionPart]:
    """Yield the parts of ``base`` that ``rule`` matches, as boxes."""
    for narrowed in _parts_by_port(base, rule, region):
        for part in _parts_by_peer(narrowed, rule, region, world):
            if part:
                yield part


def _parts_by_port(base: RegionPart, rule: Rule, region: Region) -> Iterator[RegionPart]:
    if rule.ports.numbers:
        yield replace(base, ports=base.ports & rule.ports.numbers)
    if region.direction is Direction.EGRESS and isinstance(region.peer, Outside):
        return
    for name in rule.ports.names:
        yield replace(base, ports=base.ports & port_range(name[0]), names=base.names | {name})


def _parts_by_peer(base: RegionPart, rule: Rule, region: Region, world: World) -> Iterator[RegionPart]:
    if rule.peers is None:
        yield base
        return
    if base.addresses is not None and rule.peers.addresses:
        yield replace(base, addresses=base.addresses & rule.peers.addresses)
    if isinstance(region.peer, Outside):
        return
    for peer in rule.peers.pods:
        part = replace(base, pods=base.pods & peer.pods)
        if base.within is None:
            yield replace(part, namespaces=base.namespaces & peer.namespaces)
        else:
            yield replace(part, within=base.within & world.table.mask(peer.namespaces))


def isolated_parts(base: RegionPart, isolators: Sequence[Selector]) -> Iterator[RegionPart]:
    """Yield parts of ``base`` that together are all of its pods that one of ``isolators`` selects."""
    if any(base.subject.is_subset(selector) for selector in isolators):
        yield base
        return
    for selector in isolators:
        subject = base.subject & selector
        if subject:
            yield replace(base, subject=subject)
