from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from app.certificates.expiry import UnreadableCertificate, Validity, validity_of
from app.certificates.issue import issue_serving, make_authority

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PEM = make_authority("test CA", Validity.lasting(timedelta(days=365), NOW)).certificate


@pytest.mark.parametrize(
    "end", [NOW, datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2050, 1, 1, tzinfo=UTC)]
)
def test_the_end_is_read_in_both_spellings_of_time(end: datetime) -> None:
    pem = make_authority("test CA", Validity(NOW - timedelta(days=9), end)).certificate
    assert validity_of(pem) == Validity(NOW - timedelta(days=9), end)
    assert end == x509.load_pem_x509_certificate(pem).not_valid_after_utc


def test_the_end_of_a_serving_certificate_is_read_and_not_that_of_its_authority() -> None:
    authority = make_authority("test CA", Validity.lasting(timedelta(days=365), NOW))
    serving = issue_serving(authority, ("localhost",), Validity.lasting(timedelta(days=30), NOW))
    assert validity_of(serving.certificate + authority.certificate).end == NOW + timedelta(days=30)


@pytest.mark.parametrize(
    "pem",
    [b"", b"nothing", PEM[:100], PEM.replace(b"BEGIN", b"START"), b"-----END CERTIFICATE-----" + PEM[:60]],
    ids=["empty", "a word", "cut off", "no beginning", "end first"],
)
def test_bytes_that_are_no_certificate_are_refused(pem: bytes) -> None:
    with pytest.raises(UnreadableCertificate):
        validity_of(pem)


@given(st.data())
def test_a_damaged_certificate_is_refused_or_read_but_nothing_else_happens(data: st.DataObject) -> None:
    der = bytearray(base64.b64decode(b"".join(PEM.splitlines()[1:-1])))
    place = data.draw(st.integers(0, len(der) - 1))
    der[place] = data.draw(st.integers(0, 255))
    cut = der[: data.draw(st.integers(1, len(der)))]
    pem = b"-----BEGIN CERTIFICATE-----\n" + base64.b64encode(cut) + b"\n-----END CERTIFICATE-----\n"
    try:
        found = validity_of(pem)
    except UnreadableCertificate:
        return
    assert found.start.tzinfo is UTC is found.end.tzinfo
