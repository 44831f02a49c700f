"""Findings for programs: JSON, SARIF, JUnit and GitHub annotations."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote
from xml.etree import ElementTree as ET

from app import __version__
from app.admission.patches import edit_words, patch_operations
from app.audit.findings import Level, Rule
from app.cli.inputs import STDIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.audit.findings import Finding, Report

_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
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
    driver = {
        "name": "netpol-guard",
        "version": __version__,
        "rules": [
            {
                "id": one.value,
                "name": one.name.title().replace("_", ""),
                "shortDescription": {"text": one.meaning},
            }
            for one in Rule
        ],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(one) for one in report.findings],
    }
    return json.dumps({"$schema": _SARIF, "version": "2.1.0", "runs": [run]}, indent=2)


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
    grave = {id(one) for one in report.findings if strict or one.level is Level.ERROR}
    suite = ET.Element("testsuite", name="netpol-guard check")
    failures = 0
    for origin in report.files:
        found = [one for one in report.findings if one.origin == origin]
        failed = [one for one in found if id(one) in grave]
        case = ET.SubElement(suite, "testcase", name=_in_xml(origin), classname="netpol-guard.check")
        failures += bool(failed)
        if failed:
            message = failed[0].message + (f" (and {len(failed) - 1} more)" if len(failed) > 1 else "")
            ET.SubElement(case, "failure", message=_in_xml(message), type=failed[0].rule.value).text = _texts(
                failed
            )
        others = [one for one in found if id(one) not in grave]
        if others:
            ET.SubElement(case, "system-out").text = _texts(others)
    counts = {"tests": str(len(report.files)), "failures": str(failures), "errors": "0", "skipped": "0"}
    suite.attrib.update(counts)
    suites = ET.Element("testsuites", counts)
    suites.append(suite)
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True)


def _texts(findings: Sequence[Finding]) -> str:
    lines = (
        "\n".join(
            (f"{place_words(one)}: {one.level.value}[{one.rule.value}]: {one.message}", *explanation(one))
        )
        for one in findings
    )
    return _in_xml("\n\n".join(lines))


def _in_xml(text: str) -> str:
    """Return ``text`` without the characters that XML cannot hold."""
    return _NOT_IN_XML.sub("\ufffd", text)
