"""Findings as text, JSON, SARIF, JUnit and GitHub annotations."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from app import __version__
from app.admission.patches import edit_words, patch_text
from app.audit.lint import Level

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from app.audit.lint import Finding

_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


def fix_words(finding: Finding) -> tuple[str, ...]:
    """Return the fix of a finding as lines; none where it has none."""
    if finding.fix is None:
        return ()
    return (f"  fix:     {'; '.join(edit_words(one) for one in finding.fix.edits)}",)


def _place(finding: Finding) -> str:
    return f"{finding.origin}:{finding.line}:{finding.column}"


def as_text(findings: Sequence[Finding]) -> str:
    """Return what a person reads: place, level and rule, message, details, fix; then a summary."""
    lines = []
    for one in findings:
        lines.append(f"{_place(one)}: {one.level.value}[{one.rule}]: {one.message}")
        lines += [*one.details, *fix_words(one), ""]
    errors = sum(one.level is Level.ERROR for one in findings)
    warnings = len(findings) - errors
    return "\n".join([*lines, f"{errors} error(s), {warnings} warning(s)"])


def _as_object(finding: Finding) -> dict[str, object]:
    fix = None if finding.fix is None else json.loads(patch_text(finding.fix))
    return {
        "level": finding.level.value,
        "rule": finding.rule,
        "file": finding.origin,
        "line": finding.line,
        "column": finding.column,
        "message": finding.message,
        "details": [one.strip() for one in finding.details],
        "patch": fix,
    }


def as_json(findings: Sequence[Finding]) -> str:
    """Return a JSON object with the list of findings; ``patch`` is a JSON patch."""
    return json.dumps({"findings": [_as_object(one) for one in findings]}, indent=2)


def as_github(findings: Sequence[Finding]) -> str:
    """Return workflow commands that GitHub shows as annotations."""
    return "\n".join(
        f"::{one.level.value} file={one.origin},line={one.line},col={one.column},title={one.rule}::"
        + "%0A".join((one.message, *one.details, *fix_words(one)))
        for one in findings
    )


def as_sarif(findings: Sequence[Finding]) -> str:
    """Return a SARIF 2.1.0 log."""
    driver = {
        "name": "netpol-guard",
        "version": __version__,
        "rules": [{"id": rule} for rule in sorted({one.rule for one in findings})],
    }
    results = [
        {
            "ruleId": one.rule,
            "level": one.level.value,
            "message": {"text": "\n".join((one.message, *one.details, *fix_words(one)))},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": one.origin},
                        "region": {"startLine": one.line, "startColumn": one.column},
                    }
                }
            ],
        }
        for one in findings
    ]
    return json.dumps(
        {"$schema": _SARIF, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]},
        indent=2,
    )


def as_junit(findings: Sequence[Finding]) -> str:
    """Return a JUnit test suite with one failed case for each finding, one passed where there is none."""
    errors = [one for one in findings if one.level is Level.ERROR]
    count = str(len(findings) or 1)
    suite = ET.Element("testsuite", name="netpol-guard check", tests=count, failures=str(len(errors)))
    if not findings:
        ET.SubElement(suite, "testcase", name="all manifests", classname="netpol-guard")
    for one in findings:
        case = ET.SubElement(suite, "testcase", name=f"{one.rule} {_place(one)}", classname=one.origin)
        text = "\n".join((one.message, *one.details, *fix_words(one)))
        if one.level is Level.ERROR:
            ET.SubElement(case, "failure", message=one.message).text = text
        else:
            ET.SubElement(case, "system-out").text = text
    return ET.tostring(suite, encoding="unicode")


FORMATS: dict[str, Callable[[Sequence[Finding]], str]] = {
    "text": as_text,
    "json": as_json,
    "sarif": as_sarif,
    "junit": as_junit,
    "github": as_github,
}
