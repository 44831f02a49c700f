"""Where the values of a text stand, and begin and end: for messages, and so that one can be changed alone.

For texts that ``app.wire.text.documents`` has read without complaint: what it refuses is not asked for again.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any

from yaml.events import (
    CollectionStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
)

from app.wire.text.scalars import key_text
from app.wire.text.yaml_reader import LOADER, scalar_of

LineColumn = tuple[int, int]
"""Line and column, both 1-based."""

_LONGEST_INDEX = 9
_STEP = re.compile(r"\[([^\]]*)\]|([^.\[]+)")
_SPACE = re.compile(r"[ \t\r\n]*")
_ENDS = (MappingEndEvent, SequenceEndEvent)
_scan = json.JSONDecoder().raw_decode


def steps_of(path: str) -> tuple[str, ...]:
    """Return the members and indices of a path like ``spec.ingress[0]``; brackets may hold a key with dots.

    >>> steps_of("metadata.labels[a.b/c]")
    ('metadata', 'labels', 'a.b/c')
    """
    return tuple(index or member for index, member in _STEP.findall(path))


def skip_space(text: str, position: int) -> int:
    """Return the first position from ``position`` on that is no JSON white space."""
    found = _SPACE.match(text, position)
    return found.end() if found else position


class Style(Enum):
    """How a value is written: by indentation, in brackets, as JSON, or on its own."""

    BLOCK = "block"
    FLOW = "flow"
    JSON = "json"
    SCALAR = "scalar"


@dataclass(frozen=True, slots=True)
class TextSpan:
    """A value from its first character to behind its last one; ``key`` is where its key begins.

    A value that is not written out (``ingress:``) begins and ends behind the colon.
    """

    start: int
    end: int
    style: Style
    key: int = -1
    members: Mapping[str, TextSpan] = field(default_factory=dict)
    items: Sequence[TextSpan] = ()

    def child(self, step: str) -> TextSpan | None:
        """Return the span of a member or, by its index, of an item; None where there is none."""
        if not self.items:
            return self.members.get(step)
        if step.isdecimal() and len(step) <= _LONGEST_INDEX:
            return next(iter(self.items[int(step) :]), None)
        return None

    def find(self, steps: Sequence[str]) -> TextSpan | None:
        """Return the span of the value at ``steps`` (members and indices), None where there is none."""
        if not steps:
            return self
        below = self.child(steps[0])
        return None if below is None else below.find(steps[1:])

    def nearest(self, steps: Sequence[str]) -> TextSpan:
        """Return the span of the value at ``steps``, or of its nearest ancestor that is there."""
        below = self.child(steps[0]) if steps else None
        return self if below is None else below.nearest(steps[1:])

    def below(self) -> Iterator[TextSpan]:
        """Yield the values in this one, parents first."""
        for child in (*self.members.values(), *self.items):
            yield child
            yield from child.below()


class Positions:
    """The spans of one text's values, found when somebody asks for the first time."""

    def __init__(self, text: str, roots: Iterator[TextSpan], line_break: str) -> None:
        self._text = text
        self._unread = roots
        self._roots: list[TextSpan] = []
        self._line_break = line_break

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(found.end() for found in re.finditer(self._line_break, self._text))]

    def root(self, number: int) -> TextSpan:
        """Return the span of the value that ``read_documents`` gave this number."""
        while len(self._roots) <= number:
            self._roots.append(next(self._unread))
        return self._roots[number]

    def place(self, steps: tuple[str, ...]) -> LineColumn:
        """Return where the value at ``steps`` stands, or its nearest ancestor; the first is a root."""
        start = self.root(int(steps[0])).nearest(steps[1:]).start
        line = bisect_right(self._line_starts, start)
        return line, start - self._line_starts[line - 1] + 1


def json_positions(text: str) -> Positions:
    """Return the positions in a valid JSON text of one or several values."""
    return Positions(text, _json_roots(text), r"\n")


def yaml_positions(text: str) -> Positions:
    """Return the positions in a text that was read as YAML."""
    return Positions(text, _yaml_roots(text), "\r\n|[\r\n\x85\u2028\u2029]")


def _json_roots(text: str) -> Iterator[TextSpan]:
    position = skip_space(text, 0)
    while position < len(text):
        span = _of_json(text, position, -1)
        yield span
        position = skip_space(text, span.end)


def _of_json(text: str, position: int, key: int) -> TextSpan:
    opening = text[position]
    if opening not in "{[":
        return TextSpan(position, _scan(text, position)[1], Style.SCALAR, key)
    members: dict[str, TextSpan] = {}
    items: list[TextSpan] = []
    end = skip_space(text, position + 1)
    while text[end] not in "}]":
        if opening == "[":
            child = _of_json(text, end, -1)
            items.append(child)
        else:
            name, colon = _scan(text, end)
            child = _of_json(text, skip_space(text, skip_space(text, colon) + 1), end)
            members[name] = child
        end = skip_space(text, child.end)
        if text[end] == ",":
            end = skip_space(text, end + 1)
    return TextSpan(position, end + 1, Style.JSON, key, members, items)


def _yaml_roots(text: str) -> Iterator[TextSpan]:
    parser = LOADER(text)
    events: Iterator[Any] = iter(parser.get_event, None)
    try:
        for event in events:
            if isinstance(event, CollectionStartEvent) or (
                isinstance(event, ScalarEvent) and scalar_of(event) is not None
            ):
                yield _of_events(event, events, text, -1)
    finally:
        parser.dispose()


def _of_events(event: Any, events: Iterator[Any], text: str, key: int) -> TextSpan:  # noqa: ANN401 - libyaml's
    """Return the span of the value that ``event`` begins."""
    start, end = event.start_mark.index, event.end_mark.index
    if type(event) is ScalarEvent:
        # The end of a block scalar is where the next token begins.
        return TextSpan(start, start + len(text[start:end].rstrip()), Style.SCALAR, key)
    members: dict[str, TextSpan] = {}
    items: list[TextSpan] = []
    while type(child := next(events)) not in _ENDS:
        if type(event) is MappingStartEvent:
            name, begin = key_text(scalar_of(child)) or "", child.start_mark.index
            span = members[name] = _of_events(next(events), events, text, begin)
        else:
            span = _of_events(child, events, text, -1)
            items.append(span)
        end = span.end
    if event.flow_style:
        return TextSpan(start, child.end_mark.index, Style.FLOW, key, members, items)
    return TextSpan(start, end, Style.BLOCK, key, members, items)
