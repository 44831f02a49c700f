"""A container's probes, as a kubelet runs them: from the Node, on their periods, with their thresholds."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any

_OK = range(200, 400)
_UNVERIFIED = ssl._create_unverified_context()  # noqa: S323 - a kubelet does not verify either


class Probe:
    """One probe of one run of a container.

    `passing` is None until a threshold has been reached for the first time.
    """

    def __init__(self, probe: Mapping[str, Any], ports: Mapping[str, int], address: str) -> None:
        """Start counting the initial delay; `ports` are the container's named ports."""
        self._probe = probe
        self._ports = ports
        self._address = address
        self._next = time.monotonic() + probe.get("initialDelaySeconds", 0)
        self._same = 0
        self._last: bool | None = None
        self.passing: bool | None = None

    def run_if_due(self) -> None:
        """Probe once if the period is over; this takes as long as the probe's timeout at most."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + self._probe.get("periodSeconds", 10)
        succeeded = self._run()
        self._same = self._same + 1 if succeeded == self._last else 1
        self._last = succeeded
        threshold = "successThreshold" if succeeded else "failureThreshold"
        if self._same >= self._probe.get(threshold, 1 if succeeded else 3):
            self.passing = succeeded

    def _run(self) -> bool:
        timeout = float(self._probe.get("timeoutSeconds", 1))
        if "httpGet" in self._probe:
            return self._get(self._probe["httpGet"], timeout)
        if "tcpSocket" in self._probe:
            return self._connects(self._port(self._probe["tcpSocket"]["port"]), timeout)
        raise NotImplementedError(f"no probe of this kind here: {self._probe}")

    def _get(self, get: Mapping[str, Any], timeout: float) -> bool:
        where = (get.get("host", self._address), self._port(get["port"]))
        connection = (
            http.client.HTTPSConnection(*where, timeout=timeout, context=_UNVERIFIED)
            if get.get("scheme") == "HTTPS"
            else http.client.HTTPConnection(*where, timeout=timeout)
        )
        headers = {each["name"]: each["value"] for each in get.get("httpHeaders", ())}
        try:
            connection.request("GET", get.get("path", "/"), headers=headers)
            return connection.getresponse().status in _OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _connects(self, port: int, timeout: float) -> bool:
        try:
            with closing(socket.create_connection((self._address, port), timeout=timeout)):
                return True
        except OSError:
            return False

    def _port(self, port: int | str) -> int:
        return port if isinstance(port, int) else self._ports[port]
