"""What a Service is for several replicas: each new connection goes to the next of them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import cycle

_CHUNK = 65_536
Address = tuple[str, int]


@contextmanager
def balancer(backends: Sequence[Address]) -> Iterator[Address]:
    """Hand every connection on to the next of ``backends``, bytes as they are; yield where it listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener, _Connections(cycle(backends)) as connections:
        accepting = threading.Thread(target=connections.accept, args=(listener,), daemon=True)
        accepting.start()
        yield listener.getsockname()
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()


class _Connections(ExitStack):
    """The connections so far; leaving it closes them all."""

    def __init__(self, turns: Iterator[Address]) -> None:
        super().__init__()
        self._turns = turns

    def accept(self, listener: socket.socket) -> None:
        """Serve until the listener is shut down."""
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = self.enter_context(socket.create_connection(next(self._turns)))
            self.enter_context(client)
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=_copy, args=(one, other), daemon=True).start()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_CHUNK):
            target.sendall(data)
    # What one side ends the other is to see ended; the sockets themselves are closed with the balancer.
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
