"""YAML text -> values with places, within bounds.

Built from the parser's events, so that nothing is built that a hostile text asks for: anchors and aliases
(with which a few lines mean gigabytes), merge keys, unusual tags, deep nesting and too many values are
refused where they stand. libyaml does the parsing, which is iterative and fast.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

import yaml
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    DocumentEndEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
    StreamEndEvent,
)

from app.wire.errors import UnusableInput, quoted
from app.wire.text.places import Tree
from app.wire.text.scalars import Scalar, key_text, plain_scalar

DEEPEST = 200
MOST_VALUES = 1_000_000

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's parser where PyYAML was built with it."""

_CORE = "tag:yaml.org,2002:"
_STRING = f"{_CORE}str"
_TYPES: dict[str, tuple[type, ...]] = {
    f"{_CORE}int": (int,),
    f"{_CORE}float": (int, float),
    f"{_CORE}bool": (bool,),
    f"{_CORE}null": (type(None),),
}
_COLLECTIONS = frozenset({None, f"{_CORE}map", f"{_CORE}seq"})
_MERGE = "<<"

Value = tuple[object, Tree]
"""A value and where it and its parts stand."""


def _start(event: Event) -> tuple[int, int]:
    mark = event.start_mark
    return (0, 0) if mark is None else (mark.line, mark.column)


class _Frame:
    """A mapping (``members``) or a list (``items``) that is being filled."""

    __slots__ = ("item_places", "items", "key", "line_column", "member_places", "members")

    def __init__(self, event: CollectionStartEvent) -> None:
        self.line_column = _start(event)
        is_mapping = isinstance(event, MappingStartEvent)
        self.members: dict[str, object] | None = {} if is_mapping else None
        self.member_places: dict[str, Tree] = {}
        self.items: list[object] = []
        self.item_places: list[Tree] = []
        self.key: str | None = None

    @property
    def awaits_key(self) -> bool:
        """Whether the next value is a mapping's key."""
        return self.members is not None and self.key is None

    def add(self, value: object, place: Tree) -> None:
        """Put a value where it belongs."""
        if self.members is None:
            self.items.append(value)
            self.item_places.append(place)
        elif self.key is not None:
            self.members[self.key] = value
            self.member_places[self.key] = place
            self.key = None

    @property
    def value(self) -> Value:
        """The finished collection."""
        if self.members is None:
            return self.items, (*self.line_column, self.item_places)
        return self.members, (*self.line_column, self.member_places)


class _Reader:
    """Reads the documents of one text."""

    def __init__(self, text: str, origin: str) -> None:
        self._origin = origin
        self._text = text
        self._stack: list[_Frame] = []
        self._count = 0
        self._document: Value | None = None

    def documents(self) -> Iterator[Value]:
        """Yield the documents that hold anything."""
        parser = LOADER(self._text)
        try:
            while True:
                event = parser.get_event()
                if type(event) is StreamEndEvent:
                    return
                self._take(event)
                if type(event) is DocumentEndEvent and self._document is not None:
                    if self._document[0] is not None:
                        yield self._document
                    self._document = None
        finally:
            parser.dispose()

    def _refuse(self, event: Event, message: str) -> NoReturn:
        line, column = _start(event)
        raise UnusableInput(self._origin, line + 1, column + 1, message)

    def _take(self, event: Event) -> None:
        if isinstance(event, ScalarEvent):
            self._take_scalar(event)
        elif isinstance(event, CollectionStartEvent):
            self._open(event)
        elif isinstance(event, CollectionEndEvent):
            self._place(*self._stack.pop().value)
        elif isinstance(event, AliasEvent):
            self._refuse(event, f"alias *{event.anchor} is not allowed here: write the value out")

    def _check(self, event: CollectionStartEvent | ScalarEvent) -> None:
        if event.anchor is not None:
            self._refuse(event, f"anchor &{event.anchor} is not allowed here: write the value out")
        self._count += 1
        if self._count > MOST_VALUES:
            self._refuse(event, f"more than {MOST_VALUES:,} values in one file")

    def _open(self, event: CollectionStartEvent) -> None:
        self._check(event)
        if event.tag not in _COLLECTIONS:
            self._refuse(event, f"tag {event.tag} is not allowed here")
        if len(self._stack) >= DEEPEST:
            self._refuse(event, f"nested more than {DEEPEST} levels deep")
        if self._stack and self._stack[-1].awaits_key:
            self._refuse(event, "a key must be a string, not a mapping or a list")
        self._stack.append(_Frame(event))

    def _place(self, value: object, place: Tree) -> None:
        if self._stack:
            self._stack[-1].add(value, place)
        else:
            self._document = value, place

    def _take_scalar(self, event: ScalarEvent) -> None:
        self._check(event)
        value = self._scalar(event)
        if self._stack and self._stack[-1].awaits_key:
            self._take_key(event, value)
        else:
            self._place(value, (*_start(event), None))

    def _scalar(self, event: ScalarEvent) -> Scalar:
        text: str = event.value
        quotes = event.tag is None and not event.implicit[0]
        if quotes or event.tag == _STRING:
            return text
        if event.tag is not None and event.tag not in _TYPES:
            self._refuse(event, f"tag {event.tag} is not allowed here")
        try:
            value = plain_scalar(text)
        except ValueError as error:
            self._refuse(event, str(error))
        if event.tag is not None and type(value) not in _TYPES[event.tag]:
            self._refuse(event, f"{quoted(text)} is no {event.tag.removeprefix(_CORE)}")
        return value

    def _take_key(self, event: ScalarEvent, value: Scalar) -> None:
        frame = self._stack[-1]
        if value == _MERGE and event.implicit[0]:
            self._refuse(event, "merge key << is not allowed here: write the members out")
        key = key_text(value)
        if key is None:
            self._refuse(event, "a key must be a string, not null")
        if frame.members is not None and key in frame.members:
            self._refuse(event, f"duplicate key {quoted(key)}")
        frame.key = key


def _place_of_offset(text: str, offset: int) -> tuple[int, int]:
    before = text.encode("utf-8", "surrogatepass")[:offset].decode("utf-8", "ignore")
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def _explained(text: str, error: yaml.MarkedYAMLError) -> str:
    """Return libyaml's complaint as a sentence; a tab, its most common cause, is named."""
    mark = error.problem_mark
    lines = text.split("\n") if mark is not None else []
    if (
        mark is not None
        and mark.line < len(lines)
        and lines[mark.line][mark.column : mark.column + 1] == "\t"
    ):
        return "a tab stands where YAML wants spaces"
    problem = error.problem or "not valid YAML"
    return f"{problem} {error.context}" if error.context else problem


def read_yaml(text: str, origin: str) -> Iterator[Value]:
    """Yield the documents of ``text`` that hold anything; raises ``UnusableInput`` with the place."""
    try:
        yield from _Reader(text, origin).documents()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise UnusableInput(origin, line, column, f"not valid YAML: {_explained(text, error)}") from None
    except yaml.reader.ReaderError as error:
        line, column = _place_of_offset(text, error.position)
        raise UnusableInput(origin, line, column, f"not valid YAML: {error.reason}") from None
    except UnicodeEncodeError as error:
        line, column = _place_of_offset(text[: error.start], len(text) * 4)
        raise UnusableInput(origin, line, column, "not valid text: half of a surrogate pair") from None
