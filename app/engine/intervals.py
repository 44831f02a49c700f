"""Sets of integers made of half-open spans: the common ground of ports and addresses."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

Span = tuple[int, int]
"""``(first, one past the last)``."""


def _canonical(spans: Iterable[Span]) -> tuple[Span, ...]:
    merged: list[Span] = []
    for low, high in sorted(span for span in spans if span[0] < span[1]):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return tuple(merged)


@dataclass(frozen=True, slots=True)
class IntervalSet:
    """A set of integers as sorted, disjoint, non-adjacent half-open spans; equal sets compare equal.

    >>> IntervalSet.of((1, 5), (5, 9)) == IntervalSet.of((1, 9))
    True
    >>> IntervalSet.of((1, 9)) - IntervalSet.of((3, 4))
    IntervalSet(spans=((1, 3), (4, 9)))
    """

    spans: tuple[Span, ...] = ()

    @classmethod
    def of(cls, *spans: Span) -> IntervalSet:
        """Return the union of ``spans``; empty spans are dropped, touching ones merged."""
        return cls(_canonical(spans))

    @classmethod
    def union(cls, sets: Iterable[IntervalSet]) -> IntervalSet:
        """Return everything that is in at least one of ``sets``."""
        return cls(_canonical(span for places in sets for span in places.spans))

    def __or__(self, other: IntervalSet) -> IntervalSet:
        return IntervalSet.of(*self.spans, *other.spans)

    def __and__(self, other: IntervalSet) -> IntervalSet:
        found: list[Span] = []
        i = j = 0
        while i < len(self.spans) and j < len(other.spans):
            (a, b), (c, d) = self.spans[i], other.spans[j]
            if max(a, c) < min(b, d):
                found.append((max(a, c), min(b, d)))
            if b < d:
                i += 1
            else:
                j += 1
        return IntervalSet(tuple(found))

    def __sub__(self, other: IntervalSet) -> IntervalSet:
        left: list[Span] = []
        for low, high in self.spans:
            start = low
            for cut_low, cut_high in other.spans:
                if cut_high <= start or cut_low >= high:
                    continue
                if cut_low > start:
                    left.append((start, cut_low))
                start = max(start, cut_high)
            if start < high:
                left.append((start, high))
        return IntervalSet(tuple(left))

    def __contains__(self, value: int) -> bool:
        index = bisect_right(self.spans, (value, float("inf"))) - 1
        return index >= 0 and value < self.spans[index][1]

    def __bool__(self) -> bool:
        return bool(self.spans)

    def is_subset(self, other: IntervalSet) -> bool:
        """Tell whether every member of this set is a member of ``other``."""
        for low, high in self.spans:
            index = bisect_right(other.spans, (low, float("inf"))) - 1
            if index < 0 or high > other.spans[index][1]:
                return False
        return True


EMPTY = IntervalSet()
