"""``netpol-guard serve``: settings, certificate, server."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

from app import logs
from app.cli.wiring import run_webhook
from app.errors import SettingsError
from app.serving.server import Bound, run
from app.settings.load import load
from app.settings.model import Settings

SAMPLE = Path(__file__).parents[2] / "deploy" / "sample"


def serve_command(config: Path | None, state: Path | None, *, embedded: bool, once: bool) -> int:
    """Serve until a signal comes; return the exit code. Raises ``GuardError``."""
    settings = load(config)
    if embedded:
        return _serve_embedded(settings, state or SAMPLE, once=once)
    logs.configure(settings.log.level, settings.log.format)
    if state is not None:
        settings = _with_state(settings, state)
    tls = settings.tls
    if tls.cert_file is None or tls.key_file is None:
        raise SettingsError("tls.certFile and tls.keyFile: required; `serve --embedded` makes its own")
    return run(run_webhook(settings, (tls.cert_file, tls.key_file)))


def _with_state(settings: Settings, folder: Path) -> Settings:
    return settings.model_copy(
        update={"state": settings.state.model_copy(update={"directory": folder, "kubeconfig": None})}
    )


def _serve_embedded(settings: Settings, folder: Path, *, once: bool) -> int:
    """Serve the sample cluster on localhost, and show a few changes with their verdicts."""
    from app.cli.embedded import own_certificate, show_changes

    logs.configure(logs.LogLevel.WARNING, logs.LogFormat.TEXT)
    listen = settings.listen.model_copy(update={"host": "127.0.0.1", "health_host": "127.0.0.1"})
    settings = _with_state(settings.model_copy(update={"listen": listen, "drain_seconds": 0.0}), folder)
    with TemporaryDirectory(prefix="netpol-guard-") as temporary:
        certificate, key, authority = own_certificate(Path(temporary))

        def started(bound: Bound) -> None:
            def show() -> None:
                try:
                    show_changes(bound.port, authority)
                finally:
                    if once:
                        os.kill(os.getpid(), signal.SIGTERM)

            threading.Thread(target=show, daemon=True).start()

        return run(run_webhook(settings, (certificate, key), started))
