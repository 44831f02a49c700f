"""Where in a text a value stands: paths like ``spec.ingress[0].from`` -> line and column, both 1-based."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

Place = tuple[int, int]
"""Line and column."""

Tree = tuple[int, int, "dict[str, Tree] | list[Tree] | None"]
"""Line and column of a YAML value, 0-based, and the same for its members or items."""

_LONGEST_INDEX = 9
_STEP = re.compile(r"\[([^\]]*)\]|([^.\[]+)")
_SPACE = re.compile(r"[ \t\r\n]*")


def steps_of(path: str) -> tuple[str, ...]:
    """Return the members and indices of a path; brackets may hold a key with dots.

    >>> steps_of("metadata.labels[a.b/c]")
    ('metadata', 'labels', 'a.b/c')
    """
    return tuple(index or member for index, member in _STEP.findall(path))


class Places(Protocol):
    """Finds places in the text that one object was read from."""

    def find(self, steps: tuple[str, ...]) -> Place:
        """Return the place of the value at ``steps``, or of the nearest ancestor that is there."""

    def item(self, index: int) -> Places:
        """Return the places of one of the object's ``items``."""


def _below(tree: Tree, step: str) -> Tree | None:
    children = tree[2]
    if isinstance(children, dict):
        found: Tree | None = children.get(step)
        return found
    if isinstance(children, list) and step.isdecimal() and len(step) <= _LONGEST_INDEX:
        return next(iter(children[int(step) :]), None)
    return None


@dataclass(frozen=True, slots=True)
class YamlPlaces:
    """Places of a YAML document, noted while it was read."""

    tree: Tree

    def find(self, steps: tuple[str, ...]) -> Place:
        """Return the place of the value at ``steps``, or of the nearest ancestor that is there."""
        tree = self.tree
        for step in steps:
            below = _below(tree, step)
            if below is None:
                break
            tree = below
        return tree[0] + 1, tree[1] + 1

    def item(self, index: int) -> YamlPlaces:
        """Return the places of one of the object's ``items``."""
        items = _below(self.tree, "items") or self.tree
        return YamlPlaces(_below(items, str(index)) or items)


def skip_space(text: str, position: int) -> int:
    """Return the first position from ``position`` on that is no JSON white space."""
    found = _SPACE.match(text, position)
    return found.end() if found else position


@dataclass(frozen=True)
class JsonText:
    """A *valid* JSON text, looked at again only when a place in it is asked for."""

    text: str
    _skip: json.JSONDecoder = field(default_factory=json.JSONDecoder, compare=False, repr=False)

    @cached_property
    def _breaks(self) -> list[int]:
        return [found.start() for found in re.finditer("\n", self.text)]

    def place(self, position: int) -> Place:
        """Return line and column of the character at ``position``."""
        line = bisect_left(self._breaks, position)
        start = self._breaks[line - 1] + 1 if line else 0
        return line + 1, position - start + 1

    def end(self, position: int) -> int:
        """Return the position behind the value at ``position``."""
        return self._skip.raw_decode(self.text, position)[1]

    def entries(self, position: int) -> Iterator[tuple[str, int, int]]:
        """Yield step, begin and position of each member or item of the value at ``position``.

        A member begins with its key. A scalar has none.
        """
        opening = self.text[position]
        if opening not in "{[":
            return
        position = skip_space(self.text, position + 1)
        index = 0
        while self.text[position] not in "}]":
            step, begin = str(index), position
            if opening == "{":
                step, position = self._skip.raw_decode(self.text, position)
                position = skip_space(self.text, skip_space(self.text, position) + 1)
            yield step, begin, position
            position = skip_space(self.text, self.end(position))
            if self.text[position] == ",":
                position = skip_space(self.text, position + 1)
            index += 1

    def children(self, position: int) -> Iterator[tuple[str, int]]:
        """Yield step and position of each member or item of the value at ``position``; none for a scalar."""
        return ((step, found) for step, _, found in self.entries(position))

    def child(self, position: int, step: str) -> int | None:
        """Return the position of the member or item ``step`` of the value at ``position``."""
        return next((found for name, found in self.children(position) if name == step), None)


@dataclass(frozen=True)
class JsonPlaces:
    """Places of one object in a JSON text."""

    source: JsonText
    position: int

    def find(self, steps: tuple[str, ...]) -> Place:
        """Return the place of the value at ``steps``, or of the nearest ancestor that is there."""
        position = self.position
        for step in steps:
            below = self.source.child(position, step)
            if below is None:
                break
            position = below
        return self.source.place(position)

    @cached_property
    def _items(self) -> list[int]:
        items = self.source.child(self.position, "items")
        return [] if items is None else [position for _, position in self.source.children(items)]

    def item(self, index: int) -> Places:
        """Return the places of one of the object's ``items``; looked up when first asked."""
        return _JsonItem(self, index)

    def of_item(self, index: int) -> JsonPlaces:
        """Return the places of one of the object's ``items``."""
        return JsonPlaces(self.source, self._items[index])


@dataclass(frozen=True, slots=True)
class _JsonItem:
    """An item of a JSON list; most items are never asked where they stand."""

    parent: JsonPlaces
    index: int

    def find(self, steps: tuple[str, ...]) -> Place:
        return self.parent.of_item(self.index).find(steps)

    def item(self, index: int) -> Places:
        return self.parent.of_item(self.index).item(index)
