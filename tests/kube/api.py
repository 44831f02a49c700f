"""Plain HTTPS requests to an API server: what `kubectl` cannot be asked to do, and what has to be fast."""

from __future__ import annotations

import http.client
import json
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlsplit

from tests.kube.hosts import Host

_TIMEOUT_SECONDS = 60.0
AWAY = (ConnectionError, TimeoutError, ssl.SSLError, http.client.HTTPException)
"""What a request raises while the API server does not run or answer."""

_WARNING = re.compile(r'\d{3} \S+ "((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """What the API server answered: the status code, the body, and the texts of its `Warning` headers."""

    status: int
    text: str
    warnings: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether the request was carried out."""
        return 200 <= self.status < 300

    def json(self) -> Any:  # noqa: ANN401 - JSON
        """Return the body, parsed."""
        return json.loads(self.text)

    @property
    def message(self) -> str:
        """The message of the `Status` object that a refused request is answered with."""
        return str(self.json().get("message", ""))


class Send(Protocol):
    """What `ApiClient.request` is, on whatever connection."""

    def __call__(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | str | None = None,
        *,
        content_type: str = "application/json",
    ) -> ApiResponse:
        """Send a request and read the answer."""


class ApiClient:
    """One bearer token's view of an API server whose certificate is verified."""

    def __init__(self, url: str, ca_pem: str, token: str, *, host: Host | None = None) -> None:
        """Nothing is sent yet; the TLS settings are made once. Connections start at `host`."""
        parts = urlsplit(url)
        self._from = host or Host()
        self._host = parts.hostname or ""
        self._port = parts.port
        self._tls = ssl.create_default_context(cadata=ca_pem)
        self._token = token

    def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | str | None = None,
        *,
        content_type: str = "application/json",
    ) -> ApiResponse:
        """Send one request on a connection of its own (so threads may share the client) and read the answer.

        `body` is an object to be sent as JSON, or a text that is sent as it is. Raises OSError or
        HTTPException when there is no answer; a refusal is an answer.
        """
        with self.kept() as send:
            return send(method, path, body, content_type=content_type)

    @contextmanager
    def kept(self) -> Iterator[Send]:
        """Yield what `request` does on one connection, for somebody who has a lot to say."""
        connection = self._connect()
        try:
            yield partial(self._send, connection)
        finally:
            connection.close()

    def _send(
        self,
        connection: http.client.HTTPSConnection,
        method: str,
        path: str,
        body: Mapping[str, Any] | str | None = None,
        *,
        content_type: str = "application/json",
    ) -> ApiResponse:
        payload = body if body is None or isinstance(body, str) else json.dumps(body)
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        if payload is not None:
            headers["Content-Type"] = content_type
        connection.request(method, path, payload.encode() if payload is not None else None, headers)
        answer = connection.getresponse()
        warnings = tuple(_warning(text) for text in answer.headers.get_all("Warning", []))
        return ApiResponse(answer.status, answer.read().decode(), warnings)

    @contextmanager
    def stream(self, path: str) -> Iterator[Stream]:
        """Send a GET whose answer does not end by itself (a watch); raise StreamError if it is refused."""
        connection = self._connect()
        connection.sock.settimeout(None)  # nothing happens for a minute, and that is no fault
        try:
            connection.request("GET", path, headers={"Authorization": f"Bearer {self._token}"})
            answer = connection.getresponse()
            if answer.status != http.HTTPStatus.OK:
                message = f"GET {path}: {answer.status} {answer.read().decode()}"
                raise StreamError(message)
            yield Stream(connection, answer)
        finally:
            connection.close()

    def _connect(self) -> http.client.HTTPSConnection:
        connection = http.client.HTTPSConnection(
            self._host, self._port, timeout=_TIMEOUT_SECONDS, context=self._tls
        )
        with self._from.entered():
            connection.connect()
        return connection


class StreamError(RuntimeError):
    """The API server refused what was to be streamed; the message has its answer."""


class Stream:
    """The lines of an answer, as they come."""

    def __init__(self, connection: http.client.HTTPSConnection, answer: http.client.HTTPResponse) -> None:
        self._connection = connection
        self._answer = answer

    def __iter__(self) -> Iterator[Any]:
        """Yield each line, parsed, until the server or `stop` ends it. OSError if the connection breaks."""
        while line := self._answer.readline():
            yield json.loads(line)

    def stop(self) -> None:
        """End it, from any thread."""
        with suppress(OSError):
            self._connection.sock.shutdown(socket.SHUT_RDWR)


def _warning(header: str) -> str:
    """Return the text inside `299 - "text"` (RFC 7234, section 5.5), unescaped."""
    match = _WARNING.match(header)
    return re.sub(r"\\(.)", r"\1", match[1]) if match else header
