"""Findings for programs: JSON, SARIF, JUnit and GitHub annotations."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from app.lint.findings import Finding, Level, Report, Rule
from app.output.formats import TestCase, junit_suites, sarif_log
from app.wire.networkpolicy.json_patch import edit_words, patch_operations
from app.wire.text.files import STDIN

_ASSUMED = "not beside the two baselines; --assume-baselines judges as if they stood"


def explanation(finding: Finding) -> tuple[str, ...]:
    """Return the lines below a finding: why it is one, and how to mend it."""
    lines = list(finding.details)
    if finding.fix is not None:
        lines.append(f"  fix:     {'; '.join(edit_words(one) for one in finding.fix.edits)}")
    if finding.is_assumed:
        lines.append(f"  note:    {_ASSUMED}")
    return tuple(lines)


def place_words(finding: Finding) -> str:
    """Return ``file:line:column``."""
    line, column = finding.place
    return f"{finding.origin}:{line}:{column}"


def as_json(report: Report, *, strict: bool) -> str:  # noqa: ARG001 - all formats are called alike
    """Return a JSON object with the list of findings; ``patch`` is a JSON patch (RFC 6902)."""
    shown = {
        "findings": [_as_object(one) for one in report.findings],
        "errors": report.errors,
        "warnings": report.warnings,
        "policies": report.policies,
        "files": list(report.files),
        "skipped": dict(report.skipped),
        "notes": list(report.notes),
    }
    return json.dumps(shown, indent=2)


def _as_object(finding: Finding) -> dict[str, object]:
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
        "details": [one.strip() for one in finding.details],
        "fix": None if fix is None else [edit_words(one) for one in fix.edits],
        "patch": None if fix is None else list(patch_operations(fix)),
        "onlyAsWholeSet": finding.is_assumed,
    }


def as_github(report: Report, *, strict: bool) -> str:  # noqa: ARG001 - all formats are called alike
    """Return workflow commands, which GitHub shows as annotations at their lines."""
    return "\n".join([*map(_annotation, report.findings), _notice(report)])


def _annotation(finding: Finding) -> str:
    line, column = finding.place
    properties = {"file": finding.origin, "line": str(line), "col": str(column), "title": finding.rule.value}
    if finding.origin == STDIN:
        del properties["file"]
    shown = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in properties.items())
    text = "\n".join((finding.message, *explanation(finding)))
    return f"::{finding.level.value} {shown}::{_escaped(text)}"


def _notice(report: Report) -> str:
    return f"::notice title=netpol-guard::{_escaped(summary(report))}"


def _escaped(text: str, also: str = "") -> str:
    for one in ("%", "\r", "\n", *also):
        text = text.replace(one, f"%{ord(one):02X}")
    return text


def summary(report: Report) -> str:
    """Return what was found and looked at, in one line."""
    found = f"{_counted(report.errors, 'error')} and {_counted(report.warnings, 'warning')}"
    looked = (
        f"{_counted(report.policies, 'NetworkPolic', 'y', 'ies')} of {_counted(len(report.files), 'file')}"
    )
    skipped = ", ".join(f"{count} {kind}" for kind, count in report.skipped.items())
    return f"{found} in {looked}" + (f"; skipped: {skipped}" if skipped else "")


def _counted(count: int, word: str, one: str = "", many: str = "s") -> str:
    return f"{count} {word}{one if count == 1 else many}"


def as_sarif(report: Report, *, strict: bool) -> str:  # noqa: ARG001 - all formats are called alike
    """Return a SARIF 2.1.0 log, as code scanning services take it."""
    return sarif_log(((one, one.meaning) for one in Rule), map(_result, report.findings))


def _result(finding: Finding) -> dict[str, object]:
    line, column = finding.place
    place = {
        "artifactLocation": {"uri": _uri(finding.origin)},
        "region": {"startLine": line, "startColumn": column},
    }
    return {
        "ruleId": finding.rule.value,
        "ruleIndex": list(Rule).index(finding.rule),
        "level": finding.level.value,
        "message": {"text": "\n".join((finding.message, *explanation(finding)))},
        "locations": [{"physicalLocation": place}],
    }


def _uri(origin: str) -> str:
    """Return a file's name as a URI: relative ones stay relative, to the root of the checkout."""
    if origin == STDIN:
        return "stdin"
    path = Path(origin)
    return path.as_uri() if path.is_absolute() else quote(os.fsencode(path.as_posix()))


def as_junit(report: Report, *, strict: bool) -> str:
    """Return JUnit test suites: each file is a test, which fails where something is found in it."""
    return junit_suites("check", [_case(report, origin, strict=strict) for origin in report.files])


def _case(report: Report, origin: str, *, strict: bool) -> TestCase:
    found = [one for one in report.findings if one.origin == origin]
    grave = [one for one in found if strict or one.level is Level.ERROR]
    others = [one for one in found if not strict and one.level is not Level.ERROR]
    if not grave:
        return TestCase(origin, output=_texts(others))
    message = grave[0].message + (f" (and {len(grave) - 1} more)" if len(grave) > 1 else "")
    return TestCase(origin, (message, grave[0].rule.value, _texts(grave)), _texts(others))


def _texts(findings: Sequence[Finding]) -> str:
    lines = (
        "\n".join(
            (f"{place_words(one)}: {one.level.value}[{one.rule.value}]: {one.message}", *explanation(one))
        )
        for one in findings
    )
    return "\n\n".join(lines)
