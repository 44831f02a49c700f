"""What is wrong with manifests, as values with a place in a file, for whatever format shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from app.engine.fix import Fix
from app.wire.text.documents import Document


class Level(Enum):
    """How grave a finding is."""

    ERROR = "error"
    WARNING = "warning"


class LintRule(Enum):
    """What a finding is about, and what that means in one sentence."""

    INVALID = "invalid"
    UNKNOWN_FIELD = "unknown-field"
    DUPLICATE = "duplicate"
    WEBHOOK_INGRESS = "webhook-ingress"
    MANAGED_INGRESS = "managed-ingress"
    MANAGED_EGRESS = "managed-egress"
    PLATFORM_EGRESS = "platform-egress"
    TOO_COMPLEX = "too-complex"

    @property
    def meaning(self) -> str:
        """What a finding of this rule says, for people who see only its name."""
        return _MEANINGS[self]


_MEANINGS = {
    LintRule.INVALID: "The API server would refuse this object.",
    LintRule.UNKNOWN_FIELD: (
        "The API server would drop this field without a word, which changes what is meant."
    ),
    LintRule.DUPLICATE: "The same NetworkPolicy is there twice; only the last one would count.",
    LintRule.WEBHOOK_INGRESS: "The API server could no longer call a webhook, and pod creations would hang.",
    LintRule.MANAGED_INGRESS: "Pods of managed namespaces could no longer reach the pods of this one.",
    LintRule.MANAGED_EGRESS: "The pods of this namespace could no longer reach those of managed namespaces.",
    LintRule.PLATFORM_EGRESS: "The pods of this namespace could no longer reach DNS or the API server.",
    LintRule.TOO_COMPLEX: "These policies are too complex to verify.",
}


@dataclass(frozen=True, slots=True)
class LintFinding:
    """One thing that is wrong: where (line and column from 1), what, and how to mend it.

    ``details`` are lines of an explanation. ``is_assumed``: it is only so if the files are all the policies
    of their namespace; beside the baselines it would not be.
    """

    level: Level
    rule: LintRule
    document: Document
    path: str
    message: str
    details: tuple[str, ...] = ()
    fix: Fix | None = None
    is_assumed: bool = False

    @property
    def origin(self) -> str:
        """The name of the file."""
        return self.document.origin

    @property
    def place(self) -> tuple[int, int]:
        """Line and column."""
        return self.document.place(self.path)


@dataclass(frozen=True, slots=True)
class LintReport:
    """All findings, and what was looked at: how many policies, and how many objects of which other kinds."""

    findings: tuple[LintFinding, ...]
    files: tuple[str, ...] = ()
    policies: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def errors(self) -> int:
        """How many findings are errors."""
        return sum(finding.level is Level.ERROR for finding in self.findings)

    @property
    def warnings(self) -> int:
        """How many findings are warnings."""
        return len(self.findings) - self.errors
