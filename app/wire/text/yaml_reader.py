"""YAML text -> values, within bounds.

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
from app.wire.text.scalars import Scalar, key_text, plain_scalar

DEEPEST = 200
MOST_VALUES = 1_000_000

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's parser where PyYAML was built with it."""

_CORE = "tag:yaml.org,2002:"
_STRING = f"{_CORE}str"
_TYPES: dict[str, tuple[type, ...]] = {
    _STRING: (str,),
    f"{_CORE}int": (int,),
    f"{_CORE}float": (int, float),
    f"{_CORE}bool": (bool,),
    f"{_CORE}null": (type(None),),
}
_COLLECTIONS = frozenset({None, f"{_CORE}map", f"{_CORE}seq"})
_MERGE = "<<"


def scalar_of(event: ScalarEvent) -> Scalar:
    """Return what a scalar means; in quotes it is a string. Raises ``ValueError`` for infinity and NaN."""
    is_quoted = event.tag is None and not event.implicit[0]
    return event.value if is_quoted or event.tag == _STRING else plain_scalar(event.value)


class _Frame:
    """A mapping (``members``) or a list (``items``) that is being filled."""

    __slots__ = ("items", "key", "members")

    def __init__(self, event: CollectionStartEvent) -> None:
        self.members: dict[str, object] | None = {} if isinstance(event, MappingStartEvent) else None
        self.items: list[object] = []
        self.key: str | None = None

    @property
    def awaits_key(self) -> bool:
        """Whether the next value is a mapping's key."""
        return self.members is not None and self.key is None

    def add(self, value: object) -> None:
        """Put a value where it belongs."""
        if self.members is None:
            self.items.append(value)
        elif self.key is not None:
            self.members[self.key] = value
            self.key = None

    @property
    def value(self) -> object:
        """The finished collection."""
        return self.items if self.members is None else self.members


class _Reader:
    """Reads the documents of one text."""

    def __init__(self, text: str, origin: str) -> None:
        self._origin = origin
        self._text = text
        self._stack: list[_Frame] = []
        self._count = 0
        self._document: object = None

    def documents(self) -> Iterator[object]:
        """Yield the documents that hold anything."""
        parser = LOADER(self._text)
        try:
            while True:
                event = parser.get_event()
                if type(event) is StreamEndEvent:
                    return
                self._take(event)
                if type(event) is DocumentEndEvent and self._document is not None:
                    yield self._document
                    self._document = None
        finally:
            parser.dispose()

    def _refuse(self, event: Event, message: str) -> NoReturn:
        mark = event.start_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise UnusableInput(self._origin, line, column, message)

    def _take(self, event: Event) -> None:
        if isinstance(event, ScalarEvent):
            self._take_scalar(event)
        elif isinstance(event, CollectionStartEvent):
            self._open(event)
        elif isinstance(event, CollectionEndEvent):
            self._place(self._stack.pop().value)
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

    def _place(self, value: object) -> None:
        if self._stack:
            self._stack[-1].add(value)
        else:
            self._document = value

    def _take_scalar(self, event: ScalarEvent) -> None:
        self._check(event)
        value = self._scalar(event)
        if self._stack and self._stack[-1].awaits_key:
            self._take_key(event, value)
        else:
            self._place(value)

    def _scalar(self, event: ScalarEvent) -> Scalar:
        if event.tag is not None and event.tag not in _TYPES:
            self._refuse(event, f"tag {event.tag} is not allowed here")
        try:
            value = scalar_of(event)
        except ValueError as error:
            self._refuse(event, str(error))
        if event.tag is not None and type(value) not in _TYPES[event.tag]:
            self._refuse(event, f"{quoted(event.value)} is no {event.tag.removeprefix(_CORE)}")
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
    line = "".join(text.split("\n")[mark.line : mark.line + 1]) if mark is not None else ""
    if mark is not None and line[mark.column : mark.column + 1] == "\t":
        return "a tab stands where YAML wants spaces"
    problem = error.problem or "not valid YAML"
    return f"{problem} {error.context}" if error.context else problem


def read_yaml(text: str, origin: str) -> Iterator[object]:
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
