"""The report of ``doctor`` as a person reads it in a terminal: grouped, worst first, commands to copy."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from app.doctor.findings import Finding, FindingSeverity, Report

_STYLES = {
    FindingSeverity.ERROR: "bold red",
    FindingSeverity.WARNING: "yellow",
    FindingSeverity.NOTE: "cyan",
    FindingSeverity.UNCHECKED: "magenta",
}
_SHOWN = 3
_INDENT = 2


def show(report: Report, console: Console, *, verbose: bool) -> None:
    """Print the report; ``verbose`` adds what is fine, and every finding of a kind in full."""
    for severity, found in groupby(report.findings, key=lambda finding: finding.severity):
        words = "NOTE" if severity is FindingSeverity.NOTE else severity.words.upper()
        console.print(Text(words, style=_STYLES[severity]))
        for _, group in groupby(found, key=lambda finding: (finding.area, finding.check)):
            _show_group(list(group), console, most=len(report.findings) if verbose else _SHOWN)
        console.print()
    if verbose and report.fine:
        console.print(Text("FINE", style="bold green"))
        for sentence in report.fine:
            console.print(Padding(Text(sentence), (0, 0, 0, _INDENT)))
        console.print()
    console.print(summary(report))


def summary(report: Report) -> Text:
    """Return the last line: how many findings of which gravity."""
    errors, warnings, noted, hidden = report.counts.values()
    rest = f", {noted} note(s)" if noted else ""
    rest += f", {hidden} thing(s) not checked" if hidden else ""
    if report.is_healthy:
        return Text(f"healthy: nothing is cut off{rest}", style="bold green")
    return Text(f"{errors} broken, {warnings} at risk{rest}", style="bold red" if errors else "bold yellow")


def _show_group(group: list[Finding], console: Console, *, most: int) -> None:
    for finding in group[:most]:
        _show(finding, console)
    rest = group[most:]
    if rest:
        names = ", ".join(dict.fromkeys(finding.subject for finding in rest[:10]))
        more = f" and {len(rest) - 10} more" if len(rest) > 10 else ""  # noqa: PLR2004 - as many as fit
        line = (
            f"and {len(rest)} more of this kind [{group[0].check.value}]: {names}{more} (--verbose shows all)"
        )
        console.print(Padding(Text(line, style="dim"), (0, 0, 0, _INDENT)))


def _show(finding: Finding, console: Console) -> None:
    head = Text(finding.where, style="bold")
    head.append(f"  [{finding.check.value}]", style="dim")
    console.print(Padding(head, (0, 0, 0, _INDENT)))
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, style="dim", width=9)
    table.add_column(overflow="fold")
    for label, text in _rows(finding):
        table.add_row(label, text)
    console.print(Padding(table, (0, 0, 0, 2 * _INDENT)))
    if finding.repair is not None:
        # The command stands on lines of its own that are not wrapped, so that it can be copied.
        for line in finding.repair.command.splitlines():
            console.print(Text(f"{'':14}{line}", style="green"), soft_wrap=True)


def _rows(finding: Finding) -> Iterator[tuple[str, RenderableType]]:
    yield "", Text(finding.title, style=_STYLES[finding.severity])
    for sentence in finding.evidence:
        yield "seen", Text(sentence)
    for symptom in finding.symptoms:
        yield "follows", Text(symptom.title)
        for sentence in symptom.evidence:
            yield "", Text(sentence, style="dim")
    if finding.consequence:
        yield "so", Text(finding.consequence)
    if finding.repair is not None:
        by_itself = "  (doctor --fix does this)" if finding.repair.step is not None else ""
        yield "repair", Text(f"{finding.repair.words}{by_itself}")
