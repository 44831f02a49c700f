"""Judges changes of policies one after another, with what is remembered between them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from app.admission.outcome import Kind, Outcome
from app.admission.policies import PolicyChange, PolicyJudgement, Standing, StandingMemory
from app.admission.refusals import too_complex, with_others_under_way
from app.admission.unsettled import UnsettledChanges
from app.engine.search import TooComplexError
from app.wire.identity import OURS
from app.wire.review import Operation

if TYPE_CHECKING:
    from app.admission.ports import Rules
    from app.engine.cluster import Cluster
    from app.engine.search import Budget
    from app.wire.networkpolicy import ParsedPolicy
    from app.wire.review import Review


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
    """Judges changes of NetworkPolicies."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._standing = StandingMemory(rules.options)
        self._unsettled = UnsettledChanges(rules.settling_seconds)

    def outcome(self, change: PolicyChange, cluster: Cluster, budget: Budget) -> Outcome:
        """Return what ``change`` comes to: by the state as read, and with what was just let through."""
        try:
            standing = self._standing.of(cluster, change.namespace, budget)
            outcome = PolicyJudgement(change, standing, self._rules, budget).outcome()
            if self._unsettled and outcome.kind is Kind.ADMIT:
                return self._together(change, cluster, budget) or outcome
        except TooComplexError:
            return too_complex(change.title)
        return outcome

    def _together(self, change: PolicyChange, cluster: Cluster, budget: Budget) -> Outcome | None:
        """Return the refusal of a change that does harm with others under way, None if it does none."""
        policies = cluster.policies.get(change.namespace, ())
        for possible, changes in self._unsettled.possible(change.namespace, policies):
            later = replace(cluster, policies={**cluster.policies, change.namespace: possible})
            standing = Standing.of(later, change.namespace, self._rules.options, budget)
            outcome = PolicyJudgement(change, standing, self._rules, budget).outcome()
            if outcome.kind is not Kind.ADMIT:
                return with_others_under_way(outcome, changes)
        return None

    def admitted(self, change: PolicyChange) -> None:
        """Remember that ``change`` was let through."""
        self._unsettled.admitted(change)
