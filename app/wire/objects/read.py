"""An object of a known shape, from parsed JSON or YAML, or from JSON text."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import TypeVar

import msgspec
from msgspec import Raw

from app.wire.errors import UnusableObject

RawObject = Mapping[str, object] | bytes | Raw


S = TypeVar("S", bound=msgspec.Struct)

_learning = Lock()
_learned: set[type[msgspec.Struct]] = set()


def read_object(source: RawObject, shape: type[S], kind: str) -> S:
    """Return ``source`` as a ``shape``; ``kind`` names it in the ``UnusableObject`` that this may raise."""
    _learn(shape)
    try:
        if isinstance(source, bytes | Raw):
            return msgspec.json.decode(source, type=shape)
        return msgspec.convert(_without_nulls(source), shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UnusableObject.of(kind, error) from None


def _without_nulls(value: object) -> object:
    """Return ``value`` without the members that are null: an API server takes them for absent (rule 28)."""
    if isinstance(value, Mapping):
        return {key: _without_nulls(member) for key, member in value.items() if member is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def _learn(shape: type[msgspec.Struct]) -> None:
    """Have msgspec learn a shape, by one thread alone.

    It learns a shape when it first meets it; a second thread that meets it meanwhile crashes the interpreter.
    """
    if shape not in _learned:
        with _learning:
            msgspec.json.Decoder(shape)
            _learned.add(shape)
