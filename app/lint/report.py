"""Findings for programs, in the formats of ``app.output``, and as JSON of our own."""

from __future__ import annotations

import json
from collections.abc import Sequence

from app.lint.findings import Level, LintFinding, LintReport, LintRule
from app.output import github, junit, sarif
from app.output.results import Result
from app.wire.networkpolicy.json_patch import edit_words, patch_operations
from app.wire.text.files import STDIN

_ASSUMED = "not beside the two baselines; --assume-baselines judges as if they stood"


def explanation(finding: LintFinding) -> tuple[str, ...]:
    """Return the lines below a finding: why it is one, and how to mend it."""
    lines = list(finding.details)
    if finding.fix is not None:
        lines.append(f"  fix:     {'; '.join(edit_words(edit) for edit in finding.fix.edits)}")
    if finding.is_assumed:
        lines.append(f"  note:    {_ASSUMED}")
    return tuple(lines)


def place_words(finding: LintFinding) -> str:
    """Return ``file:line:column``."""
    line, column = finding.place
    return f"{finding.origin}:{line}:{column}"


def as_json(report: LintReport, *, strict: bool) -> str:  # noqa: ARG001 - all formats are called alike
    """Return a JSON object with the list of findings; ``patch`` is a JSON patch (RFC 6902)."""
    shown = {
        "findings": [_as_object(finding) for finding in report.findings],
        "errors": report.errors,
        "warnings": report.warnings,
        "policies": report.policies,
        "files": list(report.files),
        "skipped": dict(report.skipped),
        "notes": list(report.notes),
    }
    return json.dumps(shown, indent=2)


def _as_object(finding: LintFinding) -> dict[str, object]:
    line, column = finding.place
    fix = finding.fix
    return {
        "level": finding.level.value,
        "rule": finding.rule.value,
        "file": finding.origin,
        "line": line,
        "column": column,
        "path": finding.path,
        "message": finding.message,
        "details": [line.strip() for line in finding.details],
        "fix": None if fix is None else [edit_words(edit) for edit in fix.edits],
        "patch": None if fix is None else list(patch_operations(fix)),
        "onlyAsWholeSet": finding.is_assumed,
    }


def as_github(report: LintReport, *, strict: bool) -> str:  # noqa: ARG001 - all formats are called alike
    """Return annotations for GitHub's workflows."""
    return github.as_github(map(_result, report.findings), summary(report))


def as_sarif(report: LintReport, *, strict: bool) -> str:  # noqa: ARG001 - all formats are called alike
    """Return a SARIF log."""
    return sarif.as_sarif(((rule, rule.meaning) for rule in LintRule), map(_result, report.findings))


def _result(finding: LintFinding) -> Result:
    text = "\n".join((finding.message, *explanation(finding)))
    file = "" if finding.origin == STDIN else finding.origin
    return Result(finding.rule, finding.level.value, text, file, finding.place)


def summary(report: LintReport) -> str:
    """Return what was found and looked at, in one line."""
    found = f"{_counted(report.errors, 'error')} and {_counted(report.warnings, 'warning')}"
    policies = _counted(report.policies, "NetworkPolic", "y", "ies")
    looked = f"{policies} of {_counted(len(report.files), 'file')}"
    skipped = ", ".join(f"{count} {kind}" for kind, count in report.skipped.items())
    return f"{found} in {looked}" + (f"; skipped: {skipped}" if skipped else "")


def _counted(count: int, word: str, singular: str = "", plural: str = "s") -> str:
    return f"{count} {word}{singular if count == 1 else plural}"


def as_junit(report: LintReport, *, strict: bool) -> str:
    """Return JUnit test suites: each file is a test, which fails where something is found in it."""
    return junit.as_junit("check", [_test_case(report, origin, strict=strict) for origin in report.files])


def _test_case(report: LintReport, origin: str, *, strict: bool) -> junit.JunitCase:
    found = [finding for finding in report.findings if finding.origin == origin]
    grave = [finding for finding in found if strict or finding.level is Level.ERROR]
    others = [finding for finding in found if not strict and finding.level is not Level.ERROR]
    if not grave:
        return junit.JunitCase(origin, output=_texts(others))
    message = grave[0].message + (f" (and {len(grave) - 1} more)" if len(grave) > 1 else "")
    return junit.JunitCase(origin, (message, grave[0].rule.value, _texts(grave)), _texts(others))


def _texts(findings: Sequence[LintFinding]) -> str:
    return "\n\n".join(
        f"{place_words(finding)}: {finding.level.value}[{finding.rule.value}]: {_result(finding).text}"
        for finding in findings
    )
