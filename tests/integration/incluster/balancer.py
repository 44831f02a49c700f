"""A load balancer in front of the API servers of a cluster, as simple as they come: connections in turn."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import cycle

from tests.cluster.cluster import PORTS, Cluster

_API_SERVER = PORTS.api_server


@contextmanager
def balanced(cluster: Cluster, members: Sequence[str], port: int) -> Iterator[str]:
    """Listen on the cluster's middle address, hand connections to the members in turn; yield the address."""
    with cluster.entered():
        listening = socket.create_server((cluster.control_plane.network.bind, port))
        thread = threading.Thread(target=_serve, args=(listening, members), daemon=True)
        thread.start()  # from here, so that its sockets are in the cluster's network, too
    try:
        yield f"{cluster.control_plane.network.bind}:{port}"
    finally:
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(10)


def _serve(listening: socket.socket, members: Sequence[str]) -> None:
    turns = cycle(members)
    with suppress(OSError):  # it was closed
        while True:
            client, _ = listening.accept()
            threading.Thread(target=_carry, args=(client, next(turns)), daemon=True).start()


def _carry(client: socket.socket, member: str) -> None:
    """Carry one connection until both ends are done."""
    with client, suppress(OSError), socket.create_connection((member, _API_SERVER)) as server:
        back = threading.Thread(target=_copy, args=(server, client))
        back.start()
        _copy(client, server)
        back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
