"""A process that serves as `netpol-guard serve` does, with a reviewer that does what each body asks for.

`python -m tests.serving.program HOST CERTIFICATE KEY OPTIONS-AS-JSON` prints its ports once it serves.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from app.deadline import TimeLimits
from app.errors import StartError
from app.logs import LogFormat, LogLevel, configure
from app.metrics import Metrics
from app.serving.application import create_app, create_health_app
from app.serving.endpoint import RequestLimits
from app.serving.reviews import Reply
from app.serving.server import Applications, Bound, run, serve
from app.serving.state import ServingState
from app.serving.tls import ServingCertificate
from app.settings.model import ListenSettings


class ObedientReviews:
    """Says what it was given; fails or takes its time where the body says so."""

    async def review(self, body: bytes, limits: TimeLimits, peer: str) -> Reply:
        """Do what ``{"do": ...}`` asks for."""
        asked = json.loads(body) if body.startswith(b"{") else {}
        if asked.get("do") == "fail":
            msg = "the reviewer fell over a secret"
            raise RuntimeError(msg)
        if asked.get("do") == "sleep":
            await asyncio.sleep(asked["seconds"])
        if asked.get("do") == "hold":
            while not Path(asked["until"]).exists():  # noqa: ASYNC240 - the event loop is to stand still
                time.sleep(0.001)  # noqa: ASYNC251
        answer = {
            "bytes": len(body),
            "computing": limits.computing,
            "reading": limits.reading,
            "uid": asked.get("uid"),
            "peer": peer,
        }
        last = (("connection", "close"),) if asked.get("do") == "close" else ()
        return Reply(200, json.dumps(answer).encode(), headers=(("x-reviewed", "yes"), *last))


class SwitchableReadiness:
    """Ready unless a file is there that says why not."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def reasons(self) -> tuple[str, ...]:
        """Return the lines of the file."""
        return tuple(self._path.read_text().splitlines()) if self._path.exists() else ()


def main(host: str, certificate: Path, key: Path, options: dict[str, float]) -> int:
    """Serve at ``host`` until a signal comes."""
    configure(LogLevel.INFO, LogFormat.JSON)
    drain_seconds = options.pop("drain_seconds", 0)
    limits = RequestLimits(
        body_bytes=int(options.pop("body_bytes", 8 * 1024 * 1024)),
        in_flight=int(options.pop("in_flight", 64)),
        **options,
    )
    metrics, state = Metrics(), ServingState()
    readiness = SwitchableReadiness(certificate.parent / "not-ready")
    applications = Applications(
        create_app(ObedientReviews(), limits=limits, metrics=metrics, state=state),
        create_health_app(readiness.reasons, metrics=metrics, state=state),
        state,
    )

    def started(bound: Bound) -> None:
        print(json.dumps([bound.port, bound.health_port]), flush=True)

    try:
        serving = ServingCertificate(
            certificate, key, lambda end: metrics.set_certificate_expiry(end.timestamp())
        )
        listen = ListenSettings(host=host, port=0, health_host=host, health_port=0)
        return run(serve(applications, serving, listen, drain_seconds=drain_seconds, on_started=started))
    except StartError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), json.loads(sys.argv[4])))
