"""What a Service, or a load balancer, is for several servers: connections go to each in turn."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count

_CHUNK = 65_536
Address = tuple[str, int]


@contextmanager
def balancer(backends: Sequence[Address]) -> Iterator[Address]:
    """Hand every connection on to the next of ``backends``, bytes as they are; yield where it listens.

    A list of them may change meanwhile.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=hand_on, args=(listener, backends), daemon=True)
        accepting.start()
        yield listener.getsockname()
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()


def hand_on(listener: socket.socket, backends: Sequence[Address]) -> None:
    """Do so for a listener of the caller's, until it is shut down."""
    with suppress(OSError):
        for turn in count():
            client, _ = listener.accept()
            backend = backends[turn % len(backends)]
            threading.Thread(target=_carry, args=(client, backend), daemon=True).start()


def _carry(client: socket.socket, backend: Address) -> None:
    """Carry one connection until both ends are done."""
    with client, suppress(OSError), socket.create_connection(backend) as server:
        back = threading.Thread(target=_copy, args=(server, client), daemon=True)
        back.start()
        _copy(client, server)
        back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(_CHUNK):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
