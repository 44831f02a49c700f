"""Judges a change of one NetworkPolicy (``docs/design/decisions.md``, Before and after; Special cases)."""

from __future__ import annotations

from app.admission.denials.lost_flows import (
    baselines_first,
    fix_lines,
    policy_denial,
    ways_out_of_deletion,
)
from app.admission.outcome import ADMITTED, OutcomeKind, PolicyChange, ReviewOutcome
from app.admission.rules import Rules
from app.admission.standing import Standing
from app.engine.baselines import Baseline, missing_baselines, recognise
from app.engine.budget import Budget, TooComplexError
from app.engine.effects import has_no_effect
from app.engine.fix import Broken, Fix, find_fix
from app.engine.judge import NOTHING_LOST, Judge, State, Verdict
from app.engine.policy import Policy
from app.engine.regions import World
from app.engine.required_flows import FlowId, RequiredFlow
from app.engine.sentences import flow_ids, loss_lines, main_losses
from app.engine.words import flow_words, listed, source_words
from app.wire.networkpolicy.rules import is_long


class PolicyJudgement:
    """The judgement of one change against one state of the cluster."""

    def __init__(self, change: PolicyChange, standing: Standing, rules: Rules, budget: Budget) -> None:
        self._standing = standing
        self._change = change
        self._cluster = standing.cluster
        self._rules = rules
        self._budget = budget
        self._judge = Judge(rules.options.known_by(self._cluster), budget)
        policies = standing.cluster.policies.get(change.namespace, ())
        self._others = tuple([policy for policy in policies if not change.name or policy.name != change.name])
        self._baseline = None if change.new is None else recognise(change.new, self._cluster)
        self._assumed: tuple[Policy, ...] = () if self._baseline is None else self._missing_partner()

    def _missing_partner(self) -> tuple[Policy, ...]:
        """Return the baselines to judge as if they stood: either alone is worse for a moment only."""
        old = self._change.old
        if old is not None and recognise(old, self._cluster) is None:
            return ()
        namespace = self._change.namespace
        before = missing_baselines(self._before.policies, self._cluster, namespace)
        # One that stood before is not on its way: this change takes it away, by writing the other over it.
        return tuple(
            baseline
            for baseline in missing_baselines(self._after_alone, self._cluster, namespace)
            if baseline in before
        )

    @property
    def _after_alone(self) -> tuple[Policy, ...]:
        new = self._change.new
        return self._others if new is None else (*self._others, new)

    @property
    def _before(self) -> State:
        old = self._change.old
        return State(self._others if old is None else (*self._others, old), self._standing.table)

    @property
    def _after(self) -> State:
        return State((*self._after_alone, *self._assumed), self._standing.table)

    def outcome(self) -> ReviewOutcome:
        """Return the outcome. Raises ``TooComplexError``."""
        if not self._standing.is_guarded:
            return ADMITTED
        verdict = self._verdict()
        if verdict.rejected:
            return self._rejection(verdict, self._standing.flows)
        notes = self._notes(verdict)
        return (
            ReviewOutcome(OutcomeKind.ADMIT, notes=notes, flows=flow_ids(verdict.warned))
            if notes
            else ADMITTED
        )

    @property
    def assumed(self) -> tuple[Policy, ...]:
        """The baselines that are judged as if they stood beside this one."""
        return self._assumed

    def rejection(self, verdict: Verdict) -> ReviewOutcome:
        """Return the refusal for what was found to be lost already."""
        return self._rejection(verdict, self._standing.flows)

    def _verdict(self) -> Verdict:
        """Judge what is not open whatever becomes of this policy: in most changes, nothing."""
        exposed = self._standing.exposed_to(self._change.name)
        if not exposed:
            return NOTHING_LOST
        return self._judge.compare(self._before, self._after, self._standing.flows, exposed)

    # -- rejections ----------------------------------------------------------------------------------------

    def _rejection(self, verdict: Verdict, flows: tuple[RequiredFlow, ...]) -> ReviewOutcome:
        return policy_denial(
            self._change, verdict, (self._after.policies, self._assumed), self._ways_out(verdict, flows)
        )

    def _ways_out(self, verdict: Verdict, flows: tuple[RequiredFlow, ...]) -> list[str]:
        change = self._change
        if change.new is None:
            return ways_out_of_deletion(change.namespace)
        lines = fix_lines(self._fix(verdict, flows))
        if change.old is None and missing_baselines(self._after.policies, self._cluster, change.namespace):
            lines.append(baselines_first(change.namespace))
        return lines

    def _fix(self, verdict: Verdict, flows: tuple[RequiredFlow, ...]) -> Fix | None:
        if self._change.new is None:
            return None
        losses = (*verdict.rejected, *verdict.warned)
        broken = Broken(
            self._change.new, (*self._others, *self._assumed), self._before, self._cluster, flows, losses
        )
        try:
            return find_fix(broken, self._judge)
        except TooComplexError:  # the change is known to do harm, whether or not there is time for a fix
            return None

    # -- notes ---------------------------------------------------------------------------------------------

    def _notes(self, verdict: Verdict) -> tuple[str, ...]:
        notes: list[str] = []
        if verdict.losses:
            notes += self._loss_notes(verdict)
        notes += self._partner_notes()
        if self._baseline is not None:
            return (*notes, *_left_out_notes(self._baseline))
        return tuple(notes) or self._effect_notes()

    def _partner_notes(self) -> list[str]:
        """Say which baselines are missing, if required traffic is cut for as long as they are."""
        if not self._assumed:
            return []
        try:
            missing, is_certain = self._missed()
        except TooComplexError:  # the change is known to do no harm once they are there
            missing, is_certain = self._assumed, False
        if not missing:
            return []
        names = listed(baseline.name for baseline in missing)
        verb = "is" if is_certain else "may be"
        return [f"apply the missing baseline too, until then required traffic {verb} cut: {names}"]

    def _missed(self) -> tuple[tuple[Policy, ...], bool]:
        """Return the assumed baselines without which something is cut, and whether it surely is."""
        complete, flows = self._after, self._standing.flows
        without = self._judge.compare(complete, State(self._after_alone, complete.table), flows)
        if not (without.rejected or without.warned):
            return (), False
        needed = []
        for baseline in self._assumed if len(self._assumed) > 1 else ():
            rest = tuple(policy for policy in complete.policies if policy is not baseline)
            lost = self._judge.compare(complete, State(rest, complete.table), flows)
            if lost.rejected or lost.warned:
                needed.append(baseline)
        return tuple(needed) or self._assumed, bool(without.rejected)

    def _loss_notes(self, verdict: Verdict) -> list[str]:
        notes = [loss_lines(loss, self._after.policies)[0] for loss in main_losses(verdict.warned)]
        notes += [
            f"still cut off, as before: {flow_words(loss.flow)}; isolated by "
            f"{listed(dict.fromkeys(policy.name for policy in loss.isolating))}"
            for loss in main_losses(verdict.remaining)
            # Egress of the platform is worth a warning once: by the change that takes it away.
            if loss.flow.id is not FlowId.PLATFORM_EGRESS
        ]
        return notes

    def _effect_notes(self) -> tuple[str, ...]:
        new = self._change.new
        if new is None or self._change.is_ours or not self._rules.tell_no_effect:
            return ()
        if new == self._change.old or any(map(is_long, (new, *self._others))):
            return ()
        if not new.pods:
            return (f"{new.name} has no effect: no pod can match its podSelector",)
        try:
            if not has_no_effect(new, self._others, World(self._standing.table), self._budget):
                return ()
        except TooComplexError:  # the change is known to do no harm, and this is a courtesy
            return ()
        keepers = listed(
            policy.name for policy in self._others if policy.types & new.types and policy.pods & new.pods
        )
        return (f"{new.name} has no effect: {keepers} already isolate its pods and allow all it allows",)


def _left_out_notes(baseline: Baseline) -> list[str]:
    if not baseline.left_out:
        return []
    return [f"this baseline leaves out API server sources: {listed(map(source_words, baseline.left_out))}"]
