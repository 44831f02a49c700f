"""The report of ``doctor`` as a person reads it in a terminal: grouped, worst first, commands to copy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from app.doctor.findings import Area, Finding, Report, Severity

_STYLES = {
    Severity.ERROR: "bold red",
    Severity.WARNING: "yellow",
    Severity.NOTE: "cyan",
    Severity.UNCHECKED: "magenta",
}
_WORDS = {
    Severity.ERROR: "BROKEN",
    Severity.WARNING: "AT RISK",
    Severity.NOTE: "NOTE",
    Severity.UNCHECKED: "NOT CHECKED",
}
_SHOWN = 3
_INDENT = 2


def show(report: Report, console: Console, *, verbose: bool) -> None:
    """Print the report; ``verbose`` adds what is fine, and every finding of a kind in full."""
    for severity, found in groupby(report.findings, key=lambda one: one.severity):
        console.print(Text(_WORDS[severity], style=_STYLES[severity]))
        for group in _kinds(found):
            _show_group(group, console, most=len(group) if verbose else _SHOWN)
        console.print()
    if verbose and report.fine:
        console.print(Text("FINE", style="bold green"))
        for sentence in report.fine:
            console.print(Padding(Text(sentence), (0, 0, 0, _INDENT)))
        console.print()
    console.print(summary(report))


def summary(report: Report) -> Text:
    """Return the last line: how many findings of which gravity."""
    counts = {one: sum(each.severity is one for each in report.findings) for one in Severity}
    unchecked = f", {counts[Severity.UNCHECKED]} thing(s) not checked" if counts[Severity.UNCHECKED] else ""
    notes = f", {counts[Severity.NOTE]} note(s)" if counts[Severity.NOTE] else ""
    if report.is_healthy:
        return Text(f"healthy: nothing is cut off{notes}{unchecked}", style="bold green")
    return Text(
        f"{counts[Severity.ERROR]} broken, {counts[Severity.WARNING]} at risk{notes}{unchecked}",
        style="bold red" if counts[Severity.ERROR] else "bold yellow",
    )


def _kinds(findings: Iterable[Finding]) -> Iterator[list[Finding]]:
    for _, group in groupby(findings, key=lambda one: (one.area, one.check)):
        yield list(group)


def _show_group(group: list[Finding], console: Console, *, most: int) -> None:
    for one in group[:most]:
        _show(one, console)
    rest = group[most:]
    if rest:
        names = ", ".join(dict.fromkeys(one.subject for one in rest[:10]))
        more = f" and {len(rest) - 10} more" if len(rest) > 10 else ""  # noqa: PLR2004 - as many as fit
        line = (
            f"and {len(rest)} more of this kind [{group[0].check.value}]: {names}{more} (--verbose shows all)"
        )
        console.print(Padding(Text(line, style="dim"), (0, 0, 0, _INDENT)))


def _show(one: Finding, console: Console) -> None:
    area = "" if one.area is Area.UNCHECKED else f"{one.area.value} · "
    head = Text(f"{area}{one.subject}", style="bold")
    head.append(f"  [{one.check.value}]", style="dim")
    console.print(Padding(head, (0, 0, 0, _INDENT)))
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, style="dim", width=9)
    table.add_column(overflow="fold")
    for label, text in _rows(one):
        table.add_row(label, text)
    console.print(Padding(table, (0, 0, 0, 2 * _INDENT)))
    if one.repair is not None and one.repair.command:
        _show_command(one, console)


def _rows(one: Finding) -> Iterator[tuple[str, RenderableType]]:
    yield "", Text(one.title, style=_STYLES[one.severity])
    for sentence in one.evidence:
        yield "seen", Text(sentence)
    for symptom in one.symptoms:
        yield "follows", Text(symptom.title)
        for sentence in symptom.evidence:
            yield "", Text(sentence, style="dim")
    if one.consequence:
        yield "so", Text(one.consequence)
    if one.repair is not None:
        by_itself = "  (doctor --fix does this)" if one.repair.step is not None else ""
        yield "repair", Text(f"{one.repair.words}{by_itself}")


def _show_command(one: Finding, console: Console) -> None:
    """Print the command on lines of its own that are not wrapped, so that it can be copied."""
    if one.repair is not None:
        for line in one.repair.command.splitlines():
            console.print(Text(f"{'':14}{line}", style="green"), soft_wrap=True)
