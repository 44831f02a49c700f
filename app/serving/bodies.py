"""Reading a request's body: never more of it than is allowed, never longer than it is worth waiting for.

A body that arrives in one piece, as a review of some kilobytes does, costs one call. Only the others are
counted, each against its own limit and all together against one, so that many large bodies at once end in
answers and not in a process without memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

Receive = Callable[[], Awaitable[Mapping[str, Any]]]


class NoBody(Enum):
    """Why there is no body."""

    GONE = "client gone"
    TOO_LARGE = "body too large"
    TOO_SLOW = "body too slow"
    TOO_MANY = "overload"


@dataclass(slots=True)
class BodyReader:
    """Reads bodies of up to ``most`` bytes within ``seconds``.

    Those that are arriving in pieces may hold ``most_held`` bytes together; ``held`` says how many they do.
    """

    most: int
    most_held: int
    seconds: float
    held: int = 0

    async def read(self, receive: Receive) -> bytes | NoBody:
        """Return the whole body, or why it is not to be had."""
        try:
            # Not around the common case alone: a client that sends no body at all must not stay for ever.
            async with asyncio.timeout(self.seconds):
                message = await receive()
                if message["type"] != "http.request":
                    return NoBody.GONE
                body: bytes = message.get("body", b"")
                if not message.get("more_body", False):
                    return body if len(body) <= self.most else NoBody.TOO_LARGE
                return await self._rest(receive, body)
        except TimeoutError:
            return NoBody.TOO_SLOW

    async def _rest(self, receive: Receive, first: bytes) -> bytes | NoBody:
        parts, size = [first], len(first)
        self.held += size
        try:
            while True:
                if size > self.most:
                    return NoBody.TOO_LARGE
                if self.held > self.most_held:
                    return NoBody.TOO_MANY
                message = await receive()
                if message["type"] != "http.request":
                    return NoBody.GONE
                part = message.get("body", b"")
                parts.append(part)
                size += len(part)
                self.held += len(part)
                if not message.get("more_body", False):
                    return b"".join(parts) if size <= self.most else NoBody.TOO_LARGE
        finally:
            self.held -= size
