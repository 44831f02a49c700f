from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from app.certificates.expiry import CLOCK_SKEW, Validity
from app.certificates.issue import issue_serving, make_authority
from app.certificates.pairs import Pair, UnusableAuthority

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
YEAR = Validity.lasting(timedelta(days=365), NOW)
MONTH = Validity.lasting(timedelta(days=30), NOW)


def _verified(serving: Pair, authority: Pair, host: str, at: datetime = NOW) -> None:
    store = Store([x509.load_pem_x509_certificate(authority.certificate)])
    verifier = PolicyBuilder().store(store).time(at).build_server_verifier(x509.DNSName(host))
    verifier.verify(x509.load_pem_x509_certificate(serving.certificate), [])


def test_a_serving_certificate_is_trusted_for_its_names_through_its_authority() -> None:
    authority = make_authority("test CA", YEAR)
    serving = issue_serving(authority, ("guard.guard.svc", "localhost"), MONTH)
    _verified(serving, authority, "guard.guard.svc")
    _verified(serving, authority, "localhost")


def test_a_serving_certificate_is_not_trusted_for_another_name() -> None:
    authority = make_authority("test CA", YEAR)
    serving = issue_serving(authority, ("guard.guard.svc",), MONTH)
    with pytest.raises(VerificationError):
        _verified(serving, authority, "other.guard.svc")


def test_a_serving_certificate_is_not_trusted_through_another_authority() -> None:
    serving = issue_serving(make_authority("test CA", YEAR), ("localhost",), MONTH)
    with pytest.raises(VerificationError):
        _verified(serving, make_authority("test CA", YEAR), "localhost")


def test_a_certificate_is_good_from_just_before_now_until_its_end() -> None:
    authority = make_authority("test CA", YEAR)
    serving = issue_serving(authority, ("localhost",), MONTH)
    _verified(serving, authority, "localhost", NOW - CLOCK_SKEW)
    _verified(serving, authority, "localhost", NOW + timedelta(days=30))
    for outside in (NOW - CLOCK_SKEW - timedelta(seconds=1), NOW + timedelta(days=30, seconds=1)):
        with pytest.raises(VerificationError):
            _verified(serving, authority, "localhost", outside)


def test_a_serving_certificate_never_outlives_its_authority() -> None:
    serving = issue_serving(make_authority("test CA", MONTH), ("localhost",), YEAR)
    assert x509.load_pem_x509_certificate(serving.certificate).not_valid_after_utc == MONTH.end


def test_addresses_become_address_names_and_not_host_names() -> None:
    serving = issue_serving(make_authority("test CA", YEAR), ("10.0.0.1", "fd00::1", "guard"), MONTH)
    names = x509.load_pem_x509_certificate(serving.certificate).extensions.get_extension_for_class(
        x509.SubjectAlternativeName
    )
    assert [str(address) for address in names.value.get_values_for_type(x509.IPAddress)] == [
        "10.0.0.1",
        "fd00::1",
    ]
    assert names.value.get_values_for_type(x509.DNSName) == ["guard"]


def test_a_serving_certificate_can_neither_sign_others_nor_be_used_by_a_client() -> None:
    serving = issue_serving(make_authority("test CA", YEAR), ("localhost",), MONTH)
    extensions = x509.load_pem_x509_certificate(serving.certificate).extensions
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]


def test_a_very_long_name_still_makes_a_certificate() -> None:
    host = ".".join(["a" * 40] * 4)
    authority = make_authority("test CA", YEAR)
    _verified(issue_serving(authority, (host,), MONTH), authority, host)


def test_the_key_never_shows_when_a_pair_is_printed() -> None:
    assert "PRIVATE" not in repr(make_authority("test CA", YEAR))


def test_a_pair_can_be_served_by_the_standard_library(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("tls")
    serving = issue_serving(make_authority("test CA", YEAR), ("localhost",), MONTH)
    (folder / "tls.crt").write_bytes(serving.certificate)
    (folder / "tls.key").write_bytes(serving.key)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(folder / "tls.crt", folder / "tls.key")


def test_what_cannot_be_signed_is_refused_with_a_reason() -> None:
    authority, other = make_authority("test CA", YEAR), make_authority("test CA", YEAR)
    with pytest.raises(ValueError, match="at least one name or address"):
        issue_serving(authority, (), MONTH)
    with pytest.raises(UnusableAuthority, match="does not belong to its certificate"):
        issue_serving(Pair(authority.certificate, other.key), ("localhost",), MONTH)
    with pytest.raises(UnusableAuthority, match="cannot be read"):
        issue_serving(Pair(b"no certificate", authority.key), ("localhost",), MONTH)
    with pytest.raises(ValueError, match="time zone"):
        Validity.lasting(timedelta(days=1), datetime(2026, 3, 1))  # noqa: DTZ001 - what is refused
