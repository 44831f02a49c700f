"""Dimensions of the space of flows, as variables of a propositional formula.

Each dimension has finitely many classes (``docs/design/decisions.md``, Deciding exactly). A label key has its
mentioned values, "some other value" and "absent"; addresses and ports have elementary intervals. ``outside``
gives literals of which one must hold for a point not to be in a set; ``inside`` gives a literal from which
membership follows.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable
from itertools import pairwise

from app.engine.intervals import IntervalSet
from app.engine.selectors import LabelSet, fresh_value

Literal = int
Clause = list[Literal]


class Formula:
    """Clauses under construction, and the two constants."""

    __slots__ = ("clauses", "true", "variables")

    def __init__(self) -> None:
        self.variables = 1
        self.true: Literal = 1
        self.clauses: list[Clause] = [[1]]

    def variable(self) -> Literal:
        """Return a fresh variable."""
        self.variables += 1
        return self.variables

    def any_of(self, literals: Iterable[Literal]) -> Literal:
        """Return a literal from which follows that one of ``literals`` holds."""
        chosen = list(literals)
        if len(chosen) == 1:
            return chosen[0]
        name = self.variable()
        self.clauses.append([-name, *chosen])
        return name

    def all_of(self, literals: Iterable[Literal]) -> Literal:
        """Return a literal from which follows that all of ``literals`` hold."""
        chosen = list(literals)
        if not chosen:
            return self.true
        if len(chosen) == 1:
            return chosen[0]
        name = self.variable()
        self.clauses.extend([-name, literal] for literal in chosen)
        return name


class CodedDimension:
    """A dimension of ``size`` numbered classes, coded in bits; codes past the last are the caller's."""

    __slots__ = ("_equal", "_formula", "bits")

    def __init__(self, formula: Formula, size: int) -> None:
        self._formula = formula
        self.bits = [formula.variable() for _ in range(max(1, (size - 1).bit_length()))]
        self._equal: dict[int, Literal] = {}

    def differs(self, code: int) -> Clause:
        """Return literals of which one must hold for the class not to be ``code``."""
        return [-bit if code >> index & 1 else bit for index, bit in enumerate(self.bits)]

    def equals(self, code: int) -> Literal:
        """Return a literal from which follows that the class is ``code``."""
        found = self._equal.get(code)
        if found is None:
            found = self._equal[code] = self._formula.all_of(-literal for literal in self.differs(code))
        return found

    def outside(self, codes: Collection[int]) -> Clause:
        """Return literals of which one must hold for the class to be none of ``codes``."""
        if not codes:
            return [self._formula.true]
        if len(codes) == 1:
            return self.differs(next(iter(codes)))
        member = self._formula.variable()
        self._formula.clauses.extend([member, *self.differs(code)] for code in codes)
        return [-member]

    def inside(self, codes: Collection[int]) -> Literal:
        """Return a literal from which follows that the class is one of ``codes``."""
        if not codes:
            return -self._formula.true
        return self._formula.any_of(self.equals(code) for code in codes)

    def decode(self, model: set[int]) -> int:
        """Return the class that a model of the formula chose."""
        return sum(1 << index for index, bit in enumerate(self.bits) if bit in model)


class LabelDimension:
    """One label key: absent (code 0), each mentioned value, and some other value (all codes above)."""

    __slots__ = ("_code", "_codes", "_formula", "_inside", "_outside", "values")

    def __init__(self, formula: Formula, values: Iterable[str]) -> None:
        self.values = sorted(values)
        self._formula = formula
        self._codes = {value: index + 1 for index, value in enumerate(self.values)}
        self._code = CodedDimension(formula, len(self.values) + 2)
        # By identity: the sets belong to policies that outlive the search, and hashing them costs more than
        # all the rest of a clause.
        self._outside: dict[int, Clause] = {}
        self._inside: dict[int, Literal] = {}

    def _finite(self, labels: LabelSet) -> list[int]:
        codes = [self._codes[value] for value in labels.values]
        return [0, *codes] if labels.absent else codes

    def outside(self, labels: LabelSet) -> Clause:
        """Return literals of which one must hold for the label not to be in ``labels``."""
        found = self._outside.get(id(labels))
        if found is None:
            if labels.cofinite:
                found = [self._code.inside(self._finite(~labels))]
            else:
                found = self._code.outside(self._finite(labels))
            self._outside[id(labels)] = found
        return found

    def inside(self, labels: LabelSet) -> Literal:
        """Return a literal from which follows that the label is in ``labels``."""
        found = self._inside.get(id(labels))
        if found is None:
            if labels.cofinite:
                found = self._all_differ(self._finite(~labels))
            else:
                found = self._code.inside(self._finite(labels))
            self._inside[id(labels)] = found
        return found

    def _all_differ(self, codes: Iterable[int]) -> Literal:
        name = self._formula.variable()
        self._formula.clauses.extend([-name, *self._code.differs(code)] for code in codes)
        return name

    def decode(self, model: set[int]) -> str | None:
        """Return the value that a model chose, None for absent; a fresh value stands for "some other"."""
        code = self._code.decode(model)
        if code == 0:
            return None
        if code <= len(self.values):
            return self.values[code - 1]
        return fresh_value(self.values)


class IntervalDimension:
    """An axis cut into elementary intervals; variable k says "at or behind cut k"."""

    __slots__ = ("_formula", "_inside", "_outside", "cuts", "marks")

    def __init__(self, formula: Formula, domain: IntervalSet, sets: Iterable[IntervalSet]) -> None:
        low, high = domain.spans[0][0], domain.spans[-1][1]
        borders = {border for places in (domain, *sets) for span in places.spans for border in span}
        self._formula = formula
        self.cuts = sorted({low, high, *(border for border in borders if low < border < high)})
        inner = [formula.variable() for _ in self.cuts[1:-1]]
        formula.clauses.extend([-right, left] for left, right in pairwise(inner))
        self.marks = [formula.true, *inner, -formula.true]
        self._outside: dict[IntervalSet, Clause] = {}
        self._inside: dict[IntervalSet, Literal] = {}

    def _at_or_behind(self, border: int) -> Literal:
        index = bisect_left(self.cuts, border)
        return self.marks[min(index, len(self.marks) - 1)]

    def _span_outside(self, low: int, high: int) -> Clause:
        return [-self._at_or_behind(low), self._at_or_behind(high)]

    def outside(self, places: IntervalSet) -> Clause:
        """Return literals of which one must hold for the point not to be in ``places``."""
        found = self._outside.get(places)
        if found is None:
            single = len(places.spans) == 1
            found = self._span_outside(*places.spans[0]) if single else self._none_of(places)
            self._outside[places] = found
        return found

    def _none_of(self, places: IntervalSet) -> Clause:
        if not places:
            return [self._formula.true]
        member = self._formula.variable()
        self._formula.clauses.extend([member, *self._span_outside(*span)] for span in places.spans)
        return [-member]

    def inside(self, places: IntervalSet) -> Literal:
        """Return a literal from which follows that the point is in ``places``."""
        found = self._inside.get(places)
        if found is None:
            spans = (
                self._formula.all_of((self._at_or_behind(low), -self._at_or_behind(high)))
                for low, high in places.spans
            )
            found = self._formula.any_of(spans) if places else -self._formula.true
            self._inside[places] = found
        return found

    def decode(self, model: set[int]) -> int:
        """Return the first place of the elementary interval that a model chose."""
        chosen = 0
        for index, mark in enumerate(self.marks[1:-1], start=1):
            if mark in model:
                chosen = index
        return self.cuts[chosen]
