"""The serving certificate, exchanged for a newer one without a restart and without losing a connection."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from app.certificates.expiry import UnreadableCertificate, validity_of
from app.certificates.keyfile import as_file
from app.certificates.pairs import Pair
from app.errors import StartError
from app.logs import EventLog

# Forward secrecy and authenticated encryption only; TLS 1.3 brings its own list.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"

_LOG = EventLog("app.serving.tls")
_Stamp = tuple[tuple[int, int, int], ...]
OnLoaded = Callable[[datetime], None]
"""Told when a certificate that was just loaded ends."""


class Handshakes(Protocol):
    """What the server needs of a certificate."""

    context: ssl.SSLContext
    """The listening socket's; it never changes, and serves the newest certificate all the same."""

    async def watch(self) -> None:
        """Keep the certificate up to date for ever."""
        ...


class _Handover:
    """A context whose handshakes take over the newest one there is.

    That changes certificate and key in one step, where loading into a live context does it in two.
    """

    def __init__(self, first: ssl.SSLContext, on_loaded: OnLoaded) -> None:
        self.context = self._newest = first
        self._on_loaded = on_loaded
        self.context.sni_callback = self._hand_over

    def _exchange(self, newer: ssl.SSLContext, certificate: bytes, origin: str) -> None:
        """Serve ``newer`` from now on. Raises ``UnreadableCertificate``, and goes on with the last one."""
        end = validity_of(certificate).end
        if end <= datetime.now(UTC):
            _LOG.warning("serving certificate has ended", path=origin, end=end.isoformat())
        self._newest = newer
        _LOG.info("serving certificate loaded", path=origin, end=end.isoformat())
        self._on_loaded(end)

    def _hand_over(self, handshake: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        if self._newest is not self.context:
            handshake.context = self._newest


class ServingCertificate(_Handover):
    """A certificate and its key from two files.

    Raises ``StartError`` where they cannot be loaded at first. A later pair that cannot be loaded (a key
    that is written a moment after its certificate, say) leaves the last good one in use.
    """

    def __init__(self, certificate: Path, key: Path, on_loaded: OnLoaded = lambda _: None) -> None:
        self._certificate = certificate
        self._key = key
        try:
            self._seen = self._stamp()
            loaded = _server_context(certificate, key)
            super().__init__(loaded, on_loaded)
            self._exchange(loaded, certificate.read_bytes(), str(certificate))
        except (OSError, UnreadableCertificate) as error:
            raise StartError(f"the serving certificate cannot be used: {self._reason(error)}") from error

    async def watch(self, interval_seconds: float = 2.0) -> None:
        """Look for changes for ever; mounted Secrets and files written in place both show in their stamps."""
        while True:
            await asyncio.sleep(interval_seconds)
            self.reload_if_changed()

    def reload_if_changed(self) -> None:
        """Load the files if they are not those that were last looked at."""
        try:
            stamp = self._stamp()
            if stamp == self._seen:
                return
            self._seen = stamp
            newer = _server_context(self._certificate, self._key)
            self._exchange(newer, self._certificate.read_bytes(), str(self._certificate))
        except (OSError, UnreadableCertificate) as error:
            _LOG.warning("serving certificate not reloaded, the last one stays", reason=self._reason(error))

    def _stamp(self) -> _Stamp:
        stats = [path.stat() for path in (self._certificate, self._key)]
        return tuple((stat.st_mtime_ns, stat.st_ino, stat.st_size) for stat in stats)

    def _reason(self, error: Exception) -> str:
        if isinstance(error, ssl.SSLError):
            what = "the key does not belong to the certificate"
            if error.reason != "KEY_VALUES_MISMATCH":
                what = f"not a PEM certificate with its unencrypted key ({error.reason or error})"
            return f"{self._certificate}, {self._key}: {what}"
        if isinstance(error, OSError):
            return f"{error.filename or self._certificate}: {error.strerror or error}"
        return f"{self._certificate}: {error}"


class HandedCertificate(_Handover):
    """A certificate that somebody hands over, now or later; until then every handshake fails."""

    def __init__(self, on_loaded: OnLoaded = lambda _: None) -> None:
        super().__init__(_bare_context(), on_loaded)

    def take(self, pair: Pair) -> None:
        """Serve ``pair`` from the next handshake on; from any thread.

        Raises ``OSError`` or ``UnreadableCertificate`` where it cannot be served; the last one then stays.
        """
        with as_file(pair) as file:
            newer = _server_context(file, file)
        self._exchange(newer, pair.certificate, "handed over")

    async def watch(self) -> None:
        """Do nothing: whoever hands over does so by himself."""
        await asyncio.Event().wait()


def _bare_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


def _server_context(certificate: Path | str, key: Path | str) -> ssl.SSLContext:
    context = _bare_context()
    # Without a password at hand OpenSSL would ask for one on the terminal.
    context.load_cert_chain(certificate, key, password="")
    return context
