"""Somebody else who writes to the cluster all the time, as there always is on a real one.

While nobody writes, the API server's caches are never behind what is stored, and consistent lists come back
at once. `TESTS_WRITER=1` in the environment gives every cluster of the tests such a writer.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count

from tests.kube.api import AWAY, ApiClient

PERIOD_SECONDS = 0.02
NAMESPACE, NAME = "kube-public", "test-writer"
_PATH = f"/api/v1/namespaces/{NAMESPACE}/configmaps"


class Writer:
    """Changes one ConfigMap every 20 ms, from its construction to `stop`."""

    def __init__(self, client: ApiClient) -> None:
        """Make the ConfigMap and start."""
        self._client = client
        self._stopped = threading.Event()
        client.request("POST", _PATH, {"metadata": {"name": NAME}})
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop, and wait for the last change."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        numbers = count()
        while not self._stopped.is_set():
            with suppress(*AWAY), self._client.kept() as send:
                while not self._stopped.wait(PERIOD_SECONDS):
                    body = {"data": {"number": str(next(numbers))}}
                    send("PATCH", f"{_PATH}/{NAME}", body, content_type="application/merge-patch+json")
            self._stopped.wait(PERIOD_SECONDS)


@contextmanager
def written_to(client: ApiClient) -> Iterator[None]:
    """Have somebody write to the cluster of `client` meanwhile."""
    writer = Writer(client)
    try:
        yield
    finally:
        writer.stop()
