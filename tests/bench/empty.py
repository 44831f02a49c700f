"""A raw ASGI handler that allows everything, on the guard's own server.

Run as ``python -m tests.bench.empty CERT KEY``; the first line it prints is its address.

What is left between it and the guard is the guard's work: decoding, deciding, answering.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

import msgspec

from app.serving.server import Applications, Bound, run, serve
from app.serving.state import ServingState
from app.serving.tls import ServingCertificate
from app.settings.model import ListenSettings

_Message = MutableMapping[str, Any]


class _Request(msgspec.Struct):
    uid: str


class _Review(msgspec.Struct):
    request: _Request


_decode = msgspec.json.Decoder(_Review).decode


async def allow(
    scope: _Message, receive: Callable[[], Awaitable[_Message]], send: Callable[[_Message], Awaitable[None]]
) -> None:
    """Read the whole body, find its uid, and allow."""
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            break
    uid = _decode(body).request.uid
    answer = (
        '{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview",'
        f'"response":{{"uid":"{uid}","allowed":true}}}}'
    ).encode()
    length = str(len(answer)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", length)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


def _show(bound: Bound) -> None:
    print(f"https://127.0.0.1:{bound.port}/validate", flush=True)


def main() -> int:
    """Serve until a signal comes."""
    certificate = ServingCertificate(Path(sys.argv[1]), Path(sys.argv[2]))
    applications = Applications(allow, allow, ServingState())
    listen = ListenSettings(host="127.0.0.1", port=0, health_host="127.0.0.1", health_port=0)
    return run(serve(applications, certificate, listen, drain_seconds=0.0, on_started=_show))


if __name__ == "__main__":
    sys.exit(main())
