"""Reading a request's body, never more or longer than is allowed, and the answer where that is not enough.

A body that arrives in one piece, as a review of some kilobytes does, costs one call. Only the others are
counted, each against its own limit and all together against one, so that many large bodies at once end in
answers and not in a process without memory.
"""

from __future__ import annotations

import asyncio
import types
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any

from app.serving.reviews import Reply, error_reply

Message = Mapping[str, Any]
Receive = Callable[[], Coroutine[Any, Any, Message]]
_RETRY = (("retry-after", "1"),)


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
        step = receive()
        try:
            waiting = step.send(None)
        except StopIteration as arrived:
            # The usual case: the whole body came with the headers. A timer would double what this costs.
            message: Message = arrived.value
            if message["type"] == "http.request" and not message.get("more_body", False):
                body: bytes = message.get("body", b"")
                return body if len(body) <= self.most else NoBody.TOO_LARGE
            first: Awaitable[Message] = _already(message)
        else:
            first = _resumed(step, waiting)
        try:
            async with asyncio.timeout(self.seconds):
                return await self._pieces(await first, receive)
        except TimeoutError:
            return NoBody.TOO_SLOW

    def answer(self, why: NoBody) -> Reply:
        """Return the answer to a request without a usable body."""
        if why is NoBody.TOO_LARGE:
            return error_reply(413, f"the body is larger than {self.most} bytes")
        if why is NoBody.TOO_SLOW:
            return error_reply(408, f"the body took longer than {self.seconds:g} seconds")
        return error_reply(503, "too many reviews at the same time; try again", headers=_RETRY)

    async def _pieces(self, message: Message, receive: Receive) -> bytes | NoBody:
        parts: list[bytes] = []
        size = 0
        try:
            while message["type"] == "http.request":
                part: bytes = message.get("body", b"")
                parts.append(part)
                size += len(part)
                self.held += len(part)
                if size > self.most:
                    return NoBody.TOO_LARGE
                if self.held > self.most_held:
                    return NoBody.TOO_MANY
                if not message.get("more_body", False):
                    return b"".join(parts)
                message = await receive()
            return NoBody.GONE
        finally:
            self.held -= size


async def _already(message: Message) -> Message:
    return message


@types.coroutine
def _resumed(step: Coroutine[Any, Any, Message], waiting: object) -> Generator[object, Any, Message]:
    """Go on with a coroutine that was begun elsewhere and is waiting for ``waiting``; what `await` does."""
    while True:
        try:
            value = yield waiting
        except BaseException as error:  # noqa: BLE001 - it belongs to the coroutine, whatever it is
            advance = partial(step.throw, error)
        else:
            advance = partial(step.send, value)
        try:
            waiting = advance()
        except StopIteration as arrived:
            message: Message = arrived.value
            return message
