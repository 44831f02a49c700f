"""Two servers in one process: the webhook over TLS, and on a thread of its own health over plain HTTP.

So health and metrics answer whatever the webhook's event loop is busy with. Started, told to stop and drained
together: when a signal comes, the process first says that it is not ready, so that it leaves the Service's
endpoints; goes on answering for a while, with each answer ending its connection; and closes only then. A
second signal ends it at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import uvicorn

from app.errors import StartError
from app.logs import EventLog
from app.serving.heads import BoundedHeads
from app.serving.state import ServingState
from app.serving.tls import Handshakes
from app.serving.tuning import favour_requests_over_threads, settle
from app.settings.model import ListenSettings

KEEP_ALIVE_SECONDS = 120
"""The API server keeps idle connections for 90 s, and does not retry on one that was closed first."""

EVERY_ADDRESS = "::"
"""Of both families, or of IPv4 on a machine without IPv6."""

CLOSE_SECONDS = 10
"""How long connections may take to end once nothing more is served."""
_STARTED_POLL_SECONDS = 0.002
_PULSE_SECONDS = 1.0
_BACKLOG = 2048
_LOG = EventLog("app.serving")


@dataclass(frozen=True, slots=True)
class Bound:
    """The ports that are listened on."""

    port: int
    health_port: int


@dataclass(frozen=True, slots=True)
class Applications:
    """The two ASGI applications, and the state that both look at."""

    webhook: Any
    health: Any
    state: ServingState


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to whoever runs two of them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def run(main: Coroutine[Any, Any, int]) -> int:
    """Run ``main`` on the fastest event loop there is, and return what it returns."""
    with asyncio.Runner(loop_factory=_event_loop) as runner:
        return runner.run(main)


def _event_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop  # noqa: PLC0415 - not on every system
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


async def serve(
    applications: Applications,
    certificate: Handshakes,
    listen: ListenSettings,
    *,
    drain_seconds: float,
    on_started: Callable[[Bound], None] = lambda _: None,
) -> int:
    """Serve until a signal comes and everything is drained; return the exit code.

    Raises ``StartError`` where an address cannot be listened on.
    """
    sockets = _bind_all((listen.host, listen.port), (listen.health_host, listen.health_port))
    webhook = _server(applications.webhook, certificate)
    health = _server(applications.health, None)
    stopping = _stop_on_signals()
    thread = ThreadPoolExecutor(1, thread_name_prefix="health")
    running: list[asyncio.Future[Any]] = [
        asyncio.create_task(webhook.serve(sockets=sockets[:1])),
        asyncio.get_running_loop().run_in_executor(thread, run, _served(health, sockets[1])),
    ]
    watching = asyncio.create_task(_watched(certificate, applications.state))
    try:
        await _all_started(webhook, health, running)
        favour_requests_over_threads()
        settle()
        applications.state.is_started = True
        bound = Bound(*(sock.getsockname()[1] for sock in sockets))
        _LOG.info("serving", host=listen.host, port=bound.port, health_port=bound.health_port)
        on_started(bound)
        await asyncio.wait((stopping, *running), return_when=asyncio.FIRST_COMPLETED)
        # Go on serving until the endpoints of the Service have had time to forget this process.
        applications.state.is_draining = True
        await asyncio.wait(running, timeout=drain_seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        watching.cancel()
        for server in (webhook, health):
            server.should_exit = True
        ended = await asyncio.gather(*running, return_exceptions=True)
        thread.shutdown()
    for problem in ended:
        if isinstance(problem, BaseException):
            raise problem
    _LOG.info("ended")
    return 0


async def _served(server: _Server, sock: socket.socket) -> int:
    await server.serve(sockets=[sock])
    return 0


async def _watched(certificate: Handshakes, state: ServingState) -> None:
    """Watch the certificate, and show that this event loop is alive, until cancelled."""
    watching = asyncio.create_task(certificate.watch())
    try:
        while True:
            state.pulse()
            await asyncio.sleep(_PULSE_SECONDS)
    finally:
        watching.cancel()


def _bind_all(*addresses: tuple[str, int]) -> list[socket.socket]:
    with contextlib.ExitStack() as undo:
        sockets = [undo.enter_context(_bind(host, port)) for host, port in addresses]
        undo.pop_all()
    return sockets


def _bind(host: str, port: int) -> socket.socket:
    """Return a listening socket, or raise ``StartError`` naming the address, the port and what is wrong."""
    has_both = socket.has_dualstack_ipv6()
    if host == EVERY_ADDRESS and not has_both:
        host = "0.0.0.0"  # noqa: S104 - all addresses there are
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, *_, address = found[0]
        # `::` means both families, as it does for programs written in Go.
        is_dual = has_both and family == socket.AF_INET6
        return socket.create_server(address, family=family, backlog=_BACKLOG, dualstack_ipv6=is_dual)
    except socket.gaierror as error:
        raise StartError(f"cannot listen on {shown}: {error.strerror or error}") from error
    except OSError as error:
        known = {errno.EADDRINUSE: "another process has it"}
        why = known.get(error.errno or 0) or os.strerror(error.errno or 0)
        raise StartError(f"cannot listen on {shown}: {why}") from error


def _server(application: Any, certificate: Handshakes | None) -> _Server:  # noqa: ANN401 - any ASGI application
    config = uvicorn.Config(
        application,
        http=BoundedHeads,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=CLOSE_SECONDS,
        ssl_context_factory=None if certificate is None else lambda _config, _default: certificate.context,
    )
    return _Server(config)


def _stop_on_signals() -> asyncio.Task[bool]:
    """Return a task that ends with the first SIGTERM or SIGINT; the second ends the process."""
    came = asyncio.Event()
    loop = asyncio.get_running_loop()

    def take(number: signal.Signals) -> None:
        if came.is_set():
            _LOG.warning("second signal, ending at once", signal=number.name)
            sys.stderr.flush()
            os._exit(128 + number)
        _LOG.info("signal, draining", signal=number.name)
        came.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, take, number)
    return asyncio.create_task(came.wait())


async def _all_started(webhook: _Server, health: _Server, running: list[asyncio.Future[Any]]) -> None:
    while not (webhook.started and health.started):
        if any(task.done() for task in running):
            return
        await asyncio.sleep(_STARTED_POLL_SECONDS)
