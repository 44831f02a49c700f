"""A certificate that is handed over while the server runs, as the guard's own is."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from app.certificates.expiry import UnreadableCertificate, Validity
from app.certificates.issue import issue_serving, make_authority
from app.certificates.pairs import Pair, fingerprint
from app.serving.tls import HandedCertificate

HOST = "127.0.0.1"
VALIDITY = Validity.lasting(timedelta(days=1), datetime.now(UTC))
AUTHORITY = make_authority("test CA", VALIDITY)
ONE, TWO = (issue_serving(AUTHORITY, (HOST, "guard.svc"), VALIDITY) for _ in range(2))


@contextmanager
def listening(certificate: HandedCertificate) -> Iterator[int]:
    """Answer handshakes on the port that is yielded, with the one context that a server is given."""
    loop = asyncio.new_event_loop()

    async def end_at_once(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def start() -> asyncio.Server:
        return await asyncio.start_server(end_at_once, HOST, 0, ssl=certificate.context)

    server = loop.run_until_complete(start())
    loop.set_exception_handler(lambda *_: None)  # a handshake that fails is what some tests want
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(server.close)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(server.wait_closed())
        loop.close()


def shown(port: int, name: str | None) -> str:
    """Return the fingerprint of the certificate that is shown to a client that asks for ``name``."""
    client = ssl.create_default_context(cadata=AUTHORITY.certificate.decode())
    client.check_hostname = name is not None
    with (
        socket.create_connection((HOST, port)) as raw,
        client.wrap_socket(raw, server_hostname=name) as connection,
    ):
        der = connection.getpeercert(binary_form=True)
        return fingerprint(ssl.DER_cert_to_PEM_cert(der or b"").encode())


def test_before_there_is_one_every_handshake_fails() -> None:
    with listening(HandedCertificate()) as port, pytest.raises(ssl.SSLError):
        shown(port, "guard.svc")


@pytest.mark.parametrize("name", ["guard.svc", None], ids=["by name", "without a name"])
def test_what_is_handed_over_is_shown_from_the_next_handshake_on(name: str | None) -> None:
    ends: list[datetime] = []
    certificate = HandedCertificate(ends.append)
    with listening(certificate) as port:
        for pair in (ONE, TWO, ONE):
            certificate.take(pair)
            assert shown(port, name) == fingerprint(pair.certificate)
    assert ends == [VALIDITY.end.replace(microsecond=0)] * 3


@pytest.mark.parametrize(
    ("pair", "error"),
    [
        (Pair(ONE.certificate, TWO.key), ssl.SSLError),
        (Pair(b"", ONE.key), ssl.SSLError),
        (Pair(b"-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n", ONE.key), OSError),
    ],
    ids=["another's key", "no certificate", "no base64"],
)
def test_what_cannot_be_served_leaves_the_last_one(pair: Pair, error: type[Exception]) -> None:
    certificate = HandedCertificate()
    certificate.take(ONE)
    with pytest.raises((error, UnreadableCertificate)):
        certificate.take(pair)
    with listening(certificate) as port:
        assert shown(port, "guard.svc") == fingerprint(ONE.certificate)
