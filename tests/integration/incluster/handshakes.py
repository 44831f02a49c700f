"""TLS handshakes with every replica, all the time, by somebody who trusts what the API server has to.

The API server keeps its connections, so its requests alone would show few of the handshakes that may fail.
"""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from types import TracebackType
from typing import Self

from tests.integration.incluster.deployed import configuration, replicas
from tests.kube.cluster import Cluster

_PAUSE_SECONDS = 0.1
_HOST = "netpol-guard.netpol-guard.svc"


class Handshakes:
    """Shakes hands from the start of a `with` to its end; `failures` and `done` grow meanwhile."""

    def __init__(self, cluster: Cluster) -> None:
        """Nothing is sent yet."""
        self._cluster = cluster
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="handshakes", daemon=True)
        self.done = 0
        self.failures: list[str] = []
        self.serials: dict[str, str] = {}
        """By address: the serial number of the certificate that was served last."""

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and wait for the last one."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(_PAUSE_SECONDS):
            bundle = bundle_of(self._cluster)
            for each in replicas(self._cluster):
                self._shake(each.address, bundle)

    def _shake(self, address: str, bundle: str) -> None:
        trust = ssl.create_default_context(cadata=bundle)
        try:
            with self._cluster.entered():
                plain = socket.create_connection((address, 8443), timeout=10)
            with trust.wrap_socket(plain, server_hostname=_HOST) as connection:
                self.serials[address] = str((connection.getpeercert() or {})["serialNumber"])
                self.done += 1
        except OSError as error:
            self.failures.append(f"{address}: {error!r}")


def bundle_of(cluster: Cluster) -> str:
    """Return the published `caBundle`, which is the same in all webhooks."""
    bundles = {each["clientConfig"].get("caBundle", "") for each in configuration(cluster)["webhooks"]}
    assert len(bundles) == 1, bundles
    return base64.b64decode(bundles.pop()).decode()
