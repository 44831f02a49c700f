"""Values as the text around them would spell them: YAML blocks, YAML in brackets, JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from app.wire.text.positions import Style, TextSpan
from app.wire.text.scalars import plain_scalar

_PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./-]*")
_USUAL_STEP = 2


def line_start(text: str, position: int) -> int:
    """Return the position at which the line of ``position`` begins."""
    return text.rfind("\n", 0, position) + 1


def line_end(text: str, position: int) -> int:
    """Return the position at which the line of ``position`` ends, its line break not included."""
    end = text.find("\n", position)
    end = len(text) if end < 0 else end
    return end - 1 if end and text[end - 1] == "\r" else end


def column(text: str, position: int) -> int:
    """Return how many characters stand before ``position`` on its line."""
    return position - line_start(text, position)


@dataclass(frozen=True, slots=True)
class Layout:
    """How a text is laid out.

    ``step`` is how far a block's members are indented, ``dash`` how far the dashes of a list; ``unit`` is
    one level of JSON's indentation, ``spaced`` whether there are spaces in JSON that is not.
    """

    newline: str = "\n"
    step: int = _USUAL_STEP
    dash: int = _USUAL_STEP
    unit: str = " " * _USUAL_STEP
    spaced: bool = True

    @classmethod
    def of(cls, text: str, root: TextSpan) -> Layout:
        """Return the layout of the value ``root`` of ``text``."""
        known = (root, *root.below())
        return cls(
            newline="\r\n" if "\r\n" in text else "\n",
            step=next(_offsets(text, known, lists=False), _USUAL_STEP),
            dash=next(_offsets(text, known, lists=True), _USUAL_STEP),
            unit=next(_units(text, known), " " * _USUAL_STEP),
            spaced='": ' in text,
        )

    def lines(self, value: object) -> list[str]:
        """Return ``value`` as the lines of a YAML block."""
        if isinstance(value, Mapping) and value:
            return [line for name, member in value.items() for line in self._member(name, member)]
        if isinstance(value, list) and value:
            blocks = (self.lines(item) for item in value)
            return [
                line for first, *rest in blocks for line in (f"- {first}", *(f"  {more}" for more in rest))
            ]
        return [in_brackets(value)]

    def _member(self, name: str, value: object) -> Iterator[str]:
        if not isinstance(value, Mapping | list) or not value:
            yield f"{in_brackets(name)}: {in_brackets(value)}"
            return
        yield f"{in_brackets(name)}:"
        indent = " " * (self.dash if isinstance(value, list) else self.step)
        yield from (f"{indent}{line}" for line in self.lines(value))

    def json(self, value: object, indent: str | None) -> str:
        """Return ``value`` as JSON: on one line, or on several where ``indent`` is that of its own line."""
        if indent is None:
            separators = (", ", ": ") if self.spaced else (",", ":")
            return json.dumps(value, ensure_ascii=False, separators=separators)
        lines = json.dumps(value, ensure_ascii=False, indent=self.unit).split("\n")
        return f"{self.newline}{indent}".join(lines)


def _offsets(text: str, known: Iterable[TextSpan], *, lists: bool) -> Iterator[int]:
    """Yield how far lists (or mappings) in blocks are indented below their key."""
    for span in known:
        for below in span.members.values():
            if below.style is Style.BLOCK and bool(below.items) is lists:
                yield column(text, below.start) - column(text, below.key)


def _units(text: str, known: Iterable[TextSpan]) -> Iterator[str]:
    """Yield how far members of JSON objects are indented below the line on which their object begins."""
    for span in known:
        for below in span.members.values():
            inner, outer = indent_of(text, below.key), indent_of(text, span.start)
            if below.style is not Style.BLOCK and inner.startswith(outer) and inner != outer:
                yield inner.removeprefix(outer)


def indent_of(text: str, position: int) -> str:
    """Return the white space with which the line of ``position`` begins."""
    start = line_start(text, position)
    rest = text[start:position]
    return rest[: len(rest) - len(rest.lstrip())]


def in_brackets(value: object) -> str:
    """Return ``value`` as YAML on one line.

    >>> in_brackets({"matchLabels": {"a": "true", "b": "x"}, "ports": [80]})
    '{matchLabels: {a: "true", b: x}, ports: [80]}'
    """
    if isinstance(value, Mapping):
        members = ", ".join(f"{in_brackets(name)}: {in_brackets(member)}" for name, member in value.items())
        return f"{{{members}}}"
    if isinstance(value, list):
        return "[" + ", ".join(in_brackets(item) for item in value) + "]"
    if isinstance(value, str) and _PLAIN.fullmatch(value) and plain_scalar(value) == value:
        return value
    return json.dumps(value, ensure_ascii=False)
