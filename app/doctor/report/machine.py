"""The report of ``doctor`` for programs, and as a page: JSON, SARIF, JUnit, HTML."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from app import __version__
from app.doctor.context import Context
from app.doctor.findings import Check, Finding, Report, Severity
from app.doctor.report.matrix import Row, matrix_of
from app.doctor.report.page import Imprint, report_page
from app.output.formats import TestCase, junit_suites, sarif_log

_LEVELS = {
    Severity.ERROR: "error",
    Severity.WARNING: "warning",
    Severity.NOTE: "note",
    Severity.UNCHECKED: "note",
}


def as_json(examination: Examination) -> str:
    """Return one JSON object: findings with their symptoms, what is fine, and the matrix."""
    report = examination.report
    shown = {
        "healthy": report.is_healthy,
        "findings": [_as_object(one) for one in report.findings],
        "fine": list(report.fine),
        "namespaces": [_as_row(one) for one in examination.rows],
    }
    return json.dumps(shown, indent=2)


def _as_object(one: Finding) -> dict[str, object]:
    return {
        "check": one.check.value,
        "severity": one.severity.value,
        "area": one.area.value,
        "subject": one.subject,
        "namespace": one.namespace,
        "title": one.title,
        "evidence": list(one.evidence),
        "consequence": one.consequence,
        "repair": None
        if one.repair is None
        else {
            "words": one.repair.words,
            "command": one.repair.command,
            "byFix": one.repair.step is not None,
        },
        "symptoms": [_as_object(each) for each in one.symptoms],
    }


def _as_row(row: Row) -> dict[str, object]:
    return {
        "namespace": row.namespace,
        "flows": {one.flow.value: one.condition.value for one in row.cells},
        "witnesses": {one.flow.value: list(one.evidence) for one in row.cells if one.evidence},
    }


def _text(one: Finding) -> str:
    return "\n".join(_sentences(one))


def _sentences(one: Finding) -> Iterator[str]:
    yield one.title
    yield from one.evidence
    yield from (f"follows: {each.title}" for each in one.symptoms)
    if one.consequence:
        yield f"so: {one.consequence}"
    if one.repair is not None:
        yield f"repair: {one.repair.words}"
        if one.repair.command:
            yield one.repair.command


def as_sarif(examination: Examination) -> str:
    """Return a SARIF 2.1.0 log; places are objects of the cluster, not files."""
    findings = examination.report.findings
    return sarif_log(((one, one.value.replace("-", " ")) for one in Check), map(_result, findings))


def _result(one: Finding) -> dict[str, object]:
    return {
        "ruleId": one.check.value,
        "ruleIndex": list(Check).index(one.check),
        "level": _LEVELS[one.severity],
        "message": {"text": _text(one)},
        "locations": [{"logicalLocations": [{"fullyQualifiedName": one.subject, "kind": "resource"}]}],
    }


def as_junit(examination: Examination) -> str:
    """Return JUnit test suites: every finding that counts is a failed test, all that is fine a passed one."""
    report = examination.report
    return junit_suites("doctor", [*map(_case, report.findings), *map(TestCase, report.fine)])


def _case(one: Finding) -> TestCase:
    name = f"{one.check.value}: {one.subject}"
    if not one.severity.counts:
        return TestCase(name, output=_text(one))
    return TestCase(name, (one.title, one.check.value, _text(one)))


def as_html(examination: Examination) -> str:
    """Return one self-contained page."""
    imprint = Imprint(examination.cluster, examination.moment, examination.version)
    return report_page(examination.report, examination.rows, imprint)


FORMATS = {"json": as_json, "sarif": as_sarif, "junit": as_junit, "html": as_html}


@dataclass(frozen=True, slots=True)
class Examination:
    """What came out: the report, the matrix of namespaces by flows, and which cluster it is about."""

    report: Report
    context: Context
    cluster: str
    version: str = __version__

    @property
    def rows(self) -> tuple[Row, ...]:
        """The matrix of namespaces by flows."""
        return matrix_of(self.context, self.report)

    @property
    def moment(self) -> datetime:
        """When the cluster was looked at."""
        return self.context.survey.moment
