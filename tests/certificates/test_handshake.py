from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.certificates.expiry import Validity
from app.certificates.handshake import rejection
from app.certificates.issue import issue_serving, make_authority
from app.certificates.pairs import Pair

LONG_AGO = Validity.lasting(timedelta(days=9), datetime(2020, 3, 1, tzinfo=UTC))
AUTHORITY, OTHER = make_authority("one", LONG_AGO), make_authority("two", LONG_AGO)
HOST = "netpol-guard.netpol-guard.svc"
SERVING = issue_serving(AUTHORITY, (HOST,), LONG_AGO)


def test_a_certificate_is_accepted_by_whoever_trusts_its_authority_among_others() -> None:
    both = OTHER.certificate + AUTHORITY.certificate
    assert rejection(SERVING, both, HOST) is None


@pytest.mark.parametrize(
    ("pair", "bundle", "host", "reason"),
    [
        (SERVING, OTHER.certificate, HOST, "unable to get local issuer certificate"),
        (SERVING, b"", HOST, "unable to get local issuer certificate"),
        (SERVING, AUTHORITY.certificate, "other.svc", "Hostname mismatch"),
        (Pair(SERVING.certificate, OTHER.key), AUTHORITY.certificate, HOST, "values mismatch"),
        (Pair(b"none", b"none"), AUTHORITY.certificate, HOST, "PEM"),
    ],
    ids=["another authority", "no authority", "another name", "another key", "no certificate"],
)
def test_a_certificate_is_rejected_with_the_reason(pair: Pair, bundle: bytes, host: str, reason: str) -> None:
    assert reason.lower().replace(" ", "_") in (rejection(pair, bundle, host) or "").lower().replace(" ", "_")
