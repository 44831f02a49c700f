"""Files of manifests, as ``kubectl apply -f`` takes them -> objects that know where they stand.

YAML with any number of documents, JSON, and Lists of either. Read as ``kubectl`` reads it
(``app.wire.text.scalars``), but refused where ``kubectl`` would guess or expand: duplicate keys, anchors,
aliases, merge keys.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from app.wire.errors import UnusableInput, type_name
from app.wire.text.places import JsonPlaces, JsonText, Place, Places, YamlPlaces, skip_space, steps_of
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
    places: Places = field(compare=False, repr=False)
    steps: tuple[str, ...] = ()

    def place(self, path: str) -> Place:
        """Return line and column (1-based) of the value at ``path``, or of its nearest ancestor.

        ``path`` is spelled as in a ``FieldError``: ``spec.ingress[0].from``.
        """
        return self.places.find(steps_of(path))


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
        for one in level:
            if isinstance(one, dict):
                below.extend(one.values())
            elif isinstance(one, list):
                below.extend(one)
        if not below:
            return count
        level = below
    raise _NotPlainJson


def _read_json(text: str) -> list[tuple[object, Places]]:
    """Return the values of a JSON text, one or several; raises ``_NotPlainJson`` at anything unusual."""
    decoder = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse_constant)
    source = JsonText(text)
    values: list[tuple[object, Places]] = []
    position, count = skip_space(text, 0), 0
    try:
        while position < len(text):
            value, end = decoder.raw_decode(text, position)
            count += _count(value)
            if count > MOST_VALUES:
                raise _NotPlainJson
            values.append((value, JsonPlaces(source, position)))
            position = skip_space(text, end)
    except (ValueError, RecursionError):
        raise _NotPlainJson from None
    return values


def _read_values(text: str, origin: str) -> Iterator[tuple[object, Places]]:
    if text.lstrip()[:1] in ("{", "["):
        try:
            yield from _read_json(text)
        except _NotPlainJson:
            pass  # YAML says what is wrong, and where; much that JSON is not is still YAML
        else:
            return
    for value, tree in read_yaml(text, origin):
        yield value, YamlPlaces(tree)


def _documents(value: object, places: Places, origin: str, steps: tuple[str, ...]) -> Iterator[Document]:
    if not isinstance(value, dict):
        raise UnusableInput(origin, *places.find(()), f"must be an object, not {type_name(value)}")
    kind, api_version = _text(value, "kind", places, origin), _text(value, "apiVersion", places, origin)
    if not kind.endswith("List") or "items" not in value:
        yield Document(kind, api_version, value, origin, places, steps)
        return
    items = value["items"]
    if items is not None and not isinstance(items, list):
        raise UnusableInput(origin, *places.find(("items",)), f"must be a list, not {type_name(items)}")
    of_kind = kind.removesuffix("List")
    implied = {"apiVersion": api_version, "kind": of_kind} if of_kind else {}
    for index, one in enumerate(items or ()):
        member = {**implied, **one} if isinstance(one, dict) else one
        yield from _documents(member, places.item(index), origin, (*steps, "items", str(index)))


def _text(members: Mapping[str, object], name: str, places: Places, origin: str) -> str:
    value = members.get(name)
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    raise UnusableInput(origin, *places.find((name,)), f"{name} must be a string, not {type_name(value)}")


def read_documents(text: str, origin: str) -> tuple[Document, ...]:
    """Return the objects in ``text``; documents without content are skipped, Lists flattened.

    ``origin`` names the text in messages, e.g. a file's name. Raises ``UnusableInput`` with line and column.
    """
    if len(text) > MOST_BYTES:
        raise UnusableInput(origin, 1, 1, f"larger than {MOST_BYTES // 1024 // 1024} MiB")
    text = text.removeprefix(BOM)
    return tuple(
        document
        for number, (value, places) in enumerate(_read_values(text, origin))
        for document in _documents(value, places, origin, (str(number),))
    )
