"""Every response is built here, and nowhere else (``docs/design/decisions.md``, Answers)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from textwrap import wrap

from app.admission.outcome import PATCH, OutcomeKind, ReviewOutcome
from app.admission.rules import Doubt, Mode, Rules
from app.wire.review.request import Review
from app.wire.review.response import Cause, Details, Status, encode_response

_WARNING_LENGTH = 120
"""What the API documentation recommends for one warning."""
_MOST_WARNINGS = 30
"""An API server keeps 4 KiB of warnings for one request; these are within it."""
_FORBIDDEN, _ALREADY_EXISTS = (403, "Forbidden"), (409, "AlreadyExists")
"""Status code and reason; the API server hands both on (``plugin/webhook/errors``, ``ToStatusErr``)."""
DENY = "deny"
"""The verdict on what is not let through."""


def warnings_of(notes: Iterable[str]) -> tuple[str, ...]:
    """Return notes as warnings, each within the API's recommended length, long ones continued."""
    lines = [
        line
        for note in notes
        for line in wrap(f"netpol-guard: {note}", _WARNING_LENGTH, break_on_hyphens=False)
    ]
    return tuple(lines[:_MOST_WARNINGS])


def answer(review: Review, outcome: ReviewOutcome, mode: Mode, rules: Rules) -> tuple[bytes, str]:
    """Return the AdmissionReview for ``outcome`` under ``mode``, and the verdict in one word."""
    is_refused = outcome.kind is not OutcomeKind.ADMIT
    if is_refused and mode is Mode.ENFORCE and not _is_doubt_admitted(outcome, rules):
        return _denied(review, outcome), DENY
    if mode is Mode.AUDIT:
        told = is_refused or outcome.notes
        noted = {"notes": "; ".join(outcome.notes)} if outcome.notes else {}
        return _admitted(review, (), outcome, noted), "audit" if told else "admit"
    # A patch does not survive being broken into warnings.
    lines = [line for line in outcome.lines if not line.startswith(PATCH)]
    notes = (*lines, *outcome.notes)
    return _admitted(review, notes, outcome), "warn" if notes else "admit"


def overridden(review: Review, outcome: ReviewOutcome, reason: str) -> bytes:
    """Return the answer to a change that would be rejected but is let through by an override."""
    notes = (f"override by {review.user.username}: {reason}", *outcome.lines[:1], *outcome.notes)
    return _admitted(review, notes, outcome, {"override": reason})


def unjudged(review: Review, note: str = "") -> bytes:
    """Return an admission without a judgement: exempt, not guarded, or not understood (then with a note)."""
    return encode_response(review.uid, allowed=True, warnings=warnings_of([note] if note else []))


def _is_doubt_admitted(outcome: ReviewOutcome, rules: Rules) -> bool:
    if outcome.kind is OutcomeKind.UNKNOWN_STATE:
        return rules.on_state_error is Doubt.WARN
    return outcome.kind is OutcomeKind.TOO_COMPLEX and rules.on_too_complex is Doubt.WARN


def _admitted(
    review: Review, notes: Iterable[str], outcome: ReviewOutcome, more: Mapping[str, str] | None = None
) -> bytes:
    annotations = dict(more or {})
    if outcome.kind is not OutcomeKind.ADMIT:
        annotations["verdict"] = outcome.kind.value
        annotations["reason"] = outcome.lines[0] if outcome.lines else ""
    if outcome.flows:
        annotations["flows"] = ",".join(outcome.flows)
    return encode_response(
        review.uid, allowed=True, warnings=warnings_of(notes), audit_annotations=annotations
    )


def _denied(review: Review, outcome: ReviewOutcome) -> bytes:
    causes = tuple(Cause(reason.reason, reason.message, reason.field) for reason in outcome.reasons)
    details = Details(review.name, review.kind.group, review.kind.kind, causes)
    hint = (outcome.hint,) if outcome.hint else ()
    message = "\n".join((*outcome.lines, *outcome.notes, *hint))
    code, reason = _ALREADY_EXISTS if outcome.kind is OutcomeKind.EXISTS else _FORBIDDEN
    status = Status(code, reason, message, details)
    annotations = {"verdict": outcome.kind.value, "flows": ",".join(outcome.flows)}
    return encode_response(review.uid, allowed=False, status=status, audit_annotations=annotations)
