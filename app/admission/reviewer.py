"""From the bytes of an AdmissionReview to the bytes of its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter

from msgspec import Raw

from app.admission.denials.not_judged import (
    may_not_weaken,
    missing,
    overdue,
    spec_of_what_goes,
    title_of,
    unchecked,
    undecided,
    unknown_state,
    unreadable,
)
from app.admission.fresh_judge import FreshJudge, change_of
from app.admission.ledger.protocol import Way
from app.admission.ledger.values import Change
from app.admission.ledgered import LedgerJudge, ledgered_policy
from app.admission.offload import Offload
from app.admission.outcome import ADMITTED, OutcomeKind, PolicyChange, ReviewOutcome
from app.admission.overrides import OverrideRuling, Overrides, hint
from app.admission.ports import (
    Afterwards,
    Announcer,
    ClusterState,
    Decision,
    Nobody,
    OverrideOutcome,
    Recorder,
)
from app.admission.probes import Probes, probe_in
from app.admission.responses import DENY, answer, overridden, unjudged
from app.admission.rules import NAMESPACES, POLICIES, Mode, Rules
from app.deadline import REVIEW_TIME, ReviewTime, TimeLimits
from app.engine.budget import TooComplexError
from app.engine.cluster import MANAGED, Cluster
from app.engine.policy import Policy
from app.errors import StateUnreadable
from app.model.access import Scope
from app.names import MODE_LABEL, OVERRIDE_ANNOTATION
from app.wire.networkpolicy.parse import ParsedPolicy
from app.wire.objects.metadata import Metadata
from app.wire.objects.namespaces import ParsedNamespace, namespace_of
from app.wire.review.request import Operation, Review, decode_review, policy_of
from app.wire.review.response import with_warning

_NAMESPACE_PARTS = ("", "status", "finalize")
_MODES = {mode.value: mode for mode in Mode}
# Each look at a member of an enum costs as much as a call, and on the way of a review there are many.
_CREATE, _UPDATE, _DELETE = Operation.CREATE, Operation.UPDATE, Operation.DELETE
_FRESH = "fresh"
"""How a change is judged without the ledger: by a fresh list of the namespace."""
_ADMIT, _OFF, _ENFORCE, _NOT_ASKED = OutcomeKind.ADMIT, Mode.OFF, Mode.ENFORCE, OverrideOutcome.NOT_ASKED


@dataclass(frozen=True, slots=True)
class _Judged:
    """An outcome with what mode and override need.

    ``metadata`` is that of the object whose annotation may override. ``granted`` says what the right to
    override already let through, "" for nothing. ``change`` is set where it is not remembered yet that it may
    be let through.
    """

    outcome: ReviewOutcome
    mode: Mode
    metadata: Metadata | None = None
    override: OverrideOutcome = _NOT_ASKED
    granted: str = ""
    change: PolicyChange | None = None
    under_way: Change[Policy] | None = None


class Reviewer:
    """Answers reviews from the state it is given; the same for every way of serving."""

    def __init__(
        self,
        state: ClusterState,
        rules: Rules,
        recorder: Recorder,
        announcer: Announcer | None = None,
        *,
        ledger: LedgerJudge | None = None,
        offload: Offload | None = None,
    ) -> None:
        """With a ``ledger`` changes that meet are judged by it, as long as it can be used.

        Without an ``offload`` hard questions are not answered.
        """
        self._state = state
        self._rules = rules
        self._recorder = recorder
        self._overrides = Overrides(state, announcer or Nobody())
        self._ledger = ledger
        self._offload = offload or Offload()
        self._fresh = FreshJudge(state, rules, self._offload)
        self._probes = Probes(state, rules.replica)

    async def respond(self, body: bytes, limits: TimeLimits, peer: str = "") -> tuple[bytes, Afterwards]:
        """Return the answer to the review in ``body``, which came from the TCP peer ``peer``.

        Raises ``BadReview`` where it is none.
        """
        started = perf_counter()
        review = decode_review(body)
        time = ReviewTime(limits)
        REVIEW_TIME.set(time)
        with self._offload.review(review.namespace or review.name, review.user.username):
            reply, verdict, judged = await self._answer(review, time)
        self._record(review, verdict, judged, perf_counter() - started)
        if review.dry_run and (asked := probe_in(review)) is not None:
            # The next probe is to meet another replica, and the API server another way to it.
            warning = await self._probes.warning(review, asked, peer, time.reading)
            return with_warning(reply, warning), Afterwards.CLOSE
        return reply, Afterwards.KEEP

    async def _answer(self, review: Review, time: ReviewTime) -> tuple[bytes, str, _Judged | None]:
        if self._is_exempt(review):
            return unjudged(review), "exempt", None
        judged = await self._judged(review, time)
        if judged is None:
            kind = f"{review.operation.value} of {review.resource.group or 'core'}/{review.resource.resource}"
            return (
                unjudged(review, f"does not judge {kind}: the webhook's rules are too wide"),
                "unknown",
                None,
            )
        if judged.mode is _OFF:
            return unjudged(review), "off", judged
        if judged.outcome.kind is _ADMIT:
            if judged.granted:
                return self._overridden(review, judged, judged.granted)
            return *answer(review, judged.outcome, judged.mode, self._rules), judged
        reply, verdict, judged = await self._refused(review, judged, time)
        if verdict != DENY:
            await self._noted(judged, time)
        return reply, verdict, judged

    async def _noted(self, judged: _Judged, time: ReviewTime) -> None:
        """Remember a change that is made although it was refused: others are judged with it."""
        if judged.change is not None:
            self._fresh.admitted(judged.change)
        if judged.under_way is not None and self._ledger is not None:
            with suppress(StateUnreadable, TimeoutError):
                async with asyncio.timeout(time.answer.left):
                    await self._ledger.note(judged.under_way)

    async def _refused(self, review: Review, judged: _Judged, time: ReviewTime) -> tuple[bytes, str, _Judged]:
        """Honour an override that the user may make; else answer by the mode."""
        reason = None if judged.metadata is None else judged.metadata.annotations.get(OVERRIDE_ANNOTATION)
        outcome = judged.outcome
        if reason is not None:
            ruling = await self._overrides.rule(review, reason, time)
            judged = replace(judged, override=ruling.outcome)
            if not ruling.refusal:
                return self._overridden(review, judged, reason.strip())
            outcome = replace(outcome, notes=(*outcome.notes, ruling.refusal))
        elif judged.metadata is not None:
            outcome = replace(outcome, hint=hint(review))
        return *answer(review, outcome, judged.mode, self._rules), judged

    def _overridden(self, review: Review, judged: _Judged, reason: str) -> tuple[bytes, str, _Judged]:
        if judged.metadata is not None:
            self._overrides.announce(review, judged.metadata, reason, judged.outcome)
        return overridden(review, judged.outcome, reason), "override", judged

    def _is_exempt(self, review: Review) -> bool:
        rules = self._rules
        namespace = review.namespace or review.name
        return (
            namespace == rules.guard_namespace
            or namespace in rules.exempt_namespaces
            or review.user.username in rules.exempt_users
            or not rules.exempt_groups.isdisjoint(review.user.groups)
        )

    async def _judged(self, review: Review, time: ReviewTime) -> _Judged | None:
        """Return the judgement, None for what the guard does not know."""
        what, operation = (review.resource.group, review.resource.resource), review.operation
        changes = operation is _UPDATE or operation is _CREATE
        if what == POLICIES and not review.sub_resource and (changes or operation is _DELETE):
            return await self._judged_policy(review, time)
        if what == NAMESPACES and changes and review.sub_resource in _NAMESPACE_PARTS:
            return await self._judged_namespace(review, time)
        return None

    # -- network policies ----------------------------------------------------------------------------------

    async def _judged_policy(self, review: Review, time: ReviewTime) -> _Judged:
        new, old = _policy(review.object, review.namespace), _policy(review.old_object, review.namespace)
        kept = old if review.operation is _DELETE else new
        if kept is None or kept.policy is None or (old is not None and old.policy is None):
            return _Judged(_unusable(review, new, old), self._rules.mode)
        is_going = kept.metadata.deletion_timestamp is not None
        if is_going and not _changes_spec(kept, old):  # of finalizers or metadata, or deleted once more
            return _Judged(ADMITTED, self._rules.mode)
        judged = await self._judged_by_ledger(review, (kept, new, old), time)
        return judged or await self._judged_by_lists(review, kept, old, time)

    async def _judged_by_lists(
        self, review: Review, kept: ParsedPolicy, old: ParsedPolicy | None, time: ReviewTime
    ) -> _Judged:
        try:
            cluster = await self._fresh.read(Scope(review.namespace), time)
        except StateUnreadable as error:
            return _Judged(unknown_state(review, error), self._rules.mode, kept.metadata)
        namespace = cluster.namespaces.get(review.namespace)
        if namespace is None or namespace.terminating or not MANAGED.matches(namespace.labels):
            return _Judged(ADMITTED, self._rules.mode)
        mode, outcome, waiting = self._mode(namespace.labels), ADMITTED, None
        if kept.metadata.deletion_timestamp is not None and mode is not _OFF:
            return _Judged(spec_of_what_goes(review), mode, kept.metadata)
        if mode is not _OFF:
            change = change_of(review, kept, old)
            outcome = await self._fresh_outcome(review, change, cluster, time)
            if not review.dry_run:
                if outcome.kind is _ADMIT or mode is not _ENFORCE:
                    self._fresh.admitted(change)
                else:
                    waiting = change
        return _Judged(replace(outcome, way=_FRESH), mode, kept.metadata, change=waiting)

    async def _fresh_outcome(
        self, review: Review, change: PolicyChange, cluster: Cluster, time: ReviewTime
    ) -> ReviewOutcome:
        try:
            return await self._fresh.policy(change, cluster, time)
        except TooComplexError as error:
            return undecided(change.title, error)
        except StateUnreadable as error:
            return unknown_state(review, error)

    def _usable_ledger(self) -> LedgerJudge | None:
        ledger = self._ledger
        return None if ledger is None or ledger.unusable() is not None else ledger

    async def _judged_by_ledger(
        self,
        review: Review,
        versions: tuple[ParsedPolicy, ParsedPolicy | None, ParsedPolicy | None],
        time: ReviewTime,
    ) -> _Judged | None:
        """Return the judgement, None where there is no ledger or it cannot be used."""
        ledger = self._usable_ledger()
        if ledger is None:
            return None
        kept, new, old = versions
        namespace = ledger.cluster(review.namespace).namespaces.get(review.namespace)
        mode = self._rules.mode if namespace is None else self._mode(namespace.labels)
        if mode is _OFF or (namespace is not None and namespace.terminating):
            return _Judged(ADMITTED, mode)
        change = change_of(review, kept, old)
        under_way = ledgered_policy(review, new, old, change)
        try:
            async with asyncio.timeout(time.answer.left):
                outcome = await ledger.policy(
                    change, under_way, partial(self._overrides.is_allowed, review, time), time
                )
            if kept.metadata.deletion_timestamp is not None and outcome.kind is OutcomeKind.REJECT:
                outcome = spec_of_what_goes(review)
        except TooComplexError as error:
            outcome = undecided(change.title, error)
        except TimeoutError:
            outcome = unknown_state(review, overdue(time))
        except StateUnreadable as error:
            if ledger.unusable() is not None:
                return None
            outcome = unknown_state(review, error)
        if outcome.kind is _ADMIT and not review.dry_run and outcome.way != Way.HARMLESS.value:
            self._fresh.admitted(change)  # in case the ledger can be used no more in a moment
        if outcome.kind is OutcomeKind.EXISTS:  # nobody can create it, nor override that
            return _Judged(outcome, mode)
        return _Judged(outcome, mode, kept.metadata, under_way=None if review.dry_run else under_way)

    def _mode(self, labels: Mapping[str, str]) -> Mode:
        return _MODES.get(labels.get(MODE_LABEL, ""), self._rules.mode)

    # -- namespaces ----------------------------------------------------------------------------------------

    async def _judged_namespace(self, review: Review, time: ReviewTime) -> _Judged:
        new = None if review.object is None else namespace_of(review.object)
        old = None if review.old_object is None else namespace_of(review.old_object)
        if new is None or not new.namespace.name:
            return _Judged(missing(review), self._rules.mode)
        earlier = new if old is None else old
        was_managed = old is not None and MANAGED.matches(old.namespace.labels)
        mode = self._mode(earlier.namespace.labels) if was_managed else self._rules.mode
        unchanged = old is not None and old.namespace.labels == new.namespace.labels
        if new.namespace.terminating or unchanged:
            return _Judged(ADMITTED, mode)
        weaker = _weakening(mode, self._mode(new.namespace.labels), (old, new))
        ruling = OverrideRuling(OverrideOutcome.NOT_ASKED)
        if weaker:
            ruling = await self._overrides.rule(review, weaker, time)
        if ruling.refusal:
            # Who may override is not a matter of the mode.
            return _Judged(may_not_weaken(weaker, ruling), Mode.ENFORCE, override=ruling.outcome)
        outcome = await self._namespace_outcome(review, (old, new), time)
        return _Judged(outcome, mode, earlier.metadata, ruling.outcome, weaker)

    async def _namespace_outcome(
        self, review: Review, versions: tuple[ParsedNamespace | None, ParsedNamespace], time: ReviewTime
    ) -> ReviewOutcome:
        old, new = versions
        was_managed = old is not None and MANAGED.matches(old.namespace.labels)
        ledger = self._usable_ledger()
        try:
            if ledger is not None:
                with _unless_unusable(ledger):
                    async with asyncio.timeout(time.answer.left):
                        return await ledger.labels(review, versions, time)
            outcome = await self._fresh.labels(None if old is None else old.namespace, new.namespace, time)
            return replace(outcome, way=_FRESH)
        except (StateUnreadable, TimeoutError) as error:
            unread = overdue(time) if isinstance(error, TimeoutError) else error
            return unknown_state(review, unread) if was_managed else unchecked(review, unread)
        except TooComplexError as error:
            return undecided(title_of(review), error)

    # -- the record ----------------------------------------------------------------------------------------

    def _record(self, review: Review, verdict: str, judged: _Judged | None, seconds: float) -> None:
        self._recorder.decided(
            Decision(
                review.uid,
                review.operation,
                review.resource.resource,
                review.namespace,
                review.name,
                review.user.username,
                self._rules.mode if judged is None else judged.mode,
                verdict,
                seconds,
                () if judged is None else judged.outcome.flows,
                review.dry_run,
                _NOT_ASKED if judged is None else judged.override,
                "" if judged is None else judged.outcome.way,
            )
        )


@contextmanager
def _unless_unusable(ledger: LedgerJudge) -> Iterator[None]:
    """Go on without the ledger where it turns out that it cannot be used."""
    try:
        yield
    except StateUnreadable:
        if ledger.unusable() is None:
            raise


def _policy(raw: Raw | None, namespace: str) -> ParsedPolicy | None:
    return None if raw is None else policy_of(raw, namespace)


def _changes_spec(new: ParsedPolicy, old: ParsedPolicy | None) -> bool:
    """Tell whether two versions of one policy, which are readable, say something else."""
    return old is None or _said(new) != _said(old)


def _said(version: ParsedPolicy) -> Policy | None:
    return None if version.policy is None else replace(version.policy, name="", terminating=False)


def _unusable(review: Review, *versions: ParsedPolicy | None) -> ReviewOutcome:
    unread = next((version for version in versions if version is not None and version.policy is None), None)
    return missing(review) if unread is None else unreadable(review, unread)


def _weakening(before: Mode, after: Mode, versions: tuple[ParsedNamespace | None, ParsedNamespace]) -> str:
    """Return how the mode of a namespace that is managed, or will be now, is weakened, "" if it is not."""
    old, new = versions
    if not after.is_weaker_than(before):
        return ""
    if old is not None and MANAGED.matches(old.namespace.labels):
        return f"{MODE_LABEL} weakened from {before.value} to {after.value}"
    if MANAGED.matches(new.namespace.labels):
        return f"namespace becomes managed with {MODE_LABEL}: {after.value}, weaker than {before.value}"
    return ""
