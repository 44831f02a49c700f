"""Denials for what others are changing at the moment, or what a second change has to complete."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from app.admission.ledger.entries import Entry, HalfEntry, LabelsEntry, PolicyEntry
from app.admission.ledger.protocol import Reason as Ground
from app.admission.ledger.protocol import Refusal
from app.admission.ledger.settling import LONGEST_SECONDS
from app.admission.outcome import OutcomeKind, PolicyChange, Reason, ReviewOutcome
from app.admission.rules import POLICIES
from app.engine.judge import Verdict
from app.engine.policy import Policy
from app.engine.words import listed


def with_changes_under_way(outcome: ReviewOutcome, changes: Iterable[PolicyChange]) -> ReviewOutcome:
    """Return the denial of a change that would do harm only together with others just let through."""
    retry = "If that fails, this can be tried again in a few seconds."
    return _together(outcome, (change.title for change in changes), retry)


def with_entries_under_way(outcome: ReviewOutcome, entries: Iterable[Entry]) -> ReviewOutcome:
    """Return the denial of a change that would do harm only together with what the ledger knows of."""
    retry = f"Try again in a few seconds; after {LONGEST_SECONDS:.0f} s at most that is settled."
    return _together(outcome, map(_entry_words, entries), retry)


def _together(outcome: ReviewOutcome, titles: Iterable[str], retry: str) -> ReviewOutcome:
    what = listed(dict.fromkeys(titles))
    told = f"That is together with what was let through a moment ago and is not done yet: {what}."
    return replace(outcome, lines=(*outcome.lines, told, retry))


def _entry_words(entry: Entry) -> str:
    match entry:
        case PolicyEntry() | HalfEntry():
            return f"NetworkPolicy {entry.namespace}/{entry.name}"
        case LabelsEntry():
            return f"the labels of namespace {entry.namespace}"
        case _:
            return f"changes in namespace {entry.namespace}" if entry.namespace else "changes everywhere"


_WORDS = {
    Ground.BUSY: "too many changes of this namespace are under way at once",
    Ground.TOO_LARGE: "these labels are too long to be kept in mind while they are written",
    Ground.TERMINATING: "it is being deleted, and the spec of such a policy stays as it is",
    Ground.UNDER_WAY: "together with changes that are under way it would cut required traffic",
    Ground.LOSS: "it would cut required traffic",
}
_RETRY = {
    Ground.BUSY: f"Try again in a few seconds; after {LONGEST_SECONDS:.0f} s at most they are settled.",
    Ground.TERMINATING: "Take its finalizers away, or wait until it is gone and create it anew.",
    Ground.TOO_LARGE: "Use shorter label values.",
}


def not_now(title: str, refusal: Refusal[Policy, Verdict]) -> ReviewOutcome:
    """Return the refusal of a change for another reason than a loss that can be shown."""
    why = _WORDS[refusal.reason]
    lines = [f"{title} is refused: {why}."]
    if refusal.reason in _RETRY:
        lines.append(_RETRY[refusal.reason])
    outcome = ReviewOutcome(OutcomeKind.REJECT, tuple(lines), (Reason(refusal.reason.name.lower(), why),))
    return with_entries_under_way(outcome, refusal.under_way) if refusal.under_way else outcome


def already_exists(change: PolicyChange) -> ReviewOutcome:
    """Return the answer to somebody who creates a policy over another: that of the API server itself.

    Whoever creates and, where something is there, goes on to update it, must be able to tell.
    """
    line = f'{".".join(reversed(POLICIES))} "{change.name}" already exists'
    return ReviewOutcome(OutcomeKind.EXISTS, (line,), (Reason("exists", line, "metadata.name"),))


def as_half(outcome: ReviewOutcome, namespace: str) -> ReviewOutcome:
    """Return the refusal of half of a pair to somebody who may not override."""
    lines = (
        "Either baseline alone cuts off until the other stands, so only who may override applies one alone.",
        f"Both at once: netpol-guard bootstrap --baselines-only -n {namespace}",
    )
    return replace(outcome, lines=(*outcome.lines, *lines))
