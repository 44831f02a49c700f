"""The way through by an override: who may, and what is told (``docs/design/decisions.md``, Override)."""

from __future__ import annotations

from dataclasses import dataclass

from app.admission.outcome import ReviewOutcome
from app.admission.ports import Announcer, ClusterState, OverrideOutcome
from app.deadline import ReviewTime
from app.model.access import Access, Override, question
from app.names import OVERRIDE_ANNOTATION
from app.wire.objects.metadata import Metadata
from app.wire.review.request import Operation, Review

OVERRIDE_VERB = "override"


@dataclass(frozen=True, slots=True)
class OverrideRuling:
    """What came of an override that somebody asked for, and if it does not count, why not, as a sentence."""

    outcome: OverrideOutcome
    refusal: str = ""


def hint(review: Review) -> str:
    """Return the override as a way out: what goes away, or loses a label, is annotated beforehand."""
    is_late = review.operation is Operation.DELETE or review.kind.kind == "Namespace"
    first = " first" if is_late else ""
    return f"Or, if you may: annotate it{first} with {OVERRIDE_ANNOTATION}: <reason> (verb {OVERRIDE_VERB})."


class Overrides:
    """Rules on overrides, and lets the honoured ones be known."""

    def __init__(self, state: ClusterState, announcer: Announcer) -> None:
        self._state = state
        self._announcer = announcer

    async def rule(self, review: Review, reason: str, time: ReviewTime) -> OverrideRuling:
        """Return whether an override for ``reason`` counts: asks what the user may. Never raises."""
        if not reason.strip():
            refusal = f"The override annotation {OVERRIDE_ANNOTATION} is empty: it must say why."
            return OverrideRuling(OverrideOutcome.NO_REASON, refusal)
        access = await self._access(review, time)
        if access.allowed:
            return OverrideRuling(OverrideOutcome.HONOURED)
        outcome = OverrideOutcome.REFUSED
        what = f"{review.user.username} may not use verb {OVERRIDE_VERB} on {review.resource.resource}"
        if access.allowed is None:
            outcome = OverrideOutcome.UNANSWERED
            what = "whether the override is allowed could not be found out"
        return OverrideRuling(outcome, f"The override was not honoured: {what}. {access.reason}".rstrip())

    async def is_allowed(self, review: Review, time: ReviewTime) -> bool:
        """Tell whether the user of ``review`` may override; not where nobody can tell."""
        return bool((await self._access(review, time)).allowed)

    async def _access(self, review: Review, time: ReviewTime) -> Access:
        with time.waiting():
            return await self._state.access(question(review, OVERRIDE_VERB), time.reading)

    def announce(self, review: Review, metadata: Metadata, reason: str, outcome: ReviewOutcome) -> None:
        """Let an honoured override be known; a dry run leaves no trace."""
        if review.dry_run:
            return
        self._announcer.overridden(
            Override(
                review.kind.kind,
                "" if review.kind.kind == "Namespace" else review.namespace,
                metadata.name or review.name,
                metadata.uid,
                review.user.username,
                reason,
                outcome.lines[0] if outcome.lines else "",
            )
        )
