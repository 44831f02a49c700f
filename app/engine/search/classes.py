"""One dimension of the space of flows as finitely many classes, each with the boxes that contain it.

Boxes are numbered, and a set of boxes is an integer: bit i stands for box i (``docs/design/decisions.md``,
Deciding exactly). A class is given by one plain member. Where a class lies in every box that another one lies
in, and in more, nothing is lost by leaving it out; what is left is often a single class.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from app.engine.budget import Budget, demand
from app.engine.intervals import IntervalSet, Span
from app.engine.selectors import ANY_VALUE, LabelSet, fresh_value

Mask: TypeAlias = int
Member: TypeAlias = str | int | None
"""A label's value (None: absent), a place on an axis, or a namespace's number."""
Option = tuple[Member, Mask]
"""A class: one member of it, and the boxes that contain it."""

_MOST_COMPARISONS = 50_000
"""Of classes of one dimension with each other: beyond that the solver is quicker."""
_BORDERS_PER_LOOK = 500
"""Borders on an axis that are passed between two looks at the budget."""


class GaveUpError(Exception):
    """Too much to sift: nothing is known about the answer."""


class LabelClasses:
    """The classes of one label key: absent, values that are mentioned, and some other value."""

    __slots__ = ("_absent", "_cofinite", "_everywhere", "_excluded", "_finite", "restricted")

    def __init__(self) -> None:
        self.restricted: Mask = 0
        """The boxes that do not take every value."""
        self._absent: Mask = 0
        self._cofinite: Mask = 0
        self._finite: dict[str, Mask] = {}
        self._excluded: dict[str, Mask] = {}
        self._everywhere: list[Option] | None = None

    def add(self, accepted: LabelSet, boxes: Mask) -> None:
        """Take note that ``boxes``, which were not added before, contain just the values ``accepted``."""
        self.restricted |= boxes
        if accepted.absent:
            self._absent |= boxes
        values = self._finite
        if accepted.cofinite:
            self._cofinite |= boxes
            values = self._excluded
        for value in accepted.values:
            values[value] = values.get(value, 0) | boxes

    def options(self, accepted: LabelSet | None = None) -> list[Option]:
        """Return the classes within ``accepted`` (None: any value) that matter, the plainest first."""
        if accepted is None:
            if self._everywhere is None:
                self._everywhere = list(self._of_cofinite(ANY_VALUE))
            return self._everywhere
        return list(self._of_cofinite(accepted) if accepted.cofinite else self._of_finite(accepted))

    def _of_cofinite(self, accepted: LabelSet) -> Iterator[Option]:
        if accepted.absent:
            yield None, ~self.restricted | self._absent
        taken = self._finite.keys() | self._excluded.keys() | accepted.values
        yield fresh_value(taken), ~self.restricted | self._cofinite
        # A value that no box excludes lies wherever some other value lies.
        for value in self._excluded:
            if value not in accepted.values:
                yield value, self._boxes_of(value)

    def _of_finite(self, accepted: LabelSet) -> Iterator[Option]:
        if accepted.absent:
            yield None, ~self.restricted | self._absent
        for value in accepted.values:
            yield value, self._boxes_of(value)

    def _boxes_of(self, value: str) -> Mask:
        return ~self.restricted | self._finite.get(value, 0) | self._cofinite & ~self._excluded.get(value, 0)


def interval_options(
    domain: IntervalSet, sets: Mapping[tuple[Span, ...], Mask], restricted: Mask, budget: Budget
) -> list[Option]:
    """Return the classes of an axis within ``domain``, where ``sets`` says which boxes contain which places.

    ``restricted`` are the boxes that do not take every place. Raises ``TooComplexError``.

    >>> from app.engine.budget import Unlimited
    >>> from app.engine.intervals import IntervalSet
    >>> boxes = {((10, 20),): 0b01, ((15, 30),): 0b10}
    >>> found = interval_options(IntervalSet.of((12, 40)), boxes, 0b11, Unlimited())
    >>> [(place, mask & 0b11) for place, mask in found]
    [(12, 1), (15, 3), (20, 2), (30, 0)]
    """
    changes: dict[int, Mask] = {}
    for index, (spans, boxes) in enumerate(sets.items()):
        if index % _BORDERS_PER_LOOK == 0:
            demand(budget)
        for low, high in spans:
            changes[low] = changes.get(low, 0) ^ boxes
            changes[high] = changes.get(high, 0) ^ boxes
    found: dict[Mask, int] = {}
    inside: Mask = 0
    borders = iter([*sorted(changes), None])
    border = next(borders)
    passed = 0
    for low, high in domain.spans:
        start = low
        while True:
            while border is not None and border <= start:
                inside ^= changes[border]
                border = next(borders)
                passed += 1
                if passed % _BORDERS_PER_LOOK == 0:
                    demand(budget)
            end = high if border is None or border > high else border
            found.setdefault(inside, start)
            if end == high:
                break
            start = end
    return [(place, ~restricted | boxes) for boxes, place in found.items()]


def minimal(options: Iterable[Option], alive: Mask) -> list[Option]:
    """Return the options that leave the fewest of the boxes ``alive``, with what they leave.

    Those that leave all that another one leaves, and perhaps more, are not among them. Raises
    ``GaveUpError`` where there are too many to compare.

    >>> minimal([("a", 0b011), ("b", 0b111), ("c", 0b100)], alive=0b111)
    [('a', 3), ('c', 4)]
    """
    kept: list[Option] = []
    compared = 0
    for member, boxes in options:
        left = alive & boxes
        if not left:
            return [(member, 0)]
        compared += len(kept)
        if compared > _MOST_COMPARISONS:
            raise GaveUpError
        for _, other in kept:
            if not other & ~left:
                break
        else:
            if kept:
                kept = [option for option in kept if left & ~option[1]]
            kept.append((member, left))
    return kept
