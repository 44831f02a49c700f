"""Per managed namespace: baselines by meaning, required flows, and what these hang on.

A lost flow is a symptom. Its cause is the baseline that should carry it: missing, altered, about to vanish,
or selecting other pods than those that serve the webhook.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from app.doctor import consequences, repairs
from app.doctor.checks.policies import hanging_on_one, kind_by_name, without_effect
from app.doctor.checks.sources import operator_like, source_findings
from app.doctor.checks.webhooks import selecting_nothing
from app.doctor.context import Context
from app.doctor.findings import Check, Finding, FindingSeverity
from app.doctor.losses import loss_findings, severity_of, silence_of, webhook_of
from app.doctor.repairs import Repair
from app.doctor.verdicts import NamespaceVerdict
from app.engine.baselines import MANAGED_NAME, OPERATOR_NAME, BaselineKind, written_baselines
from app.engine.judge import Loss
from app.engine.policy import Direction, Policy
from app.engine.required_flows import FlowId
from app.engine.words import listed, pods_words, rule_words

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
            losses = [loss for loss in verdict.losses if webhook_of(loss) not in unreliable]
            yield from _Namespace(context, replace(verdict, losses=tuple(losses)), losses).findings()


@dataclass(slots=True)
class _Namespace:
    """The examination of one namespace; ``left`` are the losses that no cause explains yet."""

    context: Context
    verdict: NamespaceVerdict
    left: list[Loss]

    def findings(self) -> Iterator[Finding]:
        if not self.verdict.is_known:
            yield self._too_complex()
            return
        found = [*self._about_sources(), *self._standing_baselines(), *self._missing_baselines()]
        found += [
            replace(each, repair=self._baselines()) for each in loss_findings(self.left, self._policies)
        ]
        found += without_effect(self.context, self.verdict)
        yield from found
        if not any(finding.severity.counts for finding in found):
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
        return [loss for loss in self.left if (loss.flow.id is FlowId.WEBHOOK_INGRESS) is is_operator]

    def _explained(self, losses: Iterable[Loss]) -> tuple[Finding, ...]:
        """Return the losses as symptoms, and leave them out from now on."""
        known = tuple(losses)
        self.left = [loss for loss in self.left if all(loss is not other for other in known)]
        return loss_findings(known, self._policies)

    # -- the API server's addresses ------------------------------------------------------------------------

    def _about_sources(self) -> Iterator[Finding]:
        for finding, losses in source_findings(self.context, self.verdict):
            yield replace(finding, symptoms=self._explained(losses))

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
        return Finding(
            Check.BASELINE_TERMINATING,
            f"{policy.name} of {self._name} is being deleted and only held by a finalizer: it allows nothing",
            self._name,
            evidence=(f"{policy.name} has a deletionTimestamp",),
            consequence=consequences.JOBS_FAIL,
            repair=Repair(
                "see who holds it; then write it again",
                f"kubectl get networkpolicy {policy.name} -n {self._name} -o yaml",
            ),
            symptoms=self._explained(losses),
            own_severity=severity_of(losses),
        )

    def _selecting_others(self, policy: Policy) -> Iterator[Finding]:
        if self.verdict.baselines[policy.name].kind is not BaselineKind.OPERATOR:
            return
        others = [
            loss
            for loss in self._of_kind(BaselineKind.OPERATOR)
            if loss.flow.webhook is not None and not loss.flow.webhook.selector.is_subset(policy.pods)
        ]
        if not others:
            return
        services = {webhook.name: webhook for loss in others if (webhook := loss.flow.webhook) is not None}
        real = listed(
            f"{pods_words(webhook.selector)} (Service {name})" for name, webhook in services.items()
        )
        yield Finding(
            Check.BASELINE_SELECTS_OTHER_PODS,
            f"{policy.name} of {self._name} selects {pods_words(policy.pods)}, but the webhook is"
            f" served by {real}",
            self._name,
            evidence=(f"the Service's own selector counts, not the documented label: {real}",),
            consequence=silence_of(self.context, others),
            repair=self._baselines(),
            symptoms=self._explained(others),
            own_severity=severity_of(others),
        )

    def _altered(self, policy: Policy, kind: BaselineKind) -> Iterator[Finding]:
        losses = self._of_kind(kind)
        if kind is BaselineKind.OPERATOR and not losses:
            return  # whatever it says, the API server gets through; stale addresses are found by themselves
        yield Finding(
            Check.BASELINE_ALTERED,
            f"{policy.name} of {self._name} does not say what the baseline of that name says",
            self._name,
            evidence=(_shape(policy),),
            consequence=silence_of(self.context, losses)
            if kind is BaselineKind.OPERATOR
            else (consequences.JOBS_FAIL if losses else "no required flow is lost by that"),
            repair=self._restored(policy, kind) if losses else None,
            symptoms=self._explained(losses),
            own_severity=severity_of(losses) if losses else FindingSeverity.NOTE,
        )

    def _restored(self, policy: Policy, kind: BaselineKind) -> Repair:
        is_managed = kind is BaselineKind.MANAGED
        texts = written_baselines(self.context.verdicts.cluster, self._name)
        wanted = [text for text in texts if (text.name == MANAGED_NAME) is is_managed]
        if len(wanted) == 1 and (is_managed or self.context.verdicts.cluster.sources):
            return repairs.restored(replace(wanted[0], name=policy.name))
        return self._baselines()

    # -- baselines that are missing ------------------------------------------------------------------------

    def _missing_baselines(self) -> Iterator[Finding]:
        standing = {baseline.kind for baseline in self.verdict.baselines.values()}
        standing |= {kind for policy in self._policies if (kind := kind_by_name(policy)) is not None}
        if any(operator_like(policy, self.context.verdicts) for policy in self._policies):
            standing.add(BaselineKind.OPERATOR)
        missing = [kind for kind in BaselineKind if kind not in standing]
        if not missing:
            return
        losses = [loss for kind in missing for loss in self._of_kind(kind)]
        hanging = tuple(hanging_on_one(self.context, self.verdict)) if BaselineKind.MANAGED in missing else ()
        names = listed(policy.name for policy in self._policies)
        yield Finding(
            Check.BASELINE_MISSING,
            f"{self._name} has no baseline " + " and no ".join(_BASELINE_WORDS[kind] for kind in missing),
            self._name,
            evidence=(f"its policies: {names}" if names else "it has no NetworkPolicy at all",),
            consequence=consequences.JOBS_FAIL if losses else consequences.NEXT_POLICY,
            repair=self._baselines(),
            symptoms=(*self._explained(losses), *hanging),
            own_severity=severity_of(losses),
        )

    # -- shared --------------------------------------------------------------------------------------------

    def _baselines(self) -> Repair:
        if self.context.verdicts.cluster.sources:
            return repairs.baselines(self._name)
        return Repair(
            "write both baselines, with the API server's addresses that nobody could find",
            f"netpol-guard bootstrap --baselines-only -n {self._name} --api-server ADDRESS",
        )

    def _too_complex(self) -> Finding:
        return Finding(
            Check.TOO_COMPLEX,
            f"the policies of {self._name} are too complex to verify in the time for one namespace",
            self._name,
            evidence=(f"{len(self._policies)} policies",),
            repair=Repair("merge policies", f"kubectl get networkpolicy -n {self._name}"),
        )


def _shape(policy: Policy) -> str:
    types = listed(sorted(direction.value for direction in policy.types))
    said = [
        f"{direction.field} {'; '.join(map(rule_words, policy.rules(direction))) or 'nobody'}"
        for direction in Direction
        if direction in policy.types
    ]
    return f"it selects {pods_words(policy.pods)}, policyTypes {types}; it lets through: {' | '.join(said)}"
