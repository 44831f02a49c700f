"""Certificates with their keys, and bundles of certificates, as PEM: read and told apart, nothing more.

No cryptography library is loaded for it: a replica reads certificates every few seconds, and issues one every
few months.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
_FINGERPRINT_LENGTH = 32


class UnusableAuthority(ValueError):  # noqa: N818 - reads as what it is: an unusable authority
    """The PEM given as an authority is none, or of no use any more; the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate (with its chain, if it has one) and its private key, both PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


def fingerprint(pem: bytes) -> str:
    """Return the fingerprint of the first certificate in ``pem``, "" where there is none.

    It is that of the certificate itself, however its PEM is laid out: half of its SHA-256, in hexadecimal.
    """
    found = fingerprints(pem)
    return found[0] if found else ""


def fingerprints(bundle: bytes) -> tuple[str, ...]:
    """Return the fingerprints of all certificates in ``bundle``, in their order."""
    return tuple(_digest(certificate) for certificate in certificates_in(bundle))


def certificates_in(bundle: bytes) -> tuple[bytes, ...]:
    """Return each certificate in ``bundle`` as PEM of its own; what cannot be one is left out."""
    return tuple(found[0] + b"\n" for found in _CERTIFICATE.finditer(bundle) if _der(found[1]))


def bundle_of(certificates: Iterable[bytes]) -> bytes:
    """Return one PEM with every certificate in ``certificates``, each of them once."""
    each = {_digest(certificate): certificate for pem in certificates for certificate in certificates_in(pem)}
    return b"".join(each.values())


def _digest(pem: bytes) -> str:
    match = _CERTIFICATE.search(pem)
    return hashlib.sha256(_der(match[1]) if match else b"").hexdigest()[:_FINGERPRINT_LENGTH]


def _der(base64: bytes) -> bytes:
    try:
        return binascii.a2b_base64(base64)
    except binascii.Error:
        return b""
