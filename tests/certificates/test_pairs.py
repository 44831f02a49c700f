from __future__ import annotations

import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.certificates.expiry import Validity
from app.certificates.issue import make_authority
from app.certificates.keyfile import as_file
from app.certificates.pairs import bundle_of, certificates_in, fingerprint, fingerprints

VALIDITY = Validity.lasting(timedelta(days=9), datetime(2026, 3, 1, tzinfo=UTC))
ONE, TWO = (make_authority(name, VALIDITY) for name in ("one", "two"))


def test_a_bundle_has_each_certificate_once_in_the_order_of_its_first_mention() -> None:
    bundle = bundle_of((TWO.certificate, ONE.certificate, TWO.certificate + ONE.certificate))
    assert certificates_in(bundle) == (TWO.certificate, ONE.certificate)
    assert fingerprints(bundle) == (fingerprint(TWO.certificate), fingerprint(ONE.certificate))


def test_a_fingerprint_is_that_of_the_certificate_however_its_pem_is_laid_out() -> None:
    body = b"".join(ONE.certificate.splitlines()[1:-1])
    spread = b"-----BEGIN CERTIFICATE-----\n%b\n-----END CERTIFICATE-----" % body
    assert fingerprint(b"# a comment\n" + spread) == fingerprint(ONE.certificate)
    assert fingerprint(ONE.certificate) != fingerprint(TWO.certificate)


@pytest.mark.parametrize(
    "pem", [b"", b"nothing", b"-----BEGIN CERTIFICATE-----\nA\n-----END CERTIFICATE-----\n"]
)
def test_what_is_no_certificate_is_in_no_bundle(pem: bytes) -> None:
    assert certificates_in(pem) == ()
    assert fingerprint(pem) == ""
    assert bundle_of((pem, ONE.certificate)) == ONE.certificate


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_pair_is_a_file_only_while_it_is_loaded(
    monkeypatch: pytest.MonkeyPatch, *, in_memory: bool
) -> None:
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    elif not hasattr(os, "memfd_create"):
        pytest.skip("this system cannot keep a file in memory")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with as_file(ONE) as file:
        context.load_cert_chain(file)
    assert not Path(file).exists()
