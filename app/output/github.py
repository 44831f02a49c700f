"""Workflow commands, which GitHub shows as annotations at their lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from app.output.results import Result


def as_github(results: Iterable[Result], summary: str) -> str:
    """Return an annotation for each of ``results``, and a notice with the summary."""
    notice = f"::notice title=netpol-guard::{_escaped(summary)}"
    return "\n".join([*map(_annotation, results), notice])


def _annotation(result: Result) -> str:
    properties = {"file": result.file} if result.file else {}
    if result.place is not None:
        line, column = result.place
        properties |= {"line": str(line), "col": str(column)}
    properties["title"] = result.rule.value
    shown = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in properties.items())
    return f"::{result.level} {shown}::{_escaped(result.text)}"


def _escaped(text: str, also: str = "") -> str:
    for char in ("%", "\r", "\n", *also):
        text = text.replace(char, f"%{ord(char):02X}")
    return text
