"""Who reaches whom, as the policies stand: managed namespaces among each other, API server to webhooks.

Thousands of namespaces are drawn as few: those that reach the same ones, and are reached by the same ones,
are one group.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from app.doctor.findings import Severity
from app.doctor.losses import loss_findings, severity_of
from app.doctor.sources import source_words
from app.doctor.verdicts import Verdict, Verdicts
from app.engine.judge import Loss
from app.engine.policy import Direction, Policy
from app.engine.ports import ALL_NUMBERS
from app.engine.regions import ExistingPods, Region
from app.engine.requirements import FlowId, RequiredFlow
from app.engine.requirements import Severity as Weight
from app.engine.selectors import EVERYTHING
from app.engine.words import numbers_words

_FLOWS = {Direction.INGRESS: FlowId.MANAGED_INGRESS, Direction.EGRESS: FlowId.MANAGED_EGRESS}


class Link(Enum):
    """How a connection stands, worst last: all of it passes, it hangs by an ``ipBlock``, or some is lost."""

    OPEN = "open"
    AT_RISK = "at risk"
    UNKNOWN = "not known"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Group:
    """Namespaces that reach, and are reached by, the same ones; ``key`` is a short name for drawings."""

    key: str
    names: tuple[str, ...]

    @property
    def title(self) -> str:
        """The namespace, or the first ones and how many there are more."""
        shown = ", ".join(self.names[:2])
        rest = len(self.names) - 2
        return f"{shown} and {rest} more" if rest > 0 else shown


@dataclass(frozen=True, slots=True)
class Edge:
    """From one group to another, or to itself; ``why`` is empty where it is open."""

    source: Group
    target: Group
    link: Link
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hook:
    """From one source of the API server's calls to a webhook."""

    source: str
    webhook: str
    ports: str
    link: Link
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reach:
    """The whole map; ``order`` of everything is that in which it is drawn."""

    groups: tuple[Group, ...]
    edges: tuple[Edge, ...]
    hooks: tuple[Hook, ...]

    @property
    def troubles(self) -> Mapping[tuple[Link, tuple[str, ...]], tuple[Edge, ...]]:
        """The connections that are not open, those with the same reason together, the worst first."""
        found: dict[tuple[Link, tuple[str, ...]], tuple[Edge, ...]] = {}
        for one in sorted(self.edges, key=lambda edge: list(Link).index(edge.link), reverse=True):
            if one.link is not Link.OPEN:
                found[one.link, one.why] = (*found.get((one.link, one.why), ()), one)
        return found

    @property
    def is_whole(self) -> bool:
        """Whether everything that is required passes."""
        links = (*(one.link for one in self.edges), *(one.link for one in self.hooks))
        return all(one is Link.OPEN for one in links)


def reach_of(verdicts: Verdicts, only: frozenset[str] = frozenset()) -> Reach:
    """Return the map of the managed namespaces; ``only`` limits it, where it is not empty."""
    names = verdicts.guarded & only if only else verdicts.guarded
    places = _places(verdicts, names)
    groups = _groups(places, verdicts.table.mask_of(names))
    serving = sorted({one.namespace for one in verdicts.cluster.webhooks} & names)
    hooks = tuple(hook for name in serving for hook in _hooks(verdicts.of(name)))
    return Reach(groups, tuple(_edges(groups, places)), hooks)


# -- one namespace -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Part:
    """Peers that are cut off alike; bit i stands for ``table.order[i]``."""

    peers: int
    link: Link
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Cut:
    """Whom one direction of a namespace's policies cuts off: parts that do not overlap."""

    parts: tuple[_Part, ...] = ()

    def link(self, bit: int) -> tuple[Link, tuple[str, ...]]:
        """Return how the connection with the namespace of ``bit`` stands, and why."""
        return next(((one.link, one.why) for one in self.parts if one.peers & bit), (Link.OPEN, ()))

    def mask(self, link: Link) -> int:
        """Return the namespaces with which the connection stands like that."""
        return sum(one.peers for one in self.parts if one.link is link)


@dataclass(frozen=True, slots=True)
class _Question:
    """Whom the policies of one namespace cut off, among ``peers``."""

    verdicts: Verdicts
    namespace: str
    peers: int

    def cut(self, direction: Direction) -> _Cut:
        """Return the answer; equal policies get it once."""
        policies = self.verdicts.cluster.policies.get(self.namespace, ())
        key = ("cut", direction, self.peers, self.verdicts.meaning(policies))
        return self.verdicts.remembered(key, lambda: self._ask(direction, policies))

    def _ask(self, direction: Direction, policies: tuple[Policy, ...]) -> _Cut:
        return _Cut(
            tuple(
                part
                for alike in self._alike(direction, policies)
                for part in self._part(alike, self._losses(direction, alike, policies), policies)
            )
        )

    @staticmethod
    def _part(alike: int, losses: tuple[Loss, ...] | None, policies: tuple[Policy, ...]) -> Iterator[_Part]:
        if losses is None:
            yield _Part(alike, Link.UNKNOWN, ("too complex to verify",))
        elif losses:
            link = Link.LOST if severity_of(losses) is Severity.ERROR else Link.AT_RISK
            yield _Part(alike, link, _why(losses, policies))

    def _alike(self, direction: Direction, policies: tuple[Policy, ...]) -> list[int]:
        """Return the peers in parts that no selector of these policies tells apart."""
        if not any(one.isolates(direction) for one in policies):
            return []
        rules = (rule for one in policies for rule in one.rules(direction) if rule.peers is not None)
        selectors = {peer.namespaces for rule in rules if rule.peers is not None for peer in rule.peers.pods}
        parts = [self.peers]
        for mask in {self.verdicts.table.mask(one) for one in selectors}:
            parts = [part for each in parts for part in (each & mask, each & ~mask) if part]
        return parts

    def _losses(
        self, direction: Direction, alike: int, policies: tuple[Policy, ...]
    ) -> tuple[Loss, ...] | None:
        names = frozenset(_names(self.verdicts, alike))
        region = Region(direction, EVERYTHING, ExistingPods(names), ALL_NUMBERS)
        flow = RequiredFlow(_FLOWS[direction], self.namespace, region, Weight.REJECT)
        return self.verdicts.losses(policies, (flow,))


def _names(verdicts: Verdicts, mask: int) -> Iterator[str]:
    order = verdicts.table.order
    while mask:
        lowest = mask & -mask
        yield order[lowest.bit_length() - 1]
        mask ^= lowest


def _why(losses: Iterable[Loss], policies: tuple[Policy, ...]) -> tuple[str, ...]:
    return tuple(sentence for one in loss_findings(losses, policies) for sentence in one.evidence)


# -- groups --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    """One namespace on the map: its bit, and whom it cuts off in either direction."""

    name: str
    bit: int
    outward: _Cut
    inward: _Cut


def _places(verdicts: Verdicts, names: frozenset[str]) -> dict[str, _Place]:
    peers = verdicts.table.mask_of(names)
    places = {}
    for name in sorted(names):
        question = _Question(verdicts, name, peers)
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
            _why(losses, verdict.policies),
        )
