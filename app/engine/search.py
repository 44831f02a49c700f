"""The exact search for a point of a region that policies leave out.

Sifting (``app.engine.sieve``) answers nearly always; the solver takes what is left. Both are exact, and the
tests hold them against each other and against brute force.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from app.engine import solver
from app.engine.boxes import Boxes
from app.engine.budget import Budget, TooComplexError, Unlimited, demand
from app.engine.regions import ExistingPods, Outside, Side
from app.engine.sieve import GaveUpError, Sieve, find_labels, isolated_parts, parts_in_rule, whole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from app.engine.points import Point
    from app.engine.policy import Direction, Policy
    from app.engine.regions import Region
    from app.engine.selectors import Selector
    from app.engine.sieve import Base

__all__ = [
    "Budget",
    "Comparison",
    "Side",
    "TooComplexError",
    "Unlimited",
    "find_lost",
    "find_newly_lost",
    "find_only_allowed",
    "find_unselected",
]


class Comparison:
    """The policies of one namespace before and after a change: what all questions about it share."""

    def __init__(self, before: Sequence[Policy], after: Sequence[Policy], budget: Budget) -> None:
        self._before = before
        self._after = after
        self._budget = budget
        self._boxes: dict[Direction, Boxes] = {}

    def lost(self, region: Region, after: Side) -> Point | None:
        """Return a point of ``region`` that ``after`` does not allow, None if it allows all of it.

        Raises ``TooComplexError`` when the budget does not suffice.
        """
        if _is_empty(region):
            return None
        try:
            return self._sifted_lost(region, after)
        except GaveUpError:
            return solver.lost(region, after, self._budget)

    def newly_lost(self, region: Region, before: Side, after: Side) -> Point | None:
        """Return a point of ``region`` that ``before`` allows and ``after`` does not; None if there is none.

        Raises ``TooComplexError`` when the budget does not suffice.
        """
        if _is_empty(region):
            return None
        gone = _gone(before, after)
        if not gone and len(before.policies) == len(after.policies):
            return None
        try:
            return self._sifted_newly(region, before, after, gone)
        except GaveUpError:
            return solver.only_allowed(region, before, (after,), self._budget)

    def _sieve(self, direction: Direction) -> tuple[Boxes, Sieve]:
        boxes = self._boxes.get(direction)
        if boxes is None:
            isolating = [one for one in self._before if one.isolates(direction)]
            boxes = self._boxes[direction] = Boxes(direction, self._after, isolating, self._budget)
        return boxes, Sieve(boxes, self._budget)

    def _sifted_lost(self, region: Region, after: Side) -> Point | None:
        boxes, sieve = self._sieve(region.direction)
        base = whole(region, after.facts)
        isolators = _selectors(after.policies, region.direction)
        for part in () if base is None else isolated_parts(base, isolators):
            demand(self._budget)
            found = sieve.find(part, region, after.facts, boxes.rules)
            if found is not None:
                return found
        return None

    def _sifted_newly(
        self, region: Region, before: Side, after: Side, gone: Sequence[Policy]
    ) -> Point | None:
        boxes, sieve = self._sieve(region.direction)
        base = whole(region, after.facts)
        if base is None:
            return None
        earlier = {id(one) for one in before.policies}
        added = [one for one in after.policies if id(one) not in earlier]
        for part in isolated_parts(base, _selectors(added, region.direction)):
            demand(self._budget)
            found = sieve.find(part, region, after.facts, boxes.rules | boxes.isolators)
            if found is not None:
                return found
        isolators = _selectors(after.policies, region.direction)
        for part in _formerly_allowed(base, region, before, gone):
            for isolated in isolated_parts(part, isolators):
                demand(self._budget)
                found = sieve.find(isolated, region, after.facts, boxes.rules)
                if found is not None:
                    return found
        return None


def _selectors(policies: Sequence[Policy], direction: Direction) -> tuple[Selector, ...]:
    """Return what the isolating policies select, each once; those of policies without rules first."""
    isolating = [one for one in policies if one.isolates(direction)]
    isolating.sort(key=lambda one: len(one.rules(direction)))
    return tuple({one.pods.terms: one.pods for one in isolating}.values())


def _gone(before: Side, after: Side) -> list[Policy]:
    """Return the policies of ``before`` that are not in ``after``, or may mean something else there."""
    if before.facts.table is not after.facts.table:
        return [*before.policies]
    kept = {id(one) for one in after.policies}
    return [one for one in before.policies if id(one) not in kept]


def _formerly_allowed(base: Base, region: Region, before: Side, gone: Sequence[Policy]) -> Iterator[Base]:
    """Yield the parts of ``base`` that the rules of ``gone`` allowed, as boxes."""
    for policy in gone:
        subject = base.subject & policy.pods
        if not subject:
            continue
        narrowed = replace(base, subject=subject)
        for rule in policy.rules(region.direction):
            yield from parts_in_rule(narrowed, rule, region, before.facts)


def find_lost(region: Region, after: Side, budget: Budget) -> Point | None:
    """Return a point of ``region`` that ``after`` does not allow, None if it allows all of it.

    Raises ``TooComplexError`` when the budget does not suffice.
    """
    return Comparison((), after.policies, budget).lost(region, after)


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
    return None if _is_empty(region) else solver.only_allowed(region, before, others, budget)


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


def _is_empty(region: Region) -> bool:
    peer = region.peer
    nobody = (isinstance(peer, ExistingPods) and not peer.namespaces) or (
        isinstance(peer, Outside) and not peer.addresses
    )
    return nobody or not region.ports or not region.subject
