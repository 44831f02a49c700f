"""Who reaches whom, as the policies stand: managed namespaces among each other, API server to webhooks.

Thousands of namespaces are drawn as few: those that reach the same ones, and are reached by the same ones,
are one group.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.doctor.checks.sources import source_words
from app.doctor.findings import Severity
from app.doctor.losses import severity_of
from app.doctor.map.cuts import Cut, CutQuestion, why_lost
from app.doctor.map.graph import Edge, Group, Hook, Link, Reach
from app.doctor.verdicts import Verdict, Verdicts
from app.engine.policy import Direction
from app.engine.requirements import FlowId
from app.engine.words import numbers_words


def reach_of(verdicts: Verdicts, only: frozenset[str] = frozenset()) -> Reach:
    """Return the map of the managed namespaces; ``only`` limits it, where it is not empty."""
    names = verdicts.guarded & only if only else verdicts.guarded
    places = _places(verdicts, names)
    groups = _groups(places, verdicts.table.mask_of(names))
    serving = sorted({one.namespace for one in verdicts.cluster.webhooks} & names)
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
_SOFT_OR_LOST = (Link.LOST, Link.UNKNOWN, Link.AT_RISK)


def _groups(places: Mapping[str, _Place], peers: int) -> tuple[Group, ...]:
    """Return the namespaces in groups of which nobody is told apart from outside, the largest first.

    First by whom they cut off, then by who cuts them off: as members of a class of the first step cut off the
    same ones, one member speaks for its class.
    """
    classes: dict[tuple[Link, _View], list[_Place]] = defaultdict(list)
    for one in places.values():
        view = tuple(_canonical(mask, one.bit, peers) for mask in _masks(one))
        classes[_link(one, one)[0], view].append(one)
    grouped: dict[tuple[object, ...], list[str]] = defaultdict(list)
    for known, members in classes.items():
        for one in members:
            seen = tuple(_seen(one, others) for others in classes.values())
            grouped[known, seen].append(one.name)
    ordered = sorted(grouped.values(), key=lambda names: (-len(names), names))
    return tuple(Group(f"g{number}", tuple(names)) for number, names in enumerate(ordered, start=1))


def _masks(place: _Place) -> tuple[int, ...]:
    """Return whom a namespace cuts off, for each direction and degree."""
    return tuple(cut.mask(link) for cut in (place.outward, place.inward) for link in _SOFT_OR_LOST)


def _seen(place: _Place, others: Sequence[_Place]) -> tuple[bool, ...]:
    """Return how a class of namespaces treats this one; nothing where it is alone in its class."""
    speaker = next((one for one in others[:2] if one is not place), None)
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
            links = [_link(places[near], places[far]) for near, far in ends]
            link, why = max(links, key=lambda one: list(Link).index(one[0]))
            yield Edge(source, target, link, why)


def _link(source: _Place, target: _Place) -> tuple[Link, tuple[str, ...]]:
    """Return how the connection stands: the source's egress *and* the target's ingress allow it (rule 4)."""
    links = (source.outward.link(target.bit), target.inward.link(source.bit))
    return max(links, key=lambda one: list(Link).index(one[0]))


# -- webhooks ------------------------------------------------------------------------------------------------


def _hooks(verdict: Verdict) -> Iterator[Hook]:
    for flow in verdict.flows:
        if flow.id is not FlowId.WEBHOOK_INGRESS or flow.webhook is None or flow.source is None:
            continue
        losses = [one for one in verdict.losses if one.flow == flow]
        link = Link.OPEN if verdict.is_known else Link.UNKNOWN
        if losses:
            link = Link.LOST if severity_of(losses) is Severity.ERROR else Link.AT_RISK
        yield Hook(
            source_words(flow.source),
            f"{flow.namespace}/{flow.webhook.name}",
            numbers_words(flow.region.ports),
            link,
            why_lost(losses, verdict.policies),
        )
