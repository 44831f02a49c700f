"""Lists as an API server answers them: items stay text, and are read (and remembered) one by one."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from msgspec import Raw, field

from app.wire.errors import UnusableObject


class _ListMetadata(msgspec.Struct, gc=False, frozen=True):
    resource_version: str = field(name="resourceVersion", default="")
    continue_token: str = field(name="continue", default="")


_NO_METADATA = _ListMetadata()


class _List(msgspec.Struct, gc=False):
    metadata: _ListMetadata = _NO_METADATA
    items: list[Raw] | None = None


_decode = msgspec.json.Decoder(_List).decode


@dataclass(frozen=True, slots=True)
class RawList:
    """One page of a list; ``continue_token`` is empty on the last one."""

    items: tuple[Raw, ...]
    resource_version: str
    continue_token: str


def read_list(body: bytes) -> RawList:
    """Return the page of a list in ``body``.

    The items are views into ``body`` and keep it alive: hand them on to ``policy_of`` and its like.
    Raises ``UnusableObject`` where ``body`` is no list.
    """
    try:
        read = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UnusableObject.of("List", error) from None
    return RawList(tuple(read.items or ()), read.metadata.resource_version, read.metadata.continue_token)
