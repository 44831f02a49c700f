from __future__ import annotations

import asyncio
import errno
import gc
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import StartError
from app.serving.server import KEEP_ALIVE_SECONDS, Applications, _bind, _server, serve
from app.serving.state import HELD_SECONDS, ServingState
from app.serving.tls import ServingCertificate
from app.serving.tuning import favour_requests_over_threads, settle
from app.settings.model import ListenSettings
from tests.serving.process import HOST, Files


@pytest.fixture
def files(tmp_path: Path) -> Files:
    made = Files(tmp_path)
    made.write_new()
    return made


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.create_server((HOST, 0)) as other:
        yield other.getsockname()[1]


@pytest.mark.parametrize("which", ["webhook", "health"])
def test_a_taken_port_is_named_with_its_address(files: Files, taken: int, which: str) -> None:
    ports = (taken, 0) if which == "webhook" else (0, taken)
    listen = ListenSettings(host=HOST, port=ports[0], health_host=HOST, health_port=ports[1])
    certificate = ServingCertificate(files.certificate, files.key)
    with pytest.raises(StartError, match=f"^cannot listen on {HOST}:{taken}: another process has it$"):
        asyncio.run(serve(Applications(None, None, ServingState()), certificate, listen, drain_seconds=0))


def test_an_address_that_is_not_of_this_machine_is_named() -> None:
    with pytest.raises(StartError, match=r"^cannot listen on 192\.0\.2\.1:8443: "):
        _bind("192.0.2.1", 8443)
    with pytest.raises(StartError, match=r"^cannot listen on no\.such\.host\.invalid:8443: "):
        _bind("no.such.host.invalid", 8443)


def test_two_colons_mean_both_families() -> None:
    with _bind("::", 0) as listening, socket.create_connection((HOST, listening.getsockname()[1])):
        assert listening.family is socket.AF_INET6


def test_on_a_machine_without_ipv6_they_mean_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket

    def without_ipv6(family: int = -1, *rest: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return real(family, *rest)

    monkeypatch.setattr(socket, "socket", without_ipv6)
    with _bind("::", 0) as listening:
        assert listening.getsockname()[0] == "0.0.0.0"  # noqa: S104 - it is what is expected


def test_connections_are_kept_longer_than_the_api_server_keeps_them_idle(files: Files) -> None:
    server = _server(None, ServingCertificate(files.certificate, files.key))
    assert server.config.timeout_keep_alive == KEEP_ALIVE_SECONDS > 90


@pytest.mark.parametrize(
    ("certificate", "key", "reason"),
    [
        ("tls.crt", "absent", "absent: No such file or directory"),
        ("empty", "tls.key", "not a PEM certificate with its unencrypted key"),
        ("tls.crt", "empty", "not a PEM certificate with its unencrypted key"),
        ("tls.crt", "other.key", "the key does not belong to the certificate"),
        ("tls.crt", "encrypted.key", "not a PEM certificate with its unencrypted key"),
    ],
)
def test_files_that_hold_no_certificate_are_refused_with_the_reason(
    files: Files, certificate: str, key: str, reason: str
) -> None:
    old = files.key.read_bytes()
    files.write_new()
    (files.folder / "other.key").write_bytes(old)
    (files.folder / "empty").touch()
    (files.folder / "encrypted.key").write_bytes(_encrypted(old))
    with pytest.raises(StartError, match=reason):
        ServingCertificate(files.folder / certificate, files.folder / key)


def _encrypted(key: bytes) -> bytes:
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415 - one test's tool
        BestAvailableEncryption,
        Encoding,
        PrivateFormat,
        load_pem_private_key,
    )

    return load_pem_private_key(key, None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password")
    )


def test_a_process_is_unready_until_started_and_again_while_draining() -> None:
    state = ServingState()
    assert state.reasons() == ("starting",)
    state.is_started = True
    assert state.reasons() == ()
    state.is_draining = True
    assert state.reasons() == ("draining: this process is about to end",)


def test_a_process_whose_reviews_stand_still_for_long_does_not_live(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    state = ServingState()
    assert state.held() is None
    state.pulse()
    now += HELD_SECONDS - 1
    assert state.held() is None
    now += 2
    assert state.held() == "reviews have been at a standstill for 21 s"
    state.pulse()
    assert state.held() is None


def test_settling_takes_what_is_alive_out_of_the_collectors_sight() -> None:
    before, interval = gc.get_threshold(), sys.getswitchinterval()
    frozen = gc.get_freeze_count()
    try:
        settle()
        favour_requests_over_threads()
        assert gc.get_freeze_count() > frozen
        assert gc.get_threshold()[0] > before[0]
        assert sys.getswitchinterval() < interval
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
        sys.setswitchinterval(interval)
