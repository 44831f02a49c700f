"""``netpol-guard serve``: settings, certificate, server."""

from __future__ import annotations

import os
import signal
import socket
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.group import Example
from app.errors import SettingsError
from app.shipped import SAMPLE

if TYPE_CHECKING:
    from app.serving.server import Bound
    from app.settings.model import Settings

_LOCAL = "127.0.0.1"
EXAMPLES: tuple[Example, ...] = (
    ("A sample cluster on localhost, with a few changes and their verdicts", "netpol-guard serve --embedded"),
    (
        "The live cluster: in-cluster, or by the user's kubeconfig",
        "netpol-guard serve --config /etc/netpol-guard/settings.yaml",
    ),
    (
        "A folder of manifests; settings by environment",
        "NETPOL_GUARD_MODE=warn netpol-guard serve --state ./manifests",
    ),
)


def command(
    config: Annotated[Path | None, typer.Option(help="Settings, a YAML file.")] = None,
    state: Annotated[
        Path | None, typer.Option(help="Judge by the manifests in this folder, not by a cluster.")
    ] = None,
    *,
    embedded: Annotated[
        bool, typer.Option("--embedded", help="Sample cluster, own certificate, a few changes shown.")
    ] = False,
    once: Annotated[
        bool, typer.Option("--once", help="With --embedded: end after the changes were shown.")
    ] = False,
) -> int:
    """Serve the admission webhook.

    POST /validate over TLS; health and metrics on a port of their own.
    """
    from app import logs
    from app.serving.server import run
    from app.settings.load import load
    from app.webhook.wiring import is_in_pod, run_webhook

    settings = load(config)
    if embedded:
        return _serve_embedded(settings, state or SAMPLE, once=once)
    logs.configure(settings.log.level, settings.log.format)
    if state is not None:
        settings = _with_state(settings, state)
    tls = settings.tls
    if tls.cert_file is not None and tls.key_file is not None:
        return run(run_webhook(settings, (tls.cert_file, tls.key_file)))
    if not is_in_pod(settings):
        raise SettingsError(
            "tls.certFile and tls.keyFile: required outside a cluster; `serve --embedded` makes its own"
        )
    return run(run_webhook(settings, None))


def _free(port: int) -> int:
    """Return ``port``, or 0, which is any free one, where somebody has it: a demonstration shall not fail."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOCAL, port))
        except OSError:
            return 0
    return port


def _with_state(settings: Settings, folder: Path) -> Settings:
    return settings.model_copy(
        update={"state": settings.state.model_copy(update={"directory": folder, "kubeconfig": None})}
    )


def _serve_embedded(settings: Settings, folder: Path, *, once: bool) -> int:
    """Serve the sample cluster on localhost, and show a few changes with their verdicts."""
    from app import logs
    from app.serving.server import run
    from app.webhook.demo import from_here, own_certificate, show_changes
    from app.webhook.wiring import run_webhook

    logs.configure(logs.LogLevel.WARNING, logs.LogFormat.TEXT)
    listen = settings.listen
    ports = {"port": _free(listen.port), "health_port": _free(listen.health_port)}
    listen = listen.model_copy(update={"host": _LOCAL, "health_host": _LOCAL, **ports})
    settings = _with_state(settings.model_copy(update={"listen": listen, "drain_seconds": 0.0}), folder)
    with TemporaryDirectory(prefix="netpol-guard-") as temporary:
        certificate, key, authority = own_certificate(Path(temporary))

        def started(bound: Bound) -> None:
            def show() -> None:
                try:
                    show_changes(bound.port, authority, from_here(folder))
                finally:
                    if once:
                        os.kill(os.getpid(), signal.SIGTERM)

            threading.Thread(target=show, daemon=True).start()

        return run(run_webhook(settings, (certificate, key), started))
