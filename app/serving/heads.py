"""HTTP whose request heads are bounded in time and size, as bodies are; and so are connections in number.

Whoever reaches the port may open a connection. uvicorn waits for the end of a head for ever and keeps all of
it meanwhile, so that a few clients that say little, or never stop, would fill the process.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class BoundedHeads(HttpToolsProtocol):
    """uvicorn's HTTP/1.1, but a connection ends whose request does not begin as it should."""

    seconds: ClassVar[float] = 10.0
    """How long a new connection may be silent, and a head be on its way."""
    most_bytes: ClassVar[int] = 64 * 1024
    most_connections: ClassVar[int] = 1024
    """Of one address: no API server needs as many, and each takes memory."""

    _timer: asyncio.TimerHandle | None = None
    _is_open = True
    """Whether a head has begun, or is to begin as the connection is new, and has not ended."""
    _bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Expect the first head."""
        super().connection_made(transport)
        connections = (other for other in self.connections if isinstance(other, BoundedHeads))
        if sum(connection.host == self.host for connection in connections) > self.most_connections:
            transport.close()
        else:
            self._await_end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing more."""
        self._forget()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take in what came; a head that is still open after it is on its way, and may not grow for ever."""
        super().data_received(data)
        if self._is_open:
            self._bytes += len(data)
            if self._bytes > self.most_bytes:
                self.transport.close()
            elif self._timer is None:
                self._await_end()

    def on_message_begin(self) -> None:
        """Note that a head has begun."""
        self._is_open = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Note that a head has ended."""
        self._is_open = False
        self._bytes = 0
        if self._timer is not None:
            self._forget()
        super().on_headers_complete()

    @property
    def host(self) -> str:
        """The address of the client."""
        return self.client[0] if self.client else ""

    def _await_end(self) -> None:
        self._timer = self.loop.call_later(self.seconds, self.transport.close)

    def _forget(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
