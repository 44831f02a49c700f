"""Files of manifests, as ``kubectl apply -f`` takes them -> objects that know where they stand.

YAML with any number of documents, JSON, and Lists of either. Read as ``kubectl`` reads it
(``app.wire.text.scalars``), but refused where ``kubectl`` would guess or expand: duplicate keys, anchors,
aliases, merge keys.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from app.wire.errors import UnusableInput, type_name
from app.wire.text.positions import (
    LineColumn,
    Positions,
    TextSpan,
    json_positions,
    skip_space,
    steps_of,
    yaml_positions,
)
from app.wire.text.yaml_reader import DEEPEST, MOST_VALUES, read_yaml

MOST_BYTES = 32 * 1024 * 1024

BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class Document:
    """One object of a file; members of a ``List`` are documents of their own.

    ``steps`` lead to it in its file: the number of the YAML document, then a List's members and indices.
    """

    kind: str
    api_version: str
    object: Mapping[str, object]
    origin: str
    positions: Positions = field(compare=False, repr=False)
    steps: tuple[str, ...]

    def place(self, path: str) -> LineColumn:
        """Return line and column (1-based) of the value at ``path``, or of its nearest ancestor.

        ``path`` is spelled as in a ``FieldError``: ``spec.ingress[0].from``.
        """
        return self.positions.place((*self.steps, *steps_of(path)))

    @property
    def root(self) -> TextSpan:
        """The span in which all ``steps`` but the first begin."""
        return self.positions.root(int(self.steps[0]))


class _NotPlainJson(Exception):  # noqa: N818 - a signal inside this module
    """The text is no JSON, or JSON with something to complain about."""


def decode_text(data: bytes, origin: str) -> str:
    """Return the text of a file. Raises ``UnusableInput`` where it is too large or no UTF-8."""
    if len(data) > MOST_BYTES:
        raise UnusableInput(origin, 1, 1, f"larger than {MOST_BYTES // 1024 // 1024} MiB")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode()) + 1
        raise UnusableInput(origin, line, column, f"not valid UTF-8 at byte {error.start}") from None


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _NotPlainJson
    return members


def _refuse_constant(_: str) -> float:
    raise _NotPlainJson


def _count(value: object) -> int:
    """Return how many values are in a JSON value; raises ``_NotPlainJson`` where it is nested too deeply."""
    level: list[object] = [value]
    count = 0
    for _ in range(DEEPEST + 1):
        count += len(level)
        below: list[object] = []
        for container in level:
            if isinstance(container, dict):
                below.extend(container.values())
            elif isinstance(container, list):
                below.extend(container)
        if not below:
            return count
        level = below
    raise _NotPlainJson


def _read_json(text: str) -> list[object]:
    """Return the values of a JSON text, one or several; raises ``_NotPlainJson`` at anything unusual."""
    decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)
    values: list[object] = []
    position, count = skip_space(text, 0), 0
    try:
        while position < len(text):
            value, end = decoder.raw_decode(text, position)
            count += _count(value)
            if count > MOST_VALUES:
                raise _NotPlainJson
            values.append(value)
            position = skip_space(text, end)
    except (ValueError, RecursionError):
        raise _NotPlainJson from None
    return values


def _read_values(text: str, origin: str) -> tuple[Iterable[object], Positions]:
    if text.lstrip()[:1] in ("{", "["):
        try:
            return _read_json(text), json_positions(text)
        except _NotPlainJson:
            pass  # YAML says what is wrong, and where; much that JSON is not is still YAML
    return read_yaml(text, origin), yaml_positions(text)


@dataclass(frozen=True, slots=True)
class _Reader:
    """Makes documents of the values of one text."""

    origin: str
    positions: Positions

    def documents(self, value: object, steps: tuple[str, ...]) -> Iterator[Document]:
        """Yield the document that ``value`` is, or those in it where it is a List."""
        if not isinstance(value, dict):
            raise self._refusal(steps, f"must be an object, not {type_name(value)}")
        kind, api_version = (self._text(value, name, steps) for name in ("kind", "apiVersion"))
        if not kind.endswith("List") or "items" not in value:
            yield Document(kind, api_version, value, self.origin, self.positions, steps)
            return
        items = value["items"]
        if items is not None and not isinstance(items, list):
            raise self._refusal((*steps, "items"), f"must be a list, not {type_name(items)}")
        of_kind = kind.removesuffix("List")
        implied = {"apiVersion": api_version, "kind": of_kind} if of_kind else {}
        for index, item in enumerate(items or ()):
            member = {**implied, **item} if isinstance(item, dict) else item
            yield from self.documents(member, (*steps, "items", str(index)))

    def _text(self, members: Mapping[str, object], name: str, steps: tuple[str, ...]) -> str:
        value = members.get(name)
        if value is None:
            return ""
        if isinstance(value, str):
            return value
        raise self._refusal((*steps, name), f"{name} must be a string, not {type_name(value)}")

    def _refusal(self, steps: tuple[str, ...], message: str) -> UnusableInput:
        return UnusableInput(self.origin, *self.positions.place(steps), message)


def read_documents(text: str, origin: str) -> tuple[Document, ...]:
    """Return the objects in ``text``; documents without content are skipped, Lists flattened.

    ``origin`` names the text in messages, e.g. a file's name. Raises ``UnusableInput`` with line and column.
    """
    if len(text) > MOST_BYTES:
        raise UnusableInput(origin, 1, 1, f"larger than {MOST_BYTES // 1024 // 1024} MiB")
    values, positions = _read_values(text.removeprefix(BOM), origin)
    reader = _Reader(origin, positions)
    return tuple(
        document
        for number, value in enumerate(values)
        for document in reader.documents(value, (str(number),))
    )
