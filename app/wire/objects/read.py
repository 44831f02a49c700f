"""An object of a known shape, from parsed JSON or YAML, or from JSON text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec
from msgspec import Raw

from app.wire.errors import UnusableObject

RawObject = Mapping[str, object] | bytes | Raw


S = TypeVar("S", bound=msgspec.Struct)


def read_object(source: RawObject, shape: type[S], kind: str) -> S:
    """Return ``source`` as a ``shape``; ``kind`` names it in the ``UnusableObject`` that this may raise."""
    try:
        if isinstance(source, bytes | Raw):
            return msgspec.json.decode(source, type=shape)
        return msgspec.convert(source, shape)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UnusableObject.of(kind, error) from None
