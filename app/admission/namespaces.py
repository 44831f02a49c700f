"""Judges a change of a namespace's labels (``decision.md``, Special cases: Namespaces)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from app.admission.outcome import Kind, Outcome, Reason
from app.engine.cluster import MANAGED, MANAGED_LABEL
from app.engine.explain import loss_lines, main_losses
from app.engine.judge import Judge, State
from app.engine.regions import ExistingPods, NamespaceTable
from app.engine.requirements import FlowId, guarded_namespaces, required_flows
from app.engine.words import flow_words, listed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.admission.ports import Rules
    from app.engine.cluster import Cluster
    from app.engine.judge import Loss, Verdict
    from app.engine.policy import Namespace
    from app.engine.requirements import RequiredFlow
    from app.engine.search import Budget

_MANAGED_FLOWS = (FlowId.MANAGED_INGRESS, FlowId.MANAGED_EGRESS)
_SHOWN = 3


class NamespaceJudgement:
    """The judgement of one namespace's new labels against the policies of all managed namespaces."""

    def __init__(
        self, old: Namespace | None, new: Namespace, cluster: Cluster, context: tuple[Rules, Budget]
    ) -> None:
        self._old = old
        self._new = new
        self._cluster = cluster
        self._rules, budget = context
        self._judge = Judge(self._rules.options, budget)
        earlier = new if old is None else old
        self._before = NamespaceTable({**cluster.namespaces, new.name: earlier})
        self._after = NamespaceTable({**cluster.namespaces, new.name: new})

    def outcome(self) -> Outcome:
        """Return the outcome. Raises ``TooComplexError``."""
        was = self._old is not None and MANAGED.matches(self._old.labels)
        if was:
            return self._still_managed()
        if MANAGED.matches(self._new.labels):
            return self._newly_managed()
        return Outcome(Kind.ADMIT)

    def _still_managed(self) -> Outcome:
        """Judge with the namespace still required, whatever its labels become."""
        verdicts = self._verdicts()
        cut = [loss for _, verdict in verdicts for loss in verdict.rejected]
        if not cut:
            return Outcome(Kind.ADMIT, notes=self._left_notes())
        lines = [self._headline()]
        cutting = [(state, verdict) for state, verdict in verdicts if verdict.rejected]
        for state, verdict in cutting[:_SHOWN]:
            for loss in main_losses(verdict.rejected):
                lines += [
                    f"- {one}" if i == 0 else one for i, one in enumerate(loss_lines(loss, state.policies))
                ]
        if len(cutting) > _SHOWN:
            lines.append(f"- and so do policies of {len(cutting) - _SHOWN} more managed namespaces")
        lines += self._ways_out()
        reasons = tuple(
            Reason(one.flow.id.value, f"cuts {flow_words(one.flow)}", "metadata.labels")
            for one in main_losses(cut)
        )
        return Outcome(Kind.REJECT, tuple(lines), reasons, flows=_ids(cut))

    def _headline(self) -> str:
        name = self._new.name
        if not MANAGED.matches(self._new.labels):
            return f"taking the label {MANAGED_LABEL} from namespace {name} would cut it off from the others."
        return f"these labels of namespace {name} would cut it off: policies select by them."

    def _ways_out(self) -> list[str]:
        name = self._new.name
        if MANAGED.matches(self._new.labels):
            return [
                "Fix: leave the labels as they are, or first let those policies select by what will stay,",
                f"such as {MANAGED_LABEL}.",
            ]
        return [
            "Fix: leave the labels as they are.",
            f"To take namespace {name} out of IOMETE: move its workloads away, then run",
            f"  netpol-guard uninstall --baselines -n {name}",
            "and take the label away with the override annotation (see the README).",
        ]

    def _left_notes(self) -> tuple[str, ...]:
        if MANAGED.matches(self._new.labels):
            return ()
        return (
            f"namespace {self._new.name} is no longer guarded: NetworkPolicies in it are not judged any more",
        )

    def _newly_managed(self) -> Outcome:
        """Admit, and say which flows its own or others' policies cut."""
        notes = [
            f"{loss.flow.id.value}: as policies stand, they cut {flow_words(loss.flow)}; isolated by "
            f"{listed(dict.fromkeys(one.name for one in loss.isolating))}"
            for _, verdict in self._verdicts(fresh=True)
            for loss in main_losses(verdict.losses)
        ]
        return Outcome(Kind.ADMIT, notes=tuple(dict.fromkeys(notes)))

    def _verdicts(self, *, fresh: bool = False) -> list[tuple[State, Verdict]]:
        found = []
        for name, flows in self._flows():
            policies = self._cluster.policies.get(name, ())
            after = State(policies, self._after)
            before = State((), self._after) if fresh else State(policies, self._before)
            verdict = self._judge.compare(before, after, flows)
            if verdict.losses:
                found.append((after, verdict))
        return found

    def _flows(self) -> Iterator[tuple[str, tuple[RequiredFlow, ...]]]:
        """Yield, for each managed namespace, its flows to and from the changed one."""
        changed = self._new.name
        guarded = guarded_namespaces(self._cluster) | {changed}
        only = ExistingPods(frozenset({changed}))
        for name in sorted(guarded):
            required = required_flows(self._cluster, name, self._rules.options, guarded)
            own = name == changed and not self._was_managed
            yield (
                name,
                tuple(
                    flow if own else replace(flow, region=replace(flow.region, peer=only))
                    for flow in required
                    if own or (flow.id in _MANAGED_FLOWS and not flow.is_future)
                ),
            )

    @property
    def _was_managed(self) -> bool:
        return self._old is not None and MANAGED.matches(self._old.labels)


def _ids(losses: list[Loss]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one.flow.id.value for one in losses))
