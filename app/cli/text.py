"""Findings for people: in colour where a terminal shows them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from app.audit.findings import Level
from app.cli.reports import explanation, place_words, summary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from app.audit.findings import Finding, Report
    from app.engine.fix import Fix

Line = tuple[tuple[str, str], ...]
"""Pieces of text, each with its style in Rich's words."""

_STYLES = {Level.ERROR: "bold red", Level.WARNING: "yellow"}


def report_lines(report: Report) -> Iterator[Line]:
    """Yield the findings, what was looked at, and what was not judged."""
    told: set[Fix] = set()
    for one in report.findings:
        yield from _finding(one, told)
        yield ()
    style = "bold green" if not report.findings else "bold"
    yield ((summary(report), style),)
    for note in report.notes:
        yield (("note: ", "cyan"), (note, ""))


def _finding(finding: Finding, told: set[Fix]) -> Iterator[Line]:
    """Yield one finding; a fix that another one showed already is not repeated."""
    label = f"{finding.level.value}[{finding.rule.value}]"
    yield (
        (f"{place_words(finding)}: ", "bold"),
        (label, _STYLES[finding.level]),
        (f": {finding.message}", ""),
    )
    for line in explanation(finding):
        name, colon, rest = line.partition(":")
        if name.strip() != "fix":
            yield ((name + colon, "cyan"), (rest, ""))
        elif finding.fix is not None:
            yield ((name + colon, "cyan"), ("     as above" if finding.fix in told else rest, "green"))
            told.add(finding.fix)


def show(lines: Iterable[Line], stream: TextIO | None = None) -> None:
    """Print ``lines``: with colour on a terminal, unless NO_COLOR says otherwise."""
    out = sys.stdout if stream is None else stream
    if not out.isatty():
        out.writelines("".join(printable(text) for text, _ in line) + "\n" for line in lines)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(file=out, soft_wrap=True)
    for line in lines:
        console.print(Text.assemble(*((printable(text), style) for text, style in line)))


def printable(text: str) -> str:
    r"""Return ``text`` with control characters spelled out, so that no file's words move the cursor.

    >>> printable("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)
