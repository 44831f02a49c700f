"""A change that is judged, and what the judgement came to, before mode and response are considered."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from app.engine.policy import Policy

PATCH = "  patch: "
"""How the line of a message begins that is for programs."""


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """One policy before (None: created) and after (None: deleted), in a namespace that is known."""

    namespace: str
    name: str
    old: Policy | None
    new: Policy | None
    is_ours: bool = False

    @property
    def title(self) -> str:
        """The change as the subject of a sentence."""
        verb = "deleting " if self.new is None else ""
        return f"{verb}NetworkPolicy {self.namespace}/{self.name or '(generated name)'}"


class OutcomeKind(Enum):
    """The ways a judgement can end."""

    ADMIT = "admit"
    REJECT = "reject"
    UNKNOWN_STATE = "unknown-state"
    TOO_COMPLEX = "too-complex"
    BUSY = "busy"
    UNREADABLE = "unreadable"
    EXISTS = "already-exists"


@dataclass(frozen=True, slots=True)
class Reason:
    """One cause for programs: a short reason, a sentence, and the field that it is about."""

    reason: str
    message: str
    field: str = ""


@dataclass(frozen=True, slots=True)
class ReviewOutcome:
    """OutcomeKind, message (its first line enough by itself), causes, and notes that become warnings.

    ``hint`` is one more way out, for whoever is refused. ``way`` is how it was judged, "" where it was not.
    """

    kind: OutcomeKind
    lines: tuple[str, ...] = ()
    reasons: tuple[Reason, ...] = ()
    notes: tuple[str, ...] = ()
    flows: tuple[str, ...] = ()
    hint: str = ""
    way: str = ""


ADMITTED = ReviewOutcome(OutcomeKind.ADMIT)
