"""Findings for people: in colour where a terminal shows them."""

from __future__ import annotations

from collections.abc import Iterator

from app.engine.fix import Fix
from app.lint.findings import Level, LintFinding, LintReport
from app.lint.report import explanation, place_words, summary
from app.output.styled import Line

_STYLES = {Level.ERROR: "bold red", Level.WARNING: "yellow"}


def report_lines(report: LintReport) -> Iterator[Line]:
    """Yield the findings, what was looked at, and what was not judged."""
    told: set[Fix] = set()
    for finding in report.findings:
        yield from _finding(finding, told)
        yield ()
    style = "bold green" if not report.findings else "bold"
    yield ((summary(report), style),)
    for note in report.notes:
        yield (("note: ", "cyan"), (note, ""))


def _finding(finding: LintFinding, told: set[Fix]) -> Iterator[Line]:
    """Yield one finding; a fix that another one showed already is not repeated."""
    label = f"{finding.level.value}[{finding.rule.value}]"
    place, message = f"{place_words(finding)}: ", f": {finding.message}"
    yield ((place, "bold"), (label, _STYLES[finding.level]), (message, ""))
    for line in explanation(finding):
        name, colon, rest = line.partition(":")
        if name.strip() != "fix":
            yield ((name + colon, "cyan"), (rest, ""))
        elif finding.fix is not None:
            yield ((name + colon, "cyan"), ("     as above" if finding.fix in told else rest, "green"))
            told.add(finding.fix)
