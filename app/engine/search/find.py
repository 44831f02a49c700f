"""The exact search for a point of a region that policies leave out.

Sifting (``app.engine.search.sieve``) answers nearly always; the solver takes what is left: policies
made to be hard, a hundred and more of them. Both are exact, and the tests hold them against each other and
against brute force.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from app.engine.budget import Budget
from app.engine.points import Point
from app.engine.policy import Direction, Policy
from app.engine.regions import Region, Side, World
from app.engine.search import solver
from app.engine.search.boxes import Boxes, BoxesByPods
from app.engine.search.classes import GaveUpError, Mask
from app.engine.search.sieve import (
    Effort,
    RegionPart,
    Sieve,
    find_labels,
    isolated_parts,
    parts_in_rule,
    whole,
)
from app.engine.selectors import NOTHING, Selector

_Part: TypeAlias = "tuple[RegionPart, Boxes, Mask]"
"""Where a point is looked for, and which of which boxes it must avoid."""


class Comparison:
    """The policies of one namespace before and after a change: what all questions about it share."""

    def __init__(self, before: Sequence[Policy], after: Sequence[Policy], budget: Budget) -> None:
        earlier, later = {id(policy) for policy in before}, {id(policy) for policy in after}
        self._before = before
        self._after = after
        self._gone = [policy for policy in before if id(policy) not in later]
        self._added = [policy for policy in after if id(policy) not in earlier]
        self._budget = budget
        self._ground: dict[Direction, _Ground] = {}

    def lost(self, region: Region, after: Side) -> Point | None:
        """Return a point of ``region`` that ``after`` does not allow, None if it allows all of it.

        Raises ``TooComplexError`` when the budget does not suffice.
        """
        base = whole(region, after.world)
        if base is None:
            return None
        try:
            return self._sifted(region, after.world, self._on(region.direction).lost_parts(base))
        except GaveUpError:
            return solver.lost(region, after, self._budget)

    def newly_lost(self, region: Region, before: Side, after: Side) -> Point | None:
        """Return a point of ``region`` that ``before`` allows and ``after`` does not; None if there is none.

        Raises ``TooComplexError`` when the budget does not suffice.
        """
        # Where namespaces have other labels, every rule may mean something else.
        gone = self._gone if before.world.table is after.world.table else self._before
        base = whole(region, after.world)
        if base is None or not (gone or self._added):
            return None
        parts = self._on(region.direction).newly_lost_parts(base, region, gone, before.world)
        try:
            return self._sifted(region, after.world, parts)
        except GaveUpError:
            return solver.only_allowed(region, before, (after,), self._budget)

    def can_lose(self, region: Region, before: Side, after: Side) -> bool:
        """Tell whether ``after`` may lose a point of ``region``, by a look at what policies select alone."""
        gone = self._gone if before.world.table is after.world.table else self._before
        return self._on(region.direction).can_lose(region, gone)

    def _on(self, direction: Direction) -> _Ground:
        ground = self._ground.get(direction)
        if ground is None:
            boxes = BoxesByPods(direction, self._before, self._after, self._budget)
            ground = _Ground(boxes, _selectors(self._after, direction), self._newly_isolated(direction))
            self._ground[direction] = ground
        return ground

    def _newly_isolated(self, direction: Direction) -> tuple[Selector, ...]:
        """Return what the added policies select, without those whose pods one policy isolated before.

        Of these pods only that was open what a rule allowed, and a rule more takes nothing of that away.
        """
        before = [policy.pods for policy in self._before if policy.isolates(direction)]
        return tuple(
            [
                pods
                for pods in _selectors(self._added, direction)
                if not any(pods.is_subset(isolated) for isolated in before)
            ]
        )

    def _sifted(self, region: Region, world: World, parts: Iterable[_Part]) -> Point | None:
        effort = Effort(self._budget)
        for base, boxes, avoided in parts:
            found = Sieve(boxes, effort).find(base, region, world, avoided)
            if found is not None:
                return found
        return None


@dataclass(frozen=True, slots=True)
class _Ground:
    """One direction of a comparison: the boxes, what is isolated after the change, and by what it added."""

    boxes: BoxesByPods
    isolators: tuple[Selector, ...]
    added: tuple[Selector, ...]

    def lost_parts(self, base: RegionPart) -> Iterator[_Part]:
        """Yield where a lost point may be, and what it must avoid: isolated, and in no rule."""
        for part in isolated_parts(base, self.isolators):
            boxes = self.boxes.about(part.subject)
            yield part, boxes, boxes.rules

    def newly_lost_parts(
        self, base: RegionPart, region: Region, gone: Sequence[Policy], world: World
    ) -> Iterator[_Part]:
        """Yield where a newly lost point may be, and what it must avoid.

        It was not isolated before, or a rule of ``gone``, with the ``world`` of then, allowed it.
        """
        for part in isolated_parts(base, self.added):
            boxes = self.boxes.about(part.subject)
            yield part, boxes, boxes.rules | boxes.isolators
        for part in _formerly_allowed(base, region, self._missed(region, gone), world):
            yield from self.lost_parts(part)

    def can_lose(self, region: Region, gone: Sequence[Policy]) -> bool:
        """Tell whether pods of ``region`` are newly isolated, or isolated still without one of ``gone``."""
        terms = dict(region.subject.terms)
        is_newly_isolated = any(pods.overlaps(terms) for pods in self.added)
        return is_newly_isolated or next(self._missed(region, gone), None) is not None

    def _missed(self, region: Region, gone: Sequence[Policy]) -> Iterator[Policy]:
        """Yield those of ``gone`` whose pods are isolated still: the others' have everything open now."""
        for policy in gone:
            if policy.rules(region.direction) and self._isolates_some_of(region.subject & policy.pods):
                yield policy

    def _isolates_some_of(self, pods: Selector) -> bool:
        terms = dict(pods.terms)
        return bool(pods) and any(isolator.overlaps(terms) for isolator in self.isolators)


def _selectors(policies: Sequence[Policy], direction: Direction) -> tuple[Selector, ...]:
    """Return what the isolating policies select; those of policies without rules first."""
    isolating = [policy for policy in policies if policy.isolates(direction)]
    isolating.sort(key=lambda policy: len(policy.rules(direction)))
    return tuple({id(policy.pods): policy.pods for policy in isolating}.values())


def _formerly_allowed(
    base: RegionPart, region: Region, gone: Iterable[Policy], world: World
) -> Iterator[RegionPart]:
    """Yield the parts of ``base`` that the rules of ``gone`` allowed, as boxes."""
    for policy in gone:
        rules = policy.allowing(region.direction)
        subject = base.subject & policy.pods if rules else NOTHING
        if subject:
            narrowed = replace(base, subject=subject)
            for rule in rules:
                yield from parts_in_rule(narrowed, rule, region, world)


def find_newly_lost(region: Region, before: Side, after: Side, budget: Budget) -> Point | None:
    """Return a point of ``region`` that ``before`` allows and ``after`` does not; None if there is none.

    Raises ``TooComplexError`` when the budget does not suffice.
    """
    return Comparison(before.policies, after.policies, budget).newly_lost(region, before, after)


def find_only_allowed(region: Region, before: Side, others: Sequence[Side], budget: Budget) -> Point | None:
    """Return a point of ``region`` that ``before`` allows and none of ``others`` does; None if there is none.

    ``others`` is not empty. Raises ``TooComplexError`` when the budget does not suffice.
    """
    if len(others) == 1:
        return find_newly_lost(region, before, others[0], budget)
    if whole(region, before.world) is None:
        return None
    return solver.only_allowed(region, before, others, budget)


def find_unselected(pods: Selector, selectors: Sequence[Selector], budget: Budget) -> dict[str, str] | None:
    """Return labels of a pod that ``pods`` matches and none of ``selectors`` does; None if there are none.

    Raises ``TooComplexError`` when the budget does not suffice.
    """
    if not pods:
        return None
    try:
        return find_labels(pods, selectors, budget)
    except GaveUpError:
        return solver.unselected(pods, selectors, budget)
