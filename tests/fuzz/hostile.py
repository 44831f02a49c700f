"""Ways to misuse HTTP on a connection, each with the answers that are right for it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

MEBIBYTE = 1024 * 1024
CLOSED = 0
"""Instead of a status: the server ended the connection without an answer."""

Connection = ssl.SSLSocket


@dataclass(frozen=True, slots=True)
class Misuse:
    """What is sent, and which statuses may come back."""

    name: str
    send: Callable[[Connection, bytes], None]
    answers: frozenset[int]


def _head(length: object, *more: str, media_type: str = "application/json") -> bytes:
    lines = [
        "POST /validate?timeout=5s HTTP/1.1",
        "Host: guard",
        f"Content-Type: {media_type}",
        f"Content-Length: {length}",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _wrong_media_type(connection: Connection, body: bytes) -> None:
    connection.sendall(_head(len(body), media_type="text/yaml") + body)


def _too_large(connection: Connection, body: bytes) -> None:  # noqa: ARG001 - one signature for all
    connection.sendall(_head(9 * MEBIBYTE))


def _too_large_in_chunks(connection: Connection, body: bytes) -> None:  # noqa: ARG001 - as above
    head = _head(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    connection.sendall(head)
    chunk = b"100000\r\n" + b" " * MEBIBYTE + b"\r\n"
    for _ in range(9):
        connection.sendall(chunk)
    connection.sendall(b"0\r\n\r\n")


def _half_a_body(connection: Connection, body: bytes) -> None:
    connection.sendall(_head(len(body)) + body[: len(body) // 2])
    connection.shutdown(socket.SHUT_WR)


def _half_a_head(connection: Connection, body: bytes) -> None:
    connection.sendall(_head(len(body))[:40])
    connection.shutdown(socket.SHUT_WR)


def _shorter_than_the_body(connection: Connection, body: bytes) -> None:
    connection.sendall(_head(len(body) - 10) + body)


def _longer_than_the_body(connection: Connection, body: bytes) -> None:
    connection.sendall(_head(len(body) + 10) + body)


def _negative_length(connection: Connection, body: bytes) -> None:
    connection.sendall(_head(-1) + body)


def _length_no_number(connection: Connection, body: bytes) -> None:
    connection.sendall(_head("many") + body)


def _two_lengths(connection: Connection, body: bytes) -> None:
    connection.sendall(_head(len(body), "Content-Length: 3") + body)


def _length_and_chunks(connection: Connection, body: bytes) -> None:
    connection.sendall(_head(len(body), "Transfer-Encoding: chunked") + b"5\r\n{}   \r\n0\r\n\r\n")


def _bad_chunk(connection: Connection, body: bytes) -> None:  # noqa: ARG001 - as above
    head = _head(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    connection.sendall(head + b"zz\r\nnonsense\r\n")


def _no_length(connection: Connection, body: bytes) -> None:
    head = _head(len(body)).replace(f"Content-Length: {len(body)}\r\n".encode(), b"")
    connection.sendall(head + body)


def _another_method(connection: Connection, body: bytes) -> None:
    connection.sendall(_head(len(body)).replace(b"POST", b"DELETE") + body)


def _another_path(connection: Connection, body: bytes) -> None:
    connection.sendall(_head(len(body)).replace(b"/validate", b"/../../etc/passwd") + body)


def _huge_header(connection: Connection, body: bytes) -> None:
    connection.sendall(_head(len(body), f"X-Long: {'x' * 300_000}") + body)


def _odd_header(connection: Connection, body: bytes) -> None:
    connection.sendall(_head(len(body), "X-\x00: \x01\xff", "no colon") + body)


def _odd_timeout(connection: Connection, body: bytes) -> None:
    connection.sendall(_head(len(body)).replace(b"timeout=5s", b"timeout=%ff%00-1e9h&timeout=") + body)


def _no_http(connection: Connection, body: bytes) -> None:
    connection.sendall(b"\x16\x03\x01\x02\x00" + body[:50] + b"\r\n\r\n")


def _expecting_to_continue(connection: Connection, body: bytes) -> None:
    connection.sendall(_head(len(body), "Expect: 100-continue") + body)


def _two_at_once(connection: Connection, body: bytes) -> None:
    connection.sendall(2 * (_head(len(body)) + body))


def _slow_body(connection: Connection, body: bytes) -> None:
    connection.sendall(_head(len(body)) + body[: len(body) // 2])


_REFUSED = frozenset({400, 408, 411, 413, 415, 431, CLOSED})
MISUSES = (
    Misuse("a media type that is no JSON", _wrong_media_type, frozenset({415})),
    Misuse("a body that says it is too large", _too_large, frozenset({413})),
    Misuse("a body that turns out to be too large", _too_large_in_chunks, frozenset({413})),
    Misuse("half a body", _half_a_body, _REFUSED),
    Misuse("half a head", _half_a_head, _REFUSED),
    Misuse("a length shorter than the body", _shorter_than_the_body, _REFUSED),
    Misuse("a length longer than the body", _longer_than_the_body, frozenset({408})),
    Misuse("a negative length", _negative_length, _REFUSED),
    Misuse("a length that is no number", _length_no_number, _REFUSED),
    Misuse("two lengths", _two_lengths, _REFUSED),
    Misuse("a length beside chunks", _length_and_chunks, _REFUSED | {422}),
    Misuse("a chunk that is none", _bad_chunk, _REFUSED),
    Misuse("neither length nor chunks", _no_length, _REFUSED),
    Misuse("another method", _another_method, frozenset({405})),
    Misuse("another path", _another_path, frozenset({404})),
    Misuse("a huge header", _huge_header, _REFUSED | {200}),
    Misuse("an odd header", _odd_header, _REFUSED),
    Misuse("an odd timeout", _odd_timeout, frozenset({200})),
    Misuse("no HTTP at all", _no_http, _REFUSED),
    Misuse("a client that waits to continue", _expecting_to_continue, frozenset({100, 200})),
    Misuse("two requests at once", _two_at_once, frozenset({200})),
    Misuse("a body that never ends", _slow_body, frozenset({408})),
)
