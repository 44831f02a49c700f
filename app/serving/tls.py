"""The serving certificate: loaded once, and again whenever its files change, without losing a connection."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from app.certificates.expiry import UnreadableCertificate, not_after
from app.errors import StartError
from app.logs import EventLog

# Forward secrecy and authenticated encryption only; TLS 1.3 brings its own list.
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"

_LOG = EventLog("app.serving.tls")
_Stamp = tuple[tuple[int, int, int], ...]


class ServingCertificate:
    """A certificate and its key from two files; ``context`` always serves the newest that could be loaded.

    Raises ``StartError`` where they cannot be loaded at first. A later pair that cannot be loaded (a key
    that is written a moment after its certificate, say) leaves the last good one in use.
    """

    def __init__(
        self, certificate: Path, key: Path, on_loaded: Callable[[datetime], None] = lambda _: None
    ) -> None:
        self._certificate = certificate
        self._key = key
        self._on_loaded = on_loaded
        self._seen: _Stamp | None = None
        try:
            self._seen = self._stamp()
            self.context = self._newest = self._load()
        except (OSError, UnreadableCertificate) as error:
            raise StartError(f"the serving certificate cannot be used: {self._reason(error)}") from error
        # The context itself stays, for the listening socket has it; each handshake takes over the newest.
        # That changes certificate and key in one step, where loading into a live context does it in two.
        self.context.sni_callback = self._hand_over

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
            self._newest = self._load()
        except (OSError, UnreadableCertificate) as error:
            _LOG.warning("serving certificate not reloaded, the last one stays", reason=self._reason(error))

    def _stamp(self) -> _Stamp:
        stats = [path.stat() for path in (self._certificate, self._key)]
        return tuple((stat.st_mtime_ns, stat.st_ino, stat.st_size) for stat in stats)

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(CIPHERS)
        context.set_alpn_protocols(["http/1.1"])
        context.options |= ssl.OP_NO_RENEGOTIATION
        # Without a password at hand OpenSSL would ask for one on the terminal.
        context.load_cert_chain(self._certificate, self._key, password="")
        end = not_after(self._certificate.read_bytes())
        if end <= datetime.now(UTC):
            _LOG.warning("serving certificate has ended", path=str(self._certificate), end=end.isoformat())
        _LOG.info("serving certificate loaded", path=str(self._certificate), end=end.isoformat())
        self._on_loaded(end)
        return context

    def _hand_over(self, handshake: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        if self._newest is not self.context:
            handshake.context = self._newest

    def _reason(self, error: Exception) -> str:
        if isinstance(error, ssl.SSLError):
            what = "the key does not belong to the certificate"
            if error.reason != "KEY_VALUES_MISMATCH":
                what = f"not a PEM certificate with its unencrypted key ({error.reason or error})"
            return f"{self._certificate}, {self._key}: {what}"
        if isinstance(error, OSError):
            return f"{error.filename or self._certificate}: {error.strerror or error}"
        return f"{self._certificate}: {error}"
