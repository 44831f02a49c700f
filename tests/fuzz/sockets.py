"""Mutated reviews and misused HTTP over real connections to the real process.

``python -m tests.fuzz.sockets 100000 [SEED]``: TLS, a directory of manifests as state, several clients.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from threading import Lock
from time import perf_counter
from urllib.parse import urlsplit

from app.serving.reviews import Reply
from tests.admission.world import baselines, rendered, request
from tests.fuzz.hostile import CLOSED, MISUSES, Misuse
from tests.fuzz.mutations import mutate, review, valid_reviews
from tests.fuzz.reviews import Findings, defect
from tests.integration.guard import guard_process
from tests.serving.process import Files

SAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "sample"
CLIENTS = 4
HANG_SECONDS = 20.0
"""No answer may take longer: a body that never ends is given up after ten seconds."""
_PROGRESS = 5_000
_EVERY = 25
"""After so many reviews a client checks that a valid one is served."""
_RETRY = "Retry-After"


@dataclass(frozen=True, slots=True)
class Server:
    """Where the process listens, and whom to trust."""

    port: int
    tls: ssl.SSLContext

    def client(self) -> http.client.HTTPSConnection:
        """Return a client that keeps its connection."""
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=HANG_SECONDS, context=self.tls)

    @contextmanager
    def raw(self) -> Iterator[ssl.SSLSocket]:
        """Open a connection that says whatever one wants."""
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=HANG_SECONDS)
        with self.tls.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
            yield connection


@contextmanager
def running_server() -> Iterator[Server]:
    """Run the process with the sample cluster as its state."""
    with tempfile.TemporaryDirectory(prefix="netpol-guard-fuzz-") as name:
        files = Files(Path(name))
        files.write_new()
        settings = {
            "state": {"directory": str(SAMPLE)},
            "tls": {"certFile": str(files.certificate), "keyFile": str(files.key)},
        }
        with guard_process(files.folder, settings) as guard:
            port = urlsplit(guard.url).port or 0
            trusted = ssl.create_default_context(cadata=files.authority.certificate.decode())
            yield Server(port, trusted)


def _valid_body() -> bytes:
    harmless = rendered(baselines()[0])
    return json.dumps(review(request("UPDATE", harmless, harmless))).encode()


class _Client:
    """One connection at a time, opened again where the server ended it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection = server.client()

    def ask(self, body: bytes) -> tuple[Reply, str]:
        """Return the answer, and its ``Retry-After``. Raises OSError or HTTPException where there is none."""
        try:
            self._connection.request(
                "POST", "/validate?timeout=5s", body, {"Content-Type": "application/json"}
            )
            answer = self._connection.getresponse()
            return Reply(answer.status, answer.read()), answer.headers.get(_RETRY, "")
        except (OSError, http.client.HTTPException):
            self.close()
            self._connection = self._server.client()
            raise

    def is_served(self, body: bytes) -> bool:
        """Tell whether a valid review is answered."""
        reply, _ = self.ask(body)
        return reply.status == 200 and "allowed" in json.loads(reply.body)["response"]

    def close(self) -> None:
        self._connection.close()


class SocketFuzz:
    """A run: what came back, from all clients together."""

    def __init__(self, server: Server, seed: int) -> None:
        self.found = Findings()
        self._server = server
        self._seed = seed
        self._valid = _valid_body()
        self._lock = Lock()
        self._done = 0

    def run(self, count: int) -> Findings:
        """Send ``count`` mutated reviews, and beside them every misuse of HTTP; return what was wrong."""
        with ThreadPoolExecutor(CLIENTS + 1) as threads:
            shares = [threads.submit(self._reviews, index, count) for index in range(CLIENTS)]
            shares.append(threads.submit(self._misuses))
            for share in shares:
                share.result()
        return self.found

    def _reviews(self, index: int, count: int) -> None:
        chance, client = Random(self._seed * 1_000 + index), _Client(self._server)
        valid = valid_reviews(chance)
        for number in range(index, count, CLIENTS):
            mutation, body = mutate(chance, chance.choice(valid))
            self._try(client, mutation, body)
            if number // CLIENTS % _EVERY == 0 and not client.is_served(self._valid):
                self._fail("the next valid review was not served", mutation, body)
        client.close()

    def _try(self, client: _Client, mutation: str, body: bytes) -> None:
        began = perf_counter()
        try:
            reply, retry = client.ask(body)
        except (OSError, http.client.HTTPException) as error:
            self._fail(f"no answer: {type(error).__name__} {error}", mutation, body)
            return
        seconds = perf_counter() - began
        overloaded = reply.status == 503 and bool(retry)
        wrong = "" if overloaded else defect(reply, body)
        with self._lock:
            self.found.answers[mutation, reply.status] += 1
            self._done += 1
            if seconds > self.found.slowest_seconds:
                self.found.slowest_seconds, self.found.slowest = seconds, f"{mutation}, {len(body):,} bytes"
            if self._done % _PROGRESS == 0:
                print(f"  {self._done:,} answered, {self.found.failed} wrong", file=sys.stderr, flush=True)
        if wrong:
            self._fail(wrong, mutation, body)

    def _misuses(self) -> None:
        with ThreadPoolExecutor(CLIENTS) as threads:
            list(threads.map(self._misuse, MISUSES))

    def _misuse(self, misuse: Misuse) -> None:
        client = _Client(self._server)
        status = _status_of(self._server, misuse, self._valid)
        with self._lock:
            self.found.answers[misuse.name, status] += 1
        if status not in misuse.answers:
            self._fail(f"status {status}, not one of {sorted(misuse.answers)}", misuse.name, b"")
        if not client.is_served(self._valid):
            self._fail("the next valid review was not served", misuse.name, b"")
        client.close()

    def _fail(self, what: str, mutation: str, body: bytes) -> None:
        with self._lock:
            self.found.fail(what, mutation, body)


def _status_of(server: Server, misuse: Misuse, body: bytes) -> int:
    """Return the status of the answer, ``CLOSED`` where the server just ends the connection."""
    with server.raw() as connection:
        # The server may have heard enough, and answered, before all is sent.
        with suppress(BrokenPipeError, ConnectionResetError, ssl.SSLError):
            misuse.send(connection, body)
        try:
            first = connection.recv(4_096)
        except (ConnectionResetError, ssl.SSLError):
            return CLOSED
    words = first.split(b" ", 2)
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else CLOSED


def fuzz_sockets(count: int, seed: int) -> Findings:
    """Return what ``count`` mutated reviews and every misuse of HTTP led to."""
    with running_server() as server:
        return SocketFuzz(server, seed).run(count)


def main() -> int:
    """Fuzz as often as the command line says; return 1 if anything was wrong."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    began = perf_counter()
    found = fuzz_sockets(count, seed)
    mutated = Counter[int]()
    names = {misuse.name for misuse in MISUSES}
    for (name, status), times in sorted(found.answers.items()):
        if name in names:
            print(f"{name:40}{status or 'connection ended':>6}")
        else:
            mutated[status] += times
    print(f"mutated reviews by status: {dict(sorted(mutated.items()))}")
    seconds = perf_counter() - began
    print(f"{count:,} reviews, {len(MISUSES)} misuses in {seconds:.0f} s (seed {seed}), {found.failed} wrong")
    print(f"longest wait of a review {found.slowest_seconds:.2f} s ({found.slowest})")
    for failure in found.failures:
        print(failure)
    return 1 if found.failed else 0


if __name__ == "__main__":
    sys.exit(main())
