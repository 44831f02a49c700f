"""Who reaches whom, as the policies stand: managed namespaces among each other, API server to webhooks.

Thousands of namespaces are drawn as few: those that reach the same ones, and are reached by the same ones,
are one group.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.doctor.checks.sources import source_words
from app.doctor.losses import Condition, condition_of
from app.doctor.map.cuts import Cut, CutQuestion, why_lost
from app.doctor.map.graph import Edge, Group, Hook, Reach
from app.doctor.verdicts import NamespaceVerdict, Verdicts
from app.engine.policy import Direction
from app.engine.required_flows import FlowId
from app.engine.words import numbers_words


def reach_of(verdicts: Verdicts, only: frozenset[str] = frozenset()) -> Reach:
    """Return the map of the managed namespaces; ``only`` limits it, where it is not empty."""
    names = verdicts.guarded & only if only else verdicts.guarded
    places = _places(verdicts, names)
    groups = _groups(places, verdicts.table.mask_of(names))
    serving = sorted({webhook.namespace for webhook in verdicts.cluster.webhooks} & names)
    hooks = tuple(hook for name in serving for hook in _hooks(verdicts.of(name)))
    return Reach(groups, tuple(_edges(groups, places)), hooks)


# -- groups --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    """One namespace on the map: its bit, and whom it cuts off in either direction."""

    name: str
    bit: int
    outward: Cut
    inward: Cut


def _places(verdicts: Verdicts, names: frozenset[str]) -> dict[str, _Place]:
    peers = verdicts.table.mask_of(names)
    places = {}
    for name in sorted(names):
        question = CutQuestion(verdicts, name, peers)
        cuts = question.cut(Direction.EGRESS), question.cut(Direction.INGRESS)
        places[name] = _Place(name, verdicts.table.mask_of((name,)), *cuts)
    return places


_View = tuple[tuple[bool, int], ...]
_NOT_OPEN = (Condition.LOST, Condition.UNKNOWN, Condition.AT_RISK)


def _groups(places: Mapping[str, _Place], peers: int) -> tuple[Group, ...]:
    """Return the namespaces in groups of which nobody is told apart from outside, the largest first.

    First by whom they cut off, then by who cuts them off: as members of a class of the first step cut off the
    same ones, one member speaks for its class.
    """
    classes: dict[tuple[Condition, _View], list[_Place]] = defaultdict(list)
    for place in places.values():
        view = tuple(_canonical(mask, place.bit, peers) for mask in _masks(place))
        classes[_condition(place, place)[0], view].append(place)
    grouped: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for known, members in classes.items():
        for place in members:
            seen = tuple(_seen(place, others) for others in classes.values())
            grouped[known, seen].append(place.name)
    ordered = sorted(grouped.values(), key=lambda names: (-len(names), names))
    return tuple(Group(f"g{number}", tuple(names)) for number, names in enumerate(ordered, start=1))


def _masks(place: _Place) -> tuple[int, ...]:
    """Return whom a namespace cuts off, for each direction and degree."""
    return tuple(cut.mask(condition) for cut in (place.outward, place.inward) for condition in _NOT_OPEN)


def _seen(place: _Place, others: Sequence[_Place]) -> tuple[bool, ...]:
    """Return how a class of namespaces treats this one; nothing where it is alone in its class."""
    speaker = next((other for other in others[:2] if other is not place), None)
    return () if speaker is None else tuple(bool(mask & place.bit) for mask in _masks(speaker))


def _canonical(mask: int, own: int, peers: int) -> tuple[bool, int]:
    """Return a set of peers, or of all the others, without the namespace itself.

    So "all but me" is the same set for everybody.
    """
    others = peers & ~own
    mask &= others
    if 2 * mask.bit_count() > others.bit_count():
        return True, others & ~mask
    return False, mask


def _edges(groups: Sequence[Group], places: Mapping[str, _Place]) -> Iterator[Edge]:
    for source in groups:
        for target in groups:
            ends = [(source.names[0], target.names[0])]
            if source is target and len(source.names) > 1:
                ends.append((source.names[0], source.names[1]))
            yield Edge(source, target, *_worst(_condition(places[near], places[far]) for near, far in ends))


_Found = tuple[Condition, tuple[str, ...]]


def _condition(source: _Place, target: _Place) -> _Found:
    """Return how the connection stands: the source's egress *and* the target's ingress allow it (rule 4)."""
    return _worst((source.outward.condition(target.bit), target.inward.condition(source.bit)))


def _worst(found: Iterable[_Found]) -> _Found:
    return max(found, key=lambda each: each[0].rank)


# -- webhooks ------------------------------------------------------------------------------------------------


def _hooks(verdict: NamespaceVerdict) -> Iterator[Hook]:
    for flow in verdict.flows:
        if flow.id is not FlowId.WEBHOOK_INGRESS or flow.webhook is None or flow.source is None:
            continue
        losses = [loss for loss in verdict.losses if loss.flow == flow]
        yield Hook(
            source_words(flow.source),
            f"{flow.namespace}/{flow.webhook.name}{' (its Service is missing)' * flow.webhook.is_missing}",
            numbers_words(flow.region.ports),
            condition_of(losses) if verdict.is_known else Condition.UNKNOWN,
            why_lost(losses, verdict.policies),
        )
