"""Denials that are no judgement of flows: what could not be read, not be judged, or not be allowed."""

from __future__ import annotations

from app.admission.offload import BusyError, UnansweredError
from app.admission.outcome import OutcomeKind, Reason, ReviewOutcome
from app.admission.overrides import OverrideRuling
from app.deadline import ReviewTime
from app.engine.budget import TooComplexError
from app.errors import StateUnreadable
from app.names import MODE_LABEL
from app.wire.networkpolicy.parse import ParsedPolicy
from app.wire.review.request import Review


def may_not_weaken(what: str, ruling: OverrideRuling) -> ReviewOutcome:
    """Return the answer to somebody who weakens a mode and may not override."""
    line = f"{what}: this needs the right to override."
    return ReviewOutcome(
        OutcomeKind.REJECT, (line, ruling.refusal), (Reason("mode", line, f"metadata.labels[{MODE_LABEL}]"),)
    )


def spec_of_what_goes(review: Review) -> ReviewOutcome:
    """Return the answer to somebody who changes the spec of a policy that is being deleted."""
    line = f"{title_of(review)} is being deleted: its spec cannot be changed any more."
    return ReviewOutcome(
        OutcomeKind.REJECT,
        (
            line,
            "It goes as soon as its finalizers are done, whatever it says, and nobody is asked again.",
            "Fix: apply what you want under another name, or wait until it is gone and apply it then.",
        ),
        (Reason("being-deleted", line, "spec"),),
    )


def title_of(review: Review) -> str:
    """Return what a review is about, as the subject of a sentence."""
    where = f"{review.namespace}/" if review.namespace and review.kind.kind != "Namespace" else ""
    return f"{review.kind.kind} {where}{review.name or '(no name)'}"


def unknown_state(review: Review, error: StateUnreadable) -> ReviewOutcome:
    """Return what becomes of a change whose state could not be read: what that was, and a way through."""
    return ReviewOutcome(
        OutcomeKind.UNKNOWN_STATE,
        (
            f"{title_of(review)} could not be judged: {error}.",
            "Try again. If it lasts: an admin can set onStateError: warn in the guard's settings.",
        ),
        (Reason("state-unreadable", str(error)),),
    )


def overdue(time: ReviewTime) -> StateUnreadable:
    """Return what is told where nothing was decided in the time that the API server waits."""
    why = f"the guard came to no answer within {time.answer.seconds:.1f} s"
    return StateUnreadable("what the change meets", why, "look at the load of the guard and the API server")


def unchecked(review: Review, error: StateUnreadable) -> ReviewOutcome:
    """Return what becomes of a namespace that is managed from now on: it is admitted whatever the state."""
    note = f"{title_of(review)} could not be checked for policies that cut it off: {error}"
    return ReviewOutcome(OutcomeKind.ADMIT, notes=(note,))


def undecided(title: str, why: TooComplexError) -> ReviewOutcome:
    """Return what becomes of a change, ``title``, that could not be judged in time."""
    if isinstance(why, BusyError):
        return ReviewOutcome(
            OutcomeKind.BUSY,
            (
                f"{title} was not judged: busy with another hard question of {why.whose}, try again.",
                "What takes long to verify is verified one by one for each namespace and each user.",
            ),
            (Reason("busy", f"another hard question of {why.whose} is open"),),
        )
    if isinstance(why, UnansweredError):
        return ReviewOutcome(
            OutcomeKind.TOO_COMPLEX,
            (
                f"{title} is too complex to verify at once, and the worker for such is not there: {why}.",
                "It is started anew within seconds: try again. If that lasts, use simpler selectors.",
            ),
            (Reason("no-worker", f"the worker for hard questions is not there: {why}"),),
        )
    return ReviewOutcome(
        OutcomeKind.TOO_COMPLEX,
        (
            f"{title} is too complex to verify within the time there is.",
            "Use fewer or simpler selectors, or let an admin set onTooComplex: warn in the guard's settings.",
        ),
        (Reason("too-complex", "the exact search ran out of time"),),
    )


def unreadable(review: Review, parsed: ParsedPolicy) -> ReviewOutcome:
    """Return what becomes of an object that is no NetworkPolicy, with every field that is wrong."""
    causes = tuple(Reason("FieldValueInvalid", error.message, error.path) for error in parsed.errors)
    lines = (f"{title_of(review)} could not be read as a NetworkPolicy.", *map(str, parsed.errors))
    return ReviewOutcome(OutcomeKind.UNREADABLE, lines, causes)


def missing(review: Review) -> ReviewOutcome:
    """Return what becomes of a request without the object that its operation needs."""
    line = f"{title_of(review)}: the request carries no usable object for {review.operation.value}."
    return ReviewOutcome(
        OutcomeKind.UNREADABLE, (line,), (Reason("FieldValueRequired", line, "request.object"),)
    )
