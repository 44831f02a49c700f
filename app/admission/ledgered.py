"""Changes judged by the ledger (``docs/design/changes-that-meet.md``), and what it decides put into words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import Protocol, TypeVar

from app.admission.denials.not_judged import title_of
from app.admission.denials.under_way import already_exists, as_half, not_now, with_entries_under_way
from app.admission.label_judgement import labels_outcome
from app.admission.ledger.engine import EngineJudge
from app.admission.ledger.protocol import Admission, Decision, Refusal, Reviews
from app.admission.ledger.protocol import Reason as Ground
from app.admission.ledger.values import Change, Effect, LabelChange
from app.admission.ledger.values import PolicyChange as LedgerPolicyChange
from app.admission.ledger.worst_case import Case
from app.admission.offload import Offload
from app.admission.outcome import ADMITTED, OutcomeKind, PolicyChange, ReviewOutcome
from app.admission.policy_judgement import PolicyJudgement
from app.admission.rules import Rules
from app.admission.standing import StandingMemory
from app.deadline import REVIEW_TIME, ReviewTime
from app.engine.budget import Budget, TooComplexError
from app.engine.cluster import Cluster
from app.engine.judge import Verdict
from app.engine.policy import Policy
from app.model.snapshot import Stored, StoredNamespace, Watched, version_of
from app.wire.networkpolicy.parse import ParsedPolicy
from app.wire.objects.namespaces import ParsedNamespace
from app.wire.review.request import Review

T = TypeVar("T")


class WatchedCluster(Protocol):
    """Whoever watches the cluster and its ledger."""

    def unusable(self) -> str | None:
        """Return why changes cannot be judged by the ledger, None where they can."""
        ...

    def snapshot(self) -> Watched[Policy]:
        """Return what the watches show."""
        ...

    def cluster(self, watched: Watched[Policy], namespaces: Iterable[str] | None = None) -> Cluster:
        """Return a snapshot as a state to judge by, with the policies of ``namespaces``, else of all.

        The very same value while nothing of it changes.
        """
        ...


class OffloadedJudge(EngineJudge):
    """The judge over the engine, whose long questions do not hold up others' reviews."""

    def __init__(self, facts: Callable[[], Cluster], rules: Rules, offload: Offload) -> None:
        """``facts`` gives sources, webhooks and API servers as they are known now."""
        super().__init__(facts, rules.options)
        self._offload = offload

    async def is_harmless(self, namespace: str, old: Policy | None, new: Policy | None) -> bool:
        """Tell whether a change surely takes nothing away, whatever else there is.

        Where that is hard to tell, what there is may tell it at once: so it is not known to be harmless.
        """
        if old == new:
            return True
        question = partial(self.harmless_within, namespace, (old, new))
        try:
            return self._offload.at_once(question, REVIEW_TIME.get().computing, (old, new))
        except TooComplexError:
            return False

    async def loss(self, case: Case[Policy]) -> Verdict | None:
        """Return what is open before and rejected for being lost after, None for nothing."""
        before: tuple[Policy, ...] = ()
        deadline = REVIEW_TIME.get().computing
        if case.before is not None:
            before = case.before.policies
        else:  # that all was open is a first guess: half of the time is left for what was
            deadline = deadline.at_most(deadline.left / 2)
        about = chain(before, *(side.policies for side in case.after))
        answer, _ = await self._offload.ask(self.question(case), deadline, about)
        return answer


class LedgerJudge:
    """Judges the changes that reviews ask about by the ledger."""

    def __init__(
        self, watched: WatchedCluster, reviews: Reviews[Policy, Verdict], rules: Rules, offload: Offload
    ) -> None:
        """``reviews`` are those of this replica."""
        self._watched = watched
        self._reviews = reviews
        self._rules = rules
        self._offload = offload
        self._wording = _Wording(rules)

    def unusable(self) -> str | None:
        """Return why changes cannot be judged by the ledger, None where they can."""
        return self._watched.unusable()

    def cluster(self, namespace: str) -> Cluster:
        """Return the state of one namespace as watched."""
        return self._watched.cluster(self._watched.snapshot(), (namespace,))

    async def note(self, change: Change[Policy]) -> None:
        """Write down a change that is made although it was refused. Raises ``StateUnreadable``."""
        await self._reviews.note(change)

    async def policy(
        self,
        change: PolicyChange,
        ledgered: LedgerPolicyChange[Policy],
        may_override: Callable[[], Awaitable[bool]],
        time: ReviewTime,
    ) -> ReviewOutcome:
        """Return what a change of a policy comes to; ``may_override`` tells whether its user may.

        Raises ``TooComplexError`` and ``StateUnreadable``.
        """
        decision = await self._reviews.review(ledgered)
        partners = await self._partners(change, decision, time)
        # Half of a pair makes things worse for a moment: nobody else is to leave it at that.
        if partners and await may_override():
            decision = await self._reviews.review(replace(ledgered, assumed=partners))
        cluster = self._cluster_of(decision, change)
        if isinstance(decision, Admission):
            question = partial(self._wording.judged, change, cluster)
            outcome = await self._courtesy(question, time, _about(change, cluster))
        else:
            question = partial(self._wording.refused, change, cluster, replace(decision, basis=None))
            outcome, _ = await self._offload.ask(question, time.computing, _about(change, cluster))
        return replace(outcome, way=decision.way.value)

    def _cluster_of(self, decision: Decision[Policy, Verdict], change: PolicyChange) -> Cluster:
        return self._watched.cluster(decision.basis or self._watched.snapshot(), (change.namespace,))

    async def _partners(
        self, change: PolicyChange, decision: Decision[Policy, Verdict], time: ReviewTime
    ) -> tuple[Policy, ...]:
        """Return the other half of a pair, where a half is refused for want of it."""
        if not isinstance(decision, Refusal) or decision.loss is None or change.new is None:
            return ()
        cluster = self._cluster_of(decision, change)
        question = partial(self._wording.partners, change, cluster)
        partners, _ = await self._offload.ask(question, time.computing, _about(change, cluster))
        return partners

    async def labels(
        self, review: Review, versions: tuple[ParsedNamespace | None, ParsedNamespace], time: ReviewTime
    ) -> ReviewOutcome:
        """Return what a change of a namespace's labels comes to; raises like ``policy``."""
        decision = await self._reviews.review(ledgered_labels(review, *versions))
        cluster = self._watched.cluster(decision.basis or self._watched.snapshot())
        old, new = versions
        question = partial(
            labels_outcome, (None if old is None else old.namespace, new.namespace), cluster, self._rules
        )
        about = chain.from_iterable(cluster.policies.values())
        if isinstance(decision, Admission):
            outcome = await self._courtesy(question, time, about)
        else:
            outcome = not_now(title_of(review), decision)
            if decision.reason is Ground.LOSS:
                shown, _ = await self._offload.ask(question, time.computing, about)
                outcome = shown if shown.kind is OutcomeKind.REJECT else outcome
        return replace(outcome, way=decision.way.value)

    async def _courtesy(
        self,
        question: Callable[[Budget], ReviewOutcome],
        time: ReviewTime,
        about: Iterable[Policy | None],
    ) -> ReviewOutcome:
        """Return the notes to a change that is admitted; none where what is watched says otherwise."""
        try:
            outcome, _ = await self._offload.ask(question, time.computing, about)
        except TooComplexError:
            return ADMITTED
        return outcome if outcome.kind is OutcomeKind.ADMIT else ADMITTED


class _Wording:
    """Puts what the ledger decided into words, in whatever process."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._standing = StandingMemory(rules.options)

    def __reduce__(self) -> tuple[type[_Wording], tuple[Rules]]:
        """Be sent to another process without what is remembered."""
        return _Wording, (self._rules,)

    def _judgement(self, change: PolicyChange, cluster: Cluster, budget: Budget) -> PolicyJudgement:
        standing = self._standing.of(cluster, change.namespace, budget)
        return PolicyJudgement(change, standing, self._rules, budget)

    def partners(self, change: PolicyChange, cluster: Cluster, budget: Budget) -> tuple[Policy, ...]:
        """Return the other half of a pair, where the change brings one half."""
        return self._judgement(change, cluster, budget).assumed

    def judged(self, change: PolicyChange, cluster: Cluster, budget: Budget) -> ReviewOutcome:
        """Return what a change comes to by itself: the notes to one that is admitted."""
        return self._judgement(change, cluster, budget).outcome()

    def refused(
        self, change: PolicyChange, cluster: Cluster, refusal: Refusal[Policy, Verdict], budget: Budget
    ) -> ReviewOutcome:
        """Return a refusal in words, with the ways out."""
        if refusal.reason is Ground.EXISTS:
            return already_exists(change)
        if refusal.loss is None:
            return not_now(change.title, refusal)
        judgement = self._judgement(change, cluster, budget)
        if refusal.reason is Ground.LOSS:
            outcome = judgement.outcome()
            if outcome.kind is not OutcomeKind.REJECT:
                outcome = judgement.rejection(refusal.loss)
            return as_half(outcome, change.namespace) if judgement.assumed else outcome
        # What mends the policy by itself is no way out of this: it does no harm by itself.
        rejection = judgement.rejection(refusal.loss)
        return with_entries_under_way(replace(rejection, lines=rejection.lines[:1]), refusal.under_way)


def _about(change: PolicyChange, cluster: Cluster) -> Iterator[Policy | None]:
    return chain((change.old, change.new), cluster.policies.get(change.namespace, ()))


def ledgered_policy(
    review: Review, new: ParsedPolicy | None, old: ParsedPolicy | None, change: PolicyChange
) -> LedgerPolicyChange[Policy]:
    """Return ``change``, which ``review`` asks about, as the ledger knows changes."""
    stored = None if change.old is None or old is None else _stored(old, change.old)
    created = new.metadata.uid if new is not None else ""
    uid = stored.uid if stored is not None else created
    effect = Effect.DRY_RUN if review.dry_run else Effect.REAL
    return LedgerPolicyChange(
        change.namespace, change.name, uid, stored, _standing(change.new), effect=effect
    )


def _stored(parsed: ParsedPolicy, policy: Policy) -> Stored[Policy]:
    metadata = parsed.metadata
    stands = replace(policy, terminating=False)
    return Stored(metadata.uid, version_of(metadata.resource_version), stands, policy.terminating)


def _standing(policy: Policy | None) -> Policy | None:
    return replace(policy, terminating=False) if policy is not None and policy.terminating else policy


def ledgered_labels(review: Review, old: ParsedNamespace | None, new: ParsedNamespace) -> LabelChange:
    """Return the change of labels that ``review`` asks about, as the ledger knows changes."""
    stored = None
    if old is not None:
        metadata = old.metadata
        version = version_of(metadata.resource_version)
        stored = StoredNamespace(metadata.uid, version, old.namespace.labels)
    effect = Effect.DRY_RUN if review.dry_run else Effect.REAL
    return LabelChange(new.namespace.name, new.metadata.uid, stored, new.namespace.labels, effect)
