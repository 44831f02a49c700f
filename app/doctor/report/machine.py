"""The report of ``doctor`` for programs, and as a page: JSON, SARIF, JUnit, HTML."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from app.doctor.context import Context
from app.doctor.findings import Check, Finding, FindingSeverity, Report
from app.doctor.report.matrix import Row, matrix_of
from app.doctor.report.page import Imprint, report_page
from app.output import junit, sarif
from app.output.results import Result

_LEVELS = {
    FindingSeverity.ERROR: "error",
    FindingSeverity.WARNING: "warning",
    FindingSeverity.NOTE: "note",
    FindingSeverity.UNCHECKED: "note",
}


def as_json(examination: Examination) -> str:
    """Return one JSON object: findings with their symptoms, what is fine, and the matrix."""
    report = examination.report
    shown = {
        "healthy": report.is_healthy,
        "findings": [_as_object(finding) for finding in report.findings],
        "fine": list(report.fine),
        "namespaces": [_as_row(row) for row in examination.rows],
    }
    return json.dumps(shown, indent=2)


def _as_object(finding: Finding) -> dict[str, object]:
    return {
        "check": finding.check.value,
        "severity": finding.severity.value,
        "area": finding.area.value,
        "subject": finding.subject,
        "namespace": finding.namespace,
        "title": finding.title,
        "evidence": list(finding.evidence),
        "consequence": finding.consequence,
        "repair": None
        if finding.repair is None
        else {
            "words": finding.repair.words,
            "command": finding.repair.command,
            "byFix": finding.repair.step is not None,
        },
        "symptoms": [_as_object(each) for each in finding.symptoms],
    }


def _as_row(row: Row) -> dict[str, object]:
    return {
        "namespace": row.namespace,
        "flows": {cell.flow.value: cell.condition.value for cell in row.cells},
        "witnesses": {cell.flow.value: list(cell.evidence) for cell in row.cells if cell.evidence},
    }


def _text(finding: Finding) -> str:
    return "\n".join(_sentences(finding))


def _sentences(finding: Finding) -> Iterator[str]:
    yield finding.title
    yield from finding.evidence
    yield from (f"follows: {each.title}" for each in finding.symptoms)
    if finding.consequence:
        yield f"so: {finding.consequence}"
    if finding.repair is not None:
        yield f"repair: {finding.repair.words}"
        if finding.repair.command:
            yield finding.repair.command


def as_sarif(examination: Examination) -> str:
    """Return a SARIF log; places are objects of the cluster, not files."""
    rules = ((check, check.value.replace("-", " ")) for check in Check)
    return sarif.as_sarif(rules, map(_result, examination.report.findings))


def _result(finding: Finding) -> Result:
    return Result(finding.check, _LEVELS[finding.severity], _text(finding), subject=finding.subject)


def as_junit(examination: Examination) -> str:
    """Return JUnit test suites: every finding that counts is a failed test, all that is fine a passed one."""
    report = examination.report
    return junit.as_junit("doctor", [*map(_case, report.findings), *map(junit.JunitCase, report.fine)])


def _case(finding: Finding) -> junit.JunitCase:
    name = f"{finding.check.value}: {finding.subject}"
    if not finding.severity.counts:
        return junit.JunitCase(name, output=_text(finding))
    return junit.JunitCase(name, (finding.title, finding.check.value, _text(finding)))


def as_html(examination: Examination) -> str:
    """Return one self-contained page."""
    imprint = Imprint(examination.cluster, examination.context.survey.moment)
    return report_page(examination.report, examination.rows, imprint)


FORMATS = {"json": as_json, "sarif": as_sarif, "junit": as_junit, "html": as_html}


@dataclass(frozen=True, slots=True)
class Examination:
    """What came out: the report, the matrix of namespaces by flows, and which cluster it is about."""

    report: Report
    context: Context
    cluster: str

    @property
    def rows(self) -> tuple[Row, ...]:
        """The matrix of namespaces by flows."""
        return matrix_of(self.context, self.report)
