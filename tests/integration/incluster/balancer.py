"""A load balancer in front of the API servers of a cluster, as simple as they come: connections in turn."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from tests.integration.balancer import hand_on
from tests.kube.cluster import PORTS, Cluster


@contextmanager
def balanced(cluster: Cluster, members: Sequence[str], port: int) -> Iterator[str]:
    """Listen on the cluster's middle address, hand connections to the members in turn; yield the address."""
    backends = [(member, PORTS.api_server) for member in members]
    with cluster.entered():
        listening = socket.create_server((cluster.control_plane.network.bind, port))
        thread = threading.Thread(target=hand_on, args=(listening, backends), daemon=True)
        thread.start()  # from here, so that its sockets are in the cluster's network, too
    try:
        yield f"{cluster.control_plane.network.bind}:{port}"
    finally:
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(10)
