"""`POST /validate`: from HTTP to `Reviews` and back, and every answer that needs no decision.

This is the hot path, so it speaks ASGI itself: what FastAPI does for a request (a `Request`, parameters,
dependencies, a `Response`) costs more than everything here. It stands in the application as a plain route.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from starlette.types import Scope, Send

from app.deadline import TimeLimits
from app.logs import EventLog
from app.serving.bodies import BodyReader, NoBody, Receive
from app.serving.budget import limits_for
from app.serving.reviews import JSON, Reply, Reviews, error_reply

_LOG = EventLog("app.serving")
_JSON_HEADER = (b"content-type", JSON.encode())
_HELD_BODIES = 16
"""As many bodies of the largest size as may be in arrival at the same time."""


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """What one process takes on at a time, how long it may compute an answer, and a body may arrive."""

    body_bytes: int = 8 * 1024 * 1024
    in_flight: int = 64
    budget_seconds: float = 1.0
    body_seconds: float = 10.0


async def send_reply(reply: Reply, send: Send) -> None:
    """Send an answer the ASGI way."""
    body = reply.body
    headers = [
        _JSON_HEADER if reply.media_type is JSON else (b"content-type", reply.media_type.encode("latin-1")),
        (b"content-length", b"%d" % len(body)),
    ]
    for name, value in reply.headers:
        headers.append((name.encode("latin-1"), value.encode("latin-1")))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _peer(scope: Scope) -> str:
    """Return the client's address; IPv4 as such, too, where one socket serves both families."""
    client = scope["client"]
    address: str = client[0] if client else ""
    return address.removeprefix("::ffff:") if "." in address else address


class Validate:
    """The endpoint; ``in_flight`` is the number of reviews being answered now."""

    def __init__(
        self, reviews: Reviews, limits: RequestLimits, on_refusal: Callable[[str], None] = lambda _: None
    ) -> None:
        self.in_flight = 0
        self._reviews = reviews
        self._limits = limits
        self._on_refusal = on_refusal
        self._bodies = BodyReader(limits.body_bytes, _HELD_BODIES * limits.body_bytes, limits.body_seconds)
        # The API server sends the same query string each time.
        self._time_limits = lru_cache(maxsize=64)(lambda query: limits_for(query, limits.budget_seconds))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; no exception of the reviewer leaves here, so that none becomes a 500."""
        reply = self._refused(scope["headers"])
        if reply is None:
            body = await self._bodies.read(receive)
            if body is NoBody.GONE:
                return
            if isinstance(body, NoBody):
                reply = self._without_body(body)
            else:
                reply = await self._reviewed(body, self._time_limits(scope["query_string"]), _peer(scope))
        await send_reply(reply, send)

    async def _reviewed(self, body: bytes, limits: TimeLimits, peer: str) -> Reply:
        if self.in_flight >= self._limits.in_flight:
            return self._without_body(NoBody.TOO_MANY)
        self.in_flight += 1
        try:
            return await self._reviews.review(body, limits, peer)
        except Exception as error:  # noqa: BLE001 - the last resort: whatever it is, the answer is no 500
            _LOG.failure("review failed", error, body_bytes=len(body))
            self._on_refusal("failure")
            return error_reply(400, "this review could not be handled; the log of netpol-guard says why")
        finally:
            self.in_flight -= 1

    def _refused(self, headers: Iterable[tuple[bytes, bytes]]) -> Reply | None:
        """Return the answer to a request whose headers are enough to refuse it."""
        media_type, length = b"", b""
        for name, value in headers:
            if name == b"content-type":
                media_type = value
            elif name == b"content-length":
                length = value
        if media_type != b"application/json" and not _is_json(media_type):
            self._on_refusal("media type")
            return error_reply(
                415, f"the body must be {JSON}, not {media_type.decode('latin-1') or 'of no stated type'}"
            )
        if length.isdigit() and int(length) > self._limits.body_bytes:
            return self._without_body(NoBody.TOO_LARGE)
        return None

    def _without_body(self, why: NoBody) -> Reply:
        self._on_refusal(why.value)
        return self._bodies.answer(why)


def _is_json(media_type: bytes) -> bool:
    return media_type.partition(b";")[0].strip().lower() == b"application/json"
