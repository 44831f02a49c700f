"""What this room needs from the others: somebody who answers reviews, and somebody who knows of readiness."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Protocol

import msgspec

from app.deadline import TimeLimits

JSON = "application/json"


class Reply(msgspec.Struct, frozen=True):
    """An HTTP answer, complete; header names in lower case.

    No dataclass, for there is one for each review and making a frozen one takes ten times as long.
    """

    status: int
    body: bytes
    media_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


def error_reply(
    status: int, message: str, path: str = "", headers: tuple[tuple[str, str], ...] = ()
) -> Reply:
    """Return an answer that is no review: what is wrong, and with which field or address."""
    return Reply(status, json.dumps({"error": message, "path": path}).encode(), headers=headers)


class Reviews(Protocol):
    """Answers admission reviews."""

    async def review(self, body: bytes, limits: TimeLimits, peer: str) -> Reply:
        """Return the answer to the review in ``body``, within the limits; it is not expected to raise.

        ``peer`` is the address of the TCP peer, "" where there is none; never what a header says.
        """
        ...


Readiness = Callable[[], tuple[str, ...]]
"""Tells why reviews cannot be answered yet; nothing means that they can."""
