"""Per managed namespace: baselines by meaning, required flows, and what these hang on.

A lost flow is a symptom. Its cause is the baseline that should carry it: missing, altered, about to vanish,
or selecting other pods than those that serve the webhook.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from app.doctor import consequences, repairs
from app.doctor.checks.policies import hanging_on_one, kind_by_name, without_effect
from app.doctor.checks.sources import operator_like, source_findings
from app.doctor.checks.webhooks import selecting_nothing
from app.doctor.context import Context
from app.doctor.findings import Area, Check, Finding, Severity
from app.doctor.losses import loss_findings, severity_of
from app.doctor.repairs import Repair
from app.doctor.verdicts import Verdict
from app.engine.baselines import MANAGED_NAME, OPERATOR_NAME, BaselineKind, written_baselines
from app.engine.judge import Loss
from app.engine.policy import Direction, Policy
from app.engine.requirements import FlowId
from app.engine.words import listed, pods_words, rule_words
from app.model.survey import ServiceKey

_BASELINE_WORDS = {
    BaselineKind.OPERATOR: f"{OPERATOR_NAME} (API server to the webhook)",
    BaselineKind.MANAGED: f"{MANAGED_NAME} (managed namespaces to each other)",
}


def examine_namespaces(context: Context) -> Iterator[Finding]:
    """Yield what is wrong with the policies of the managed namespaces."""
    unreliable = selecting_nothing(context)
    for name in sorted(context.verdicts.guarded):
        if context.includes(name):
            verdict = context.verdicts.of(name)
            # A selector with a typing error is no reason to complain of policies that select the real pods.
            losses = tuple(one for one in verdict.losses if _webhook_of(one) not in unreliable)
            yield from _Namespace(context, replace(verdict, losses=losses)).findings()


def _webhook_of(loss: Loss) -> ServiceKey | None:
    webhook = loss.flow.webhook
    return None if webhook is None else (webhook.namespace, webhook.name)


@dataclass(slots=True)
class _Namespace:
    """The examination of one namespace; ``left`` are the losses that no cause explains yet."""

    context: Context
    verdict: Verdict
    left: list[Loss] = field(default_factory=list)

    def findings(self) -> Iterator[Finding]:
        if not self.verdict.is_known:
            yield self._too_complex()
            return
        self.left = list(self.verdict.losses)
        found = [*self._about_sources(), *self._standing_baselines(), *self._missing_baselines()]
        found += [replace(one, repair=self._baselines()) for one in loss_findings(self.left, self._policies)]
        found += without_effect(self.context, self.verdict)
        yield from found
        if not any(one.severity.counts for one in found):
            self.context.say_fine(
                f"namespace {self._name}: both baselines stand, all required flows are open"
            )

    @property
    def _name(self) -> str:
        return self.verdict.namespace

    @property
    def _policies(self) -> tuple[Policy, ...]:
        return self.verdict.policies

    def _of_kind(self, kind: BaselineKind) -> list[Loss]:
        """Return the losses that a baseline of this kind would prevent."""
        is_operator = kind is BaselineKind.OPERATOR
        return [one for one in self.left if (one.flow.id is FlowId.WEBHOOK_INGRESS) is is_operator]

    def _explained(self, losses: Iterable[Loss]) -> tuple[Finding, ...]:
        """Return the losses as symptoms, and leave them out from now on."""
        known = tuple(losses)
        self.left = [one for one in self.left if all(one is not other for other in known)]
        return loss_findings(known, self._policies)

    # -- the API server's addresses ------------------------------------------------------------------------

    def _about_sources(self) -> Iterator[Finding]:
        for found in source_findings(self.context, self.verdict):
            yield replace(found.finding, symptoms=self._explained(found.losses))

    # -- baselines that stand, in some form ----------------------------------------------------------------

    def _standing_baselines(self) -> Iterator[Finding]:
        for policy in self._policies:
            kind = kind_by_name(policy)
            if policy.terminating and (kind is not None or operator_like(policy, self.context.verdicts)):
                yield self._terminating(policy, kind or BaselineKind.OPERATOR)
            elif policy.name in self.verdict.baselines:
                yield from self._selecting_others(policy)
            elif kind is not None:
                yield from self._altered(policy, kind)

    def _terminating(self, policy: Policy, kind: BaselineKind) -> Finding:
        losses = self._of_kind(kind)
        return self._finding(
            Check.BASELINE_TERMINATING,
            severity_of(losses),
            f"{policy.name} of {self._name} is being deleted and only held by a finalizer: it allows nothing",
            evidence=(f"{policy.name} has a deletionTimestamp",),
            consequence=consequences.JOBS_FAIL,
            repair=repairs.advice(
                "see who holds it; then write it again",
                f"kubectl get networkpolicy {policy.name} -n {self._name} -o yaml",
            ),
            symptoms=self._explained(losses),
        )

    def _selecting_others(self, policy: Policy) -> Iterator[Finding]:
        if self.verdict.baselines[policy.name].kind is not BaselineKind.OPERATOR:
            return
        others = [
            one
            for one in self._of_kind(BaselineKind.OPERATOR)
            if one.flow.webhook is not None and not one.flow.webhook.selector.is_subset(policy.pods)
        ]
        if not others:
            return
        services = {one.flow.webhook.name: one.flow.webhook for one in others if one.flow.webhook is not None}
        real = listed(f"{pods_words(one.selector)} (Service {name})" for name, one in services.items())
        yield self._finding(
            Check.BASELINE_SELECTS_OTHER_PODS,
            severity_of(others),
            f"{policy.name} of {self._name} selects {pods_words(policy.pods)}, but the webhook is"
            f" served by {real}",
            evidence=(f"the Service's own selector counts, not the documented label: {real}",),
            consequence=self._webhook_consequence(others),
            repair=self._baselines(),
            symptoms=self._explained(others),
        )

    def _altered(self, policy: Policy, kind: BaselineKind) -> Iterator[Finding]:
        losses = self._of_kind(kind)
        if kind is BaselineKind.OPERATOR and not losses:
            return  # whatever it says, the API server gets through; stale addresses are found by themselves
        yield self._finding(
            Check.BASELINE_ALTERED,
            severity_of(losses) if losses else Severity.NOTE,
            f"{policy.name} of {self._name} does not say what the baseline of that name says",
            evidence=(_shape(policy),),
            consequence=self._webhook_consequence(losses)
            if kind is BaselineKind.OPERATOR
            else (consequences.JOBS_FAIL if losses else "no required flow is lost by that"),
            repair=self._restored(policy, kind) if losses else None,
            symptoms=self._explained(losses),
        )

    def _restored(self, policy: Policy, kind: BaselineKind) -> Repair:
        texts = written_baselines(self.context.verdicts.cluster, self._name)
        wanted = [one for one in texts if (one.name == MANAGED_NAME) is (kind is BaselineKind.MANAGED)]
        if len(wanted) == 1 and (kind is BaselineKind.MANAGED or self.context.verdicts.cluster.sources):
            return repairs.restored(replace(wanted[0], name=policy.name))
        return self._baselines()

    # -- baselines that are missing ------------------------------------------------------------------------

    def _missing_baselines(self) -> Iterator[Finding]:
        standing = {one.kind for one in self.verdict.baselines.values()}
        standing |= {kind for one in self._policies if (kind := kind_by_name(one)) is not None}
        if any(operator_like(one, self.context.verdicts) for one in self._policies):
            standing.add(BaselineKind.OPERATOR)
        missing = [kind for kind in BaselineKind if kind not in standing]
        if not missing:
            return
        losses = [one for kind in missing for one in self._of_kind(kind)]
        hanging = tuple(hanging_on_one(self.context, self.verdict)) if BaselineKind.MANAGED in missing else ()
        yield self._finding(
            Check.BASELINE_MISSING,
            severity_of(losses) if losses else Severity.WARNING,
            f"{self._name} has no baseline " + " and no ".join(_BASELINE_WORDS[one] for one in missing),
            evidence=(self._policies_words(),),
            consequence=consequences.JOBS_FAIL if losses else consequences.NEXT_POLICY,
            repair=self._baselines(),
            symptoms=(*self._explained(losses), *hanging),
        )

    def _policies_words(self) -> str:
        names = listed(one.name for one in self._policies)
        return f"its policies: {names}" if names else "it has no NetworkPolicy at all"

    # -- shared --------------------------------------------------------------------------------------------

    def _baselines(self) -> Repair:
        if self.context.verdicts.cluster.sources:
            return repairs.baselines(self._name)
        return repairs.advice(
            "write both baselines, with the API server's addresses that nobody could find",
            f"netpol-guard bootstrap --baselines-only -n {self._name} --api-server ADDRESS",
        )

    def _webhook_consequence(self, losses: Iterable[Loss]) -> str:
        names = {one.flow.webhook.name for one in losses if one.flow.webhook is not None}
        return consequences.of_silence(
            one
            for one in self.context.survey.registrations
            if one.client.namespace == self._name and one.client.service in names
        )

    def _too_complex(self) -> Finding:
        return self._finding(
            Check.TOO_COMPLEX,
            Severity.UNCHECKED,
            f"the policies of {self._name} are too complex to verify in the time for one namespace",
            evidence=(f"{len(self._policies)} policies",),
            repair=repairs.advice("merge policies", f"kubectl get networkpolicy -n {self._name}"),
        )

    def _finding(
        self,
        check: Check,
        severity: Severity,
        title: str,
        *,
        evidence: tuple[str, ...] = (),
        consequence: str = "",
        repair: Repair | None = None,
        symptoms: tuple[Finding, ...] = (),
    ) -> Finding:
        return Finding(
            check,
            severity,
            Area.NAMESPACES,
            f"namespace {self._name}",
            title,
            self._name,
            evidence,
            consequence,
            repair,
            symptoms,
        )


def _shape(policy: Policy) -> str:
    types = listed(sorted(one.value for one in policy.types))
    said = [
        f"{direction.field} {'; '.join(map(rule_words, policy.rules(direction))) or 'nobody'}"
        for direction in Direction
        if direction in policy.types
    ]
    return f"it selects {pods_words(policy.pods)}, policyTypes {types}; it lets through: {' | '.join(said)}"
