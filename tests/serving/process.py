"""Starting `tests.serving.program` and talking to it, as the API server, the kubelet and bad clients do."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from app.certificates.expiry import Validity
from app.certificates.issue import issue_serving, make_authority
from app.certificates.pairs import Pair

HOST = "127.0.0.1"
PATIENCE_SECONDS = 20
JSON_TYPE = {"content-type": "application/json"}


@dataclass(frozen=True)
class Files:
    """An authority, and the serving certificate's two files in a folder."""

    folder: Path
    authority: Pair = field(default_factory=lambda: make_authority("test CA", _validity()))

    @property
    def certificate(self) -> Path:
        """The certificate's file."""
        return self.folder / "tls.crt"

    @property
    def key(self) -> Path:
        """The key's file."""
        return self.folder / "tls.key"

    def write_new(self) -> Pair:
        """Write a new certificate and key over the old ones."""
        pair = issue_serving(self.authority, (HOST, "::1", "localhost"), _validity())
        self.certificate.write_bytes(pair.certificate)
        self.key.write_bytes(pair.key)
        return pair


def _validity() -> Validity:
    return Validity.lasting(timedelta(days=2), datetime.now(UTC))


@dataclass(frozen=True)
class Served:
    """A running process and how to reach it."""

    process: subprocess.Popen[str]
    files: Files
    port: int
    health_port: int
    log: Path

    def trust(self) -> ssl.SSLContext:
        """Return a client's context that trusts the authority."""
        return ssl.create_default_context(cadata=self.files.authority.certificate.decode())

    def client(self) -> httpx.Client:
        """Return a client of the webhook that keeps its connection."""
        return httpx.Client(base_url=f"https://{HOST}:{self.port}", verify=self.trust(), timeout=30)

    def post(self, body: object, query: str = "") -> httpx.Response:
        """Post one review on a connection of its own."""
        with self.client() as client:
            return client.post(f"/validate{query}", json=body)

    def health(self, path: str) -> httpx.Response:
        """Get one of the health pages."""
        return httpx.get(f"http://{HOST}:{self.health_port}{path}", timeout=30)

    @contextmanager
    def raw(self) -> Iterator[ssl.SSLSocket]:
        """Open a connection that says whatever one wants."""
        plain = socket.create_connection((HOST, self.port), timeout=30)
        with self.trust().wrap_socket(plain, server_hostname=HOST) as connection:
            yield connection

    def logged(self) -> list[dict[str, object]]:
        """Return the lines of the log."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@contextmanager
def served(folder: Path, host: str = HOST, **options: float) -> Iterator[Served]:
    """Run the program, and end it if the test did not."""
    files = Files(folder)
    files.write_new()
    log = folder / "log"
    command = [
        sys.executable,
        "-m",
        "tests.serving.program",
        host,
        str(files.certificate),
        str(files.key),
        json.dumps(options),
    ]
    with (
        log.open("w") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, log.read_text()
            port, health_port = json.loads(line)
            yield Served(process, files, port, health_port, log)
        finally:
            process.kill()


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds, and fail if it does not within a generous time."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)
