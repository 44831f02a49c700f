"""Requests to the API server on the running event loop, for what reviews wait for.

A request through ``urllib3`` in a thread costs twice the processor time of one here (0.51 against 0.25 ms, a
PATCH of a ConfigMap, measured beside 200 writes a second). Commands and watches keep ``Connection``, which
blocks.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Mapping
from http import HTTPStatus
from time import monotonic

import aiohttp
from yarl import URL

from app.cluster.client.connection import ApiRequest, ClientConfiguration, credentials_of
from app.cluster.client.errors import CHECK_CA, CHECK_SERVER, ErrorKind, HttpRefusal, broken, overdue, refusal
from app.deadline import Deadline

_POOL_SIZE = 32
_KEEP_ALIVE_SECONDS = 60.0
_CREDENTIALS_SECONDS = 10.0
"""How long credentials are used before it is looked whether they are to be renewed."""
_JSON = "application/json"
_SHORTEST = 0.01

_KINDS: tuple[ErrorKind, ...] = (
    (aiohttp.ClientSSLError, "the TLS connection to the API server failed", CHECK_CA),
    (aiohttp.ClientConnectorDNSError, "the API server's name is unknown", CHECK_SERVER),
    (aiohttp.ClientConnectorError, "the API server cannot be reached", CHECK_SERVER),
    (Exception, "the connection to the API server broke", "try again"),
)


class AsyncConnection:
    """Requests to one API server, on one event loop; sessions are made when they are first needed."""

    def __init__(self, config: ClientConfiguration) -> None:
        """Nothing is sent yet."""
        self.server: str = config.host.rstrip("/")
        self._config = config
        self._session: aiohttp.ClientSession | None = None
        self._headers: Mapping[str, str] = {}
        self._headers_until = 0.0

    async def fetch(self, request: ApiRequest, deadline: Deadline) -> bytes:
        """Return the body of a 2xx answer.

        What the API server asks to be asked again (429 and 5xx with ``Retry-After``) is, as long as there is
        time. Raises ``HttpRefusal`` for another status, ``StateUnreadable`` where no answer comes in time.
        """
        while True:
            try:
                return await self._fetch_once(request, deadline)
            except HttpRefusal as error:
                pause = error.pause_within(deadline.left)
                if pause is None:
                    raise
                await asyncio.sleep(pause)

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _fetch_once(self, request: ApiRequest, deadline: Deadline) -> bytes:
        left = deadline.left
        if left < _SHORTEST:
            raise overdue(request.purpose.words, deadline.seconds)
        try:
            async with asyncio.timeout(left):
                try:
                    return await self._send(request)
                except aiohttp.ServerDisconnectedError:
                    # The server closed a kept-alive connection at that moment; all of ours may be repeated.
                    return await self._send(request)
        except TimeoutError as error:
            raise overdue(request.purpose.words, deadline.seconds) from error
        except (aiohttp.ClientError, OSError) as error:
            reason = _reason(error)
            raise broken(error, request.purpose, self.server, kinds=_KINDS, reason=reason) from error

    async def _send(self, request: ApiRequest) -> bytes:
        headers = await self._credentials()
        if request.body is not None:
            headers["Content-Type"] = request.method.media_type
        async with self._opened().request(
            request.method.verb,
            URL(self.server + request.target, encoded=True),
            data=request.body,
            headers=headers,
            allow_redirects=False,
            server_hostname=self._config.tls_server_name,
            proxy=self._config.proxy,
        ) as response:
            body = await response.read()
            if HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
                return body
            raise refusal(response.status, body, request.purpose, response.headers.get("Retry-After"))

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(
                ssl=_tls_of(self._config), limit=_POOL_SIZE, keepalive_timeout=_KEEP_ALIVE_SECONDS
            )
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=aiohttp.ClientTimeout(), requote_redirect_url=False
            )
        return self._session

    async def _credentials(self) -> dict[str, str]:
        """Return the headers of a request; renewed in a thread, for that reads files or runs plugins."""
        if monotonic() > self._headers_until:
            self._headers = await asyncio.to_thread(credentials_of, self._config)
            self._headers_until = monotonic() + _CREDENTIALS_SECONDS
        return {"Accept": _JSON, "User-Agent": "netpol-guard", **self._headers}


def _tls_of(config: ClientConfiguration) -> ssl.SSLContext:
    """Return how the API server is verified, and who we are to it: as ``RESTClientObject`` does."""
    context = ssl.create_default_context(cafile=config.ssl_ca_cert, cadata=config.ca_cert_data)
    if config.cert_file:
        context.load_cert_chain(config.cert_file, keyfile=config.key_file)
    if not config.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _reason(error: Exception) -> str:
    number = getattr(error, "errno", None)
    return f"{error} ({os.strerror(number)})" if number else str(error)
