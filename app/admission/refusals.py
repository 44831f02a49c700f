"""Refusals that are no judgement of flows: what could not be read, not be judged, or not be allowed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.admission.outcome import Kind, Outcome, Reason
from app.wire.identity import MODE_LABEL

if TYPE_CHECKING:
    from app.admission.overrides import Ruling
    from app.errors import StateUnreadable
    from app.wire.networkpolicy import ParsedPolicy
    from app.wire.review import Review


def may_not_weaken(what: str, ruling: Ruling) -> Outcome:
    """Return the answer to somebody who weakens a mode and may not override."""
    line = f"{what}: this needs the right to override."
    return Outcome(
        Kind.REJECT, (line, ruling.refusal), (Reason("mode", line, f"metadata.labels[{MODE_LABEL}]"),)
    )


def _title(review: Review) -> str:
    where = f"{review.namespace}/" if review.namespace else ""
    return f"{review.kind.kind} {where}{review.name or '(no name)'}"


def unknown_state(review: Review, error: StateUnreadable) -> Outcome:
    """Return what becomes of a change whose state could not be read: what that was, and a way through."""
    return Outcome(
        Kind.UNKNOWN_STATE,
        (
            f"{_title(review)} could not be judged: {error}.",
            "Try again. If it lasts: an admin can set onStateError: warn in the guard's settings.",
        ),
        (Reason("state-unreadable", str(error)),),
    )


def too_complex(review: Review) -> Outcome:
    """Return what becomes of a change that could not be judged in time."""
    return Outcome(
        Kind.TOO_COMPLEX,
        (
            f"{_title(review)} is too complex to verify within the time there is.",
            "Use fewer or simpler selectors, or let an admin set onTooComplex: warn in the guard's settings.",
        ),
        (Reason("too-complex", "the exact search ran out of time"),),
    )


def unreadable(review: Review, parsed: ParsedPolicy) -> Outcome:
    """Return what becomes of an object that is no NetworkPolicy, with every field that is wrong."""
    causes = tuple(Reason("FieldValueInvalid", one.message, one.path) for one in parsed.errors)
    lines = (f"{_title(review)} could not be read as a NetworkPolicy.", *map(str, parsed.errors))
    return Outcome(Kind.UNREADABLE, lines, causes)


def missing(review: Review) -> Outcome:
    """Return what becomes of a request without the object that its operation needs."""
    line = f"{_title(review)}: the request carries no usable object for {review.operation.value}."
    return Outcome(Kind.UNREADABLE, (line,), (Reason("FieldValueRequired", line, "request.object"),))
