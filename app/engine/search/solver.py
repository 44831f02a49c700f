"""The exact search by a SAT solver, for what ``app.engine.search.sieve`` cannot settle in a few choices.

"The point is not in this box" is one clause: in some dimension its class is outside the box's set. So
"isolated, and in no rule's box" is a formula in conjunctive form, and a model of it is the witness
(``docs/design/decisions.md``, Deciding exactly). Work is bounded by a ``Budget``.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from app.engine.budget import Budget, demand
from app.engine.points import Point
from app.engine.policy import Policy
from app.engine.regions import Region, Side
from app.engine.search.dimensions import Formula, Literal
from app.engine.search.encoding import Space, decode_labels, label_dimensions, selector_outside
from app.engine.selectors import EVERYTHING, Selector

_SOLVER = "minisat22"
_CONFLICTS, _PROPAGATIONS = 2_000, 100_000
"""How far the solver goes between two looks at the budget: some ten milliseconds."""
_RULES_PER_LOOK = 200
"""Rules that become clauses between two looks at the budget; at least one look for each policy."""
_CLAUSES = 20_000
"""Clauses that are handed over between two looks."""


def lost(region: Region, after: Side, budget: Budget) -> Point | None:
    """Return a point of ``region`` that ``after`` does not allow, None if it allows all of it.

    Raises ``TooComplexError`` when the budget does not suffice.
    """
    space = Space(region, [after], budget)
    _demand_isolated(space, after.policies)
    _demand_not_allowed(space, after)
    return _answer(space, budget)


def only_allowed(region: Region, before: Side, others: Sequence[Side], budget: Budget) -> Point | None:
    """Return a point of ``region`` that ``before`` allows and none of ``others`` does; None if there is none.

    ``others`` is not empty. Raises ``TooComplexError`` when the budget does not suffice.
    """
    kept: set[int] = set()
    for other in others:
        if before.world.table is other.world.table:
            shared = {id(policy) for policy in before.policies} & {id(policy) for policy in other.policies}
            if len(shared) == len(before.policies) == len(other.policies):
                return None
            kept |= shared
    gone = [policy for policy in before.policies if id(policy) not in kept]
    space = Space(region, [before, *others], budget)
    for other in others:
        _demand_not_allowed(space, other)
    free = space.formula.variable()
    for other in others:
        _demand_isolated(space, other.policies)
    for policy in before.policies:
        if policy.isolates(region.direction):
            space.formula.clauses.append([-free, *space.subject_outside(policy)])
    allowed = [_allowed_by(space, policy, before) for policy in gone if policy.allowing(region.direction)]
    space.formula.clauses.append([free, *allowed])
    return _answer(space, budget)


def unselected(pods: Selector, selectors: Sequence[Selector], budget: Budget) -> dict[str, str] | None:
    """Return labels of a pod that ``pods`` matches and none of ``selectors`` does; None if there are none.

    Raises ``TooComplexError`` when the budget does not suffice.
    """
    formula = Formula()
    dimensions = label_dimensions(formula, [pods, *selectors])
    formula.clauses += [[dimensions[key].inside(accepted)] for key, accepted in pods.terms]
    formula.clauses += [selector_outside(dimensions, selector.terms) for selector in selectors]
    model = _solve(formula, budget)
    return None if model is None else decode_labels(dimensions, model)


def _demand_isolated(space: Space, policies: Sequence[Policy]) -> None:
    direction = space.region.direction
    selecting = [policy for policy in policies if policy.isolates(direction)]
    for key, accepted in space.region.subject.terms:
        space.formula.clauses.append([space.subject[key].inside(accepted)])
    if not any(policy.pods == EVERYTHING for policy in selecting):
        space.formula.clauses.append([space.subject_inside(policy) for policy in selecting])


def _demand_not_allowed(space: Space, side: Side) -> None:
    add = space.formula.clauses.append
    for policy in side.policies:
        rules = policy.allowing(space.region.direction)
        if not rules:
            continue
        unselected = space.subject_outside(policy)
        for index, rule in enumerate(rules):
            if index % _RULES_PER_LOOK == 0:
                space.check_budget()
            clause = space.rule_outside(rule, side)
            if clause is not None:
                add([*unselected, *clause])


def _allowed_by(space: Space, policy: Policy, side: Side) -> Literal:
    space.check_budget()
    rules = [space.rule_inside(rule, side) for rule in policy.allowing(space.region.direction)]
    return space.formula.all_of((space.subject_inside(policy), space.formula.any_of(rules)))


def _answer(space: Space, budget: Budget) -> Point | None:
    space.check_budget()
    model = _solve(space.formula, budget)
    return None if model is None else space.decode(model)


def _solve(formula: Formula, budget: Budget) -> set[int] | None:
    # A tenth of the whole program's memory, and hardly ever needed.
    from pysat.solvers import Solver  # noqa: PLC0415

    with Solver(name=_SOLVER) as solver:
        clauses = iter(formula.clauses)
        while part := list(islice(clauses, _CLAUSES)):
            solver.append_formula(part)
            demand(budget)
        while True:
            # Either ends the slice: conflicts are dear in large formulas, propagations in hard ones.
            solver.conf_budget(_CONFLICTS)
            solver.prop_budget(_PROPAGATIONS)
            answer: bool | None = solver.solve_limited()
            if answer is not None:
                return {literal for literal in solver.get_model() if literal > 0} if answer else None
            demand(budget)
