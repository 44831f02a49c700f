"""Judges a change of a namespace's labels (``docs/design/decisions.md``, Special cases: Namespaces)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice

from app.admission.denials.lost_flows import SHOWN_NAMESPACES, labels_denial
from app.admission.outcome import OutcomeKind, ReviewOutcome
from app.admission.rules import Rules
from app.engine.budget import Budget, TooComplexError
from app.engine.cluster import MANAGED, Cluster
from app.engine.judge import Judge, Loss, State, Verdict
from app.engine.policy import Namespace
from app.engine.regions import NamespaceTable
from app.engine.required_flows import guarded_namespaces, managed_flows, required_flows
from app.engine.sentences import flow_ids, hedge_words, loss_lines, main_losses
from app.engine.words import flow_words, listed

_MOST_NOTES = 8
"""More warnings than that nobody reads, and an API server may cut them off."""


class NamespaceJudgement:
    """The judgement of one namespace's new labels against the policies of all managed namespaces."""

    def __init__(
        self, old: Namespace | None, new: Namespace, cluster: Cluster, context: tuple[Rules, Budget]
    ) -> None:
        self._old = old
        self._new = new
        self._cluster = cluster
        self._rules, self._budget = context
        self._judge = Judge(self._rules.options.known_by(cluster), self._budget)
        earlier = new if old is None else old
        # Only the changed namespace is a far end here, so there is no need to know of the others.
        self._before = NamespaceTable({new.name: earlier})
        self._after = NamespaceTable({new.name: new})

    def outcome(self) -> ReviewOutcome:
        """Return the outcome. Raises ``TooComplexError``."""
        if self._was_managed:
            return self._still_managed()
        if MANAGED.matches(self._new.labels):
            return self._newly_managed()
        return ReviewOutcome(OutcomeKind.ADMIT)

    def _still_managed(self) -> ReviewOutcome:
        """Judge with the namespace still required, whatever its labels become."""
        warned: dict[str, Loss] = {}
        cutting = list(islice(self._cutting(warned), SHOWN_NAMESPACES + 1))
        if not cutting:
            notes = (*self._left_notes(), *islice(warned, _MOST_NOTES))
            return ReviewOutcome(OutcomeKind.ADMIT, notes=notes, flows=flow_ids(warned.values()))
        return labels_denial(self._new, cutting)

    def _cutting(self, warned: dict[str, Loss]) -> Iterator[tuple[State, Verdict]]:
        """Yield what is to be rejected; add to ``warned`` what is only worth a warning, by its words."""
        for state, verdict in self._verdicts():
            for loss in main_losses(verdict.warned):
                warned[loss_lines(loss, state.policies)[0]] = loss
            if verdict.rejected:
                yield state, verdict

    def _left_notes(self) -> tuple[str, ...]:
        if MANAGED.matches(self._new.labels):
            return ()
        return (
            f"namespace {self._new.name} is no longer guarded: NetworkPolicies in it are not judged any more",
        )

    def _newly_managed(self) -> ReviewOutcome:
        """Admit, and say which flows its own or others' policies cut."""
        notes: dict[str, None] = {}
        try:
            for verdict in chain([self._own_verdict()], (found for _, found in self._verdicts())):
                notes.update((_cut_note(loss), None) for loss in main_losses(verdict.losses))
                if len(notes) >= _MOST_NOTES:
                    break
        except TooComplexError:
            notes["not all policies could be checked for flows of this namespace in the time there is"] = None
        return ReviewOutcome(OutcomeKind.ADMIT, notes=tuple(notes))

    def _own_verdict(self) -> Verdict:
        """Return what the policies of the changed namespace itself cut: all of that is news here."""
        name = self._new.name
        cluster = replace(self._cluster, namespaces={**self._cluster.namespaces, name: self._new})
        flows = required_flows(cluster, name, self._rules.options, guarded_namespaces(cluster))
        table = NamespaceTable(cluster.namespaces)
        return self._judge.audit(State(cluster.policies.get(name, ()), table), flows)

    def _verdicts(self) -> Iterator[tuple[State, Verdict]]:
        """Yield, for each managed namespace whose policies cut the changed one off, the state and verdict.

        What its policies allowed before is what they allowed to it, or, if it is new, to anybody.
        """
        changed = self._new.name
        own = {changed} if self._was_managed else set()
        for name in sorted(guarded_namespaces(self._cluster) - {changed} | own):
            if self._budget.exhausted():
                raise TooComplexError
            policies = self._cluster.policies.get(name, ())
            after = State(policies, self._after)
            before = State(policies, self._before) if self._was_managed else State((), self._after)
            flows = tuple(flow for flow in managed_flows(name, frozenset({changed})) if not flow.is_future)
            verdict = self._judge.compare(before, after, flows)
            if verdict.losses:
                yield after, verdict

    @property
    def _was_managed(self) -> bool:
        return self._old is not None and MANAGED.matches(self._old.labels)


def labels_outcome(
    versions: tuple[Namespace | None, Namespace], cluster: Cluster, rules: Rules, budget: Budget
) -> ReviewOutcome:
    """Return what new labels come to: a question that any process can answer. Raises ``TooComplexError``."""
    return NamespaceJudgement(*versions, cluster, (rules, budget)).outcome()


def _cut_note(loss: Loss) -> str:
    isolating = listed(dict.fromkeys(policy.name for policy in loss.isolating))
    return (
        f"{loss.flow.id.value}: as policies stand, they cut {flow_words(loss.flow)}{hedge_words(loss)};"
        f" isolated by {isolating}"
    )
