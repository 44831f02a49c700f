"""Judges changes without a ledger: by fresh lists, and what this replica let through a moment ago."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import chain

from app.admission.assumed import AssumedChanges
from app.admission.denials.under_way import with_changes_under_way
from app.admission.label_judgement import labels_outcome
from app.admission.offload import Offload
from app.admission.outcome import OutcomeKind, PolicyChange, ReviewOutcome
from app.admission.policy_judgement import PolicyJudgement
from app.admission.ports import ClusterState
from app.admission.rules import Rules
from app.admission.standing import StandingMemory
from app.deadline import ReviewTime
from app.engine.budget import Budget
from app.engine.cluster import MANAGED, Cluster
from app.engine.policy import Namespace
from app.model.access import Scope
from app.names import OURS
from app.wire.networkpolicy.parse import ParsedPolicy
from app.wire.review.request import Operation, Review

PossibleState = tuple["Cluster", tuple[PolicyChange, ...]]
"""A state to judge by, with the changes under way that lead there from the one that was read."""


def changes_in(cases: Sequence[PossibleState]) -> tuple[tuple[PolicyChange, ...], ...]:
    """Return the changes under way that ``cases`` count with."""
    return tuple(changes for _, changes in cases)


def change_of(review: Review, kept: ParsedPolicy, old: ParsedPolicy | None) -> PolicyChange:
    """Return the change that ``review`` asks about.

    ``kept`` is the version that carries the annotations that count, and, for ``deletecollection``, the name.
    """
    return PolicyChange(
        review.namespace,
        review.name or kept.metadata.name,
        None if old is None or review.operation is Operation.CREATE else old.policy,
        None if review.operation is Operation.DELETE else kept.policy,
        is_ours=OURS in kept.metadata.labels.items(),
    )


class PolicyJudge:
    """Judges changes of NetworkPolicies one after another, with what is remembered between them."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._standing = StandingMemory(rules.options)
        self._assumed = AssumedChanges(rules.settling_seconds)

    def __reduce__(self) -> tuple[type[PolicyJudge], tuple[Rules]]:
        """Be sent to another process without what is remembered."""
        return PolicyJudge, (self._rules,)

    def cases(self, change: PolicyChange, cluster: Cluster) -> tuple[PossibleState, ...]:
        """Return the states to judge ``change`` by: as read, and with what was just let through."""
        policies = cluster.policies.get(change.namespace, ())
        possible = self._assumed.possible(change.namespace, policies) if self._assumed else ()
        return (
            (cluster, ()),
            *(
                (replace(cluster, policies={**cluster.policies, change.namespace: later}), tuple(changes))
                for later, changes in possible
            ),
        )

    def outcome(self, change: PolicyChange, cases: Sequence[PossibleState], budget: Budget) -> ReviewOutcome:
        """Return what ``change`` comes to; it is refused if it does harm in one of ``cases``.

        Remembers nothing of it, so that any process may ask. Raises ``TooComplexError``.
        """
        (cluster, _), *later = cases
        standing = self._standing.of(cluster, change.namespace, budget)
        outcome = PolicyJudgement(change, standing, self._rules, budget).outcome()
        if outcome.kind is not OutcomeKind.ADMIT:
            return outcome
        for possible, changes in later:
            standing = self._standing.anew(possible, change.namespace, budget)
            together = PolicyJudgement(change, standing, self._rules, budget).outcome()
            if together.kind is not OutcomeKind.ADMIT:
                return with_changes_under_way(together, changes)
        return outcome

    def admitted(self, change: PolicyChange) -> None:
        """Remember that ``change`` was let through."""
        self._assumed.admitted(change)


class FreshJudge:
    """Reads what a change meets, and judges by that."""

    def __init__(self, state: ClusterState, rules: Rules, offload: Offload) -> None:
        """``state`` is asked for each change."""
        self._state = state
        self._rules = rules
        self._offload = offload
        self._policies = PolicyJudge(rules)

    def admitted(self, change: PolicyChange) -> None:
        """Remember that ``change`` was let through."""
        self._policies.admitted(change)

    async def read(self, scope: Scope, time: ReviewTime) -> Cluster:
        """Return the state of ``scope``, its policies fresh. Raises ``StateUnreadable``."""
        with time.waiting():
            return await self._state.read(scope, time.reading)

    async def policy(self, change: PolicyChange, cluster: Cluster, time: ReviewTime) -> ReviewOutcome:
        """Return what ``change`` comes to in ``cluster``; anew where that moved on while it was found out.

        Raises ``TooComplexError`` and ``StateUnreadable``.
        """
        while True:
            cases = self._policies.cases(change, cluster)
            question = partial(self._policies.outcome, change, cases)
            about = chain(
                (change.old, change.new),
                *(state.policies.get(change.namespace, ()) for state, _ in cases),
            )
            outcome, others_answered = await self._offload.ask(question, time.computing, about)
            if not others_answered or outcome.kind is not OutcomeKind.ADMIT:
                return outcome
            read, cluster = cluster, await self.read(Scope(change.namespace), time)
            if cluster is read and changes_in(self._policies.cases(change, read)) == changes_in(cases):
                return outcome

    async def labels(self, old: Namespace | None, new: Namespace, time: ReviewTime) -> ReviewOutcome:
        """Return what a change of a namespace's labels comes to; raises like ``policy``."""
        cluster = await self.read(Scope.managed(), time)
        if old is None or not MANAGED.matches(old.labels):
            own = await self.read(Scope(new.name), time)
            cluster = replace(cluster, policies={**cluster.policies, **own.policies})
        question = partial(labels_outcome, (old, new), cluster, self._rules)
        about = chain.from_iterable(cluster.policies.values())
        outcome, _ = await self._offload.ask(question, time.computing, about)
        return outcome
