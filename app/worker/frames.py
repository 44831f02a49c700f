"""How a question and its answer travel between the two processes of a Pod: as pickled values.

Both ends are this program, of one version, joined by pipes that nobody else holds.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, BinaryIO

from app.engine.budget import Budget

_LENGTH = struct.Struct("!Q")
HEAD = _LENGTH.size
"""Bytes before each frame: its length."""


class Came(Enum):
    """What came of a question."""

    ANSWERED = "answered"
    TOO_COMPLEX = "too complex"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with the seconds that may be spent on it: the two processes need no common clock."""

    question: Callable[[Budget], Any]
    seconds: float


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of a question, and its answer, or what went wrong in words."""

    came: Came
    value: Any = None


def packed(value: Asked | Answered) -> bytes:
    """Return a frame. Raises what ``pickle`` does for what cannot travel."""
    body = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(body)) + body


def length_of(head: bytes) -> int:
    """Return how many bytes follow ``head``."""
    length: int = _LENGTH.unpack(head)[0]
    return length


def unpacked(body: bytes) -> Any:  # noqa: ANN401 - either end knows what it is sent
    """Return what a frame holds, without its head."""
    return pickle.loads(body)  # noqa: S301 - written by the other process of this Pod


def read_frame(stream: BinaryIO) -> bytes | None:
    """Return the next frame without its head, None where the other end is gone."""
    head = stream.read(HEAD)
    if len(head) < HEAD:
        return None
    length = length_of(head)
    body = stream.read(length)
    return body if len(body) == length else None
