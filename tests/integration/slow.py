"""A slow API server: a proxy in front of the real one that lets answers wait, or refuses with 429."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue

import aiohttp
import yaml
from aiohttp import web

from tests.kube.control_plane import ControlPlane

_LOCAL = ("127.0.0.1", "localhost")
_HOP_BY_HOP = frozenset({"host", "connection", "transfer-encoding", "content-length", "content-encoding"})
_START_SECONDS, _STOP_SECONDS = 60.0, 0.1


class SlowApiServer:
    """Forwards every request; what it does to them may be changed at any time, from any thread."""

    def __init__(self, url: str, authority: ssl.SSLContext) -> None:
        """Forward to ``url``, at once."""
        self.latency = 0.0
        """Seconds that each answer waits, and each event of a watch."""
        self.busy = 0
        """How many of the next requests that are no watch are answered with 429 and ``Retry-After: 1``."""
        self.requests: list[str] = []
        """Method and path of each request that was forwarded, with those that were refused."""
        self.written = 0
        """Bytes of the objects that were written, as they came back."""
        self._url = url
        self._authority = authority
        self._session: aiohttp.ClientSession

    async def serve(
        self, certificate: ssl.SSLContext, started: Callable[[int, Callable[[], None]], None]
    ) -> None:
        """Serve on a free port of loopback; ``started`` is told it, and how to end that from any thread."""
        ended, loop = asyncio.Event(), asyncio.get_running_loop()
        connector = aiohttp.TCPConnector(ssl=self._authority, limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout()) as session:
            self._session = session
            server = web.Application(client_max_size=1 << 24)
            server.router.add_route("*", "/{path:.*}", self._forward)
            runner = web.AppRunner(server, shutdown_timeout=_STOP_SECONDS, handler_cancellation=True)
            await runner.setup()
            await web.TCPSite(runner, _LOCAL[0], 0, ssl_context=certificate).start()
            started(runner.addresses[0][1], lambda: _set(loop, ended))
            await ended.wait()
            await runner.cleanup()
        await asyncio.sleep(_STOP_SECONDS)  # TLS says goodbye

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        is_watch = "watch" in request.query
        if not is_watch:
            self.requests.append(f"{request.method} {request.path}")
            await asyncio.sleep(self.latency)
            if self.busy:
                self.busy -= 1
                refusal = {"kind": "Status", "status": "Failure", "message": "too many requests", "code": 429}
                return web.json_response(refusal, status=429, headers={"Retry-After": "1"})
        kept = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        url = f"{self._url}{request.raw_path}"
        async with self._session.request(request.method, url, data=body, headers=kept) as answer:
            headers = {
                name: value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP
            }
            if not is_watch:
                told = await answer.read()
                self.written += len(told) if request.method == "PATCH" else 0
                return web.Response(status=answer.status, body=told, headers=headers)
            response = web.StreamResponse(status=answer.status, headers=headers)
            await response.prepare(request)
            await self._delayed(answer, response)
            return response

    async def _delayed(self, answer: aiohttp.ClientResponse, response: web.StreamResponse) -> None:
        """Pass on what comes, each piece as late as requests are; a slow server does not slow down more."""
        loop = asyncio.get_running_loop()
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def receive() -> None:
            async for data in answer.content.iter_any():
                pieces.put_nowait((loop.time() + self.latency, data))
            pieces.put_nowait((0.0, b""))

        receiving = asyncio.create_task(receive())
        try:
            while (piece := await pieces.get())[1]:
                await asyncio.sleep(piece[0] - loop.time())
                await response.write(piece[1])
        finally:
            receiving.cancel()


def _set(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    loop.call_soon_threadsafe(event.set)


@contextmanager
def slow_api_server(control_plane: ControlPlane, folder: Path) -> Iterator[tuple[SlowApiServer, Path]]:
    """Run one before the control plane's; yield it with the admin's kubeconfig for it."""
    issued = control_plane.authority.issue(folder, "slow-api-server", _LOCAL)
    certificate = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.load_cert_chain(issued.certificate, issued.key)
    server = SlowApiServer(control_plane.url, ssl.create_default_context(cadata=control_plane.ca_pem))
    ports: Queue[tuple[int, Callable[[], None]]] = Queue()
    serving = server.serve(certificate, lambda port, end: ports.put((port, end)))
    thread = threading.Thread(target=asyncio.run, args=(serving,))
    thread.start()
    port, end = ports.get(timeout=_START_SECONDS)
    try:
        yield server, _kubeconfig(control_plane, folder, port)
    finally:
        end()
        thread.join()


def _kubeconfig(control_plane: ControlPlane, folder: Path, port: int) -> Path:
    config = yaml.safe_load(control_plane.kubeconfig("admin").read_text())
    config["clusters"][0]["cluster"]["server"] = f"https://{_LOCAL[0]}:{port}"
    path = folder / "slow.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path
