"""From when to when a certificate is good, read without a cryptography library.

The serving process needs nothing else from a certificate, and importing a library for it would cost more
memory than the rest of this room. DER is read only as far as RFC 5280, section 4.1 puts `validity`.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

CLOCK_SKEW = timedelta(minutes=5)
"""How far a certificate's validity begins before now: not all clocks of a cluster agree."""

_SEQUENCE, _EXPLICIT_VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18
_LONG_FORM = 0x80
_LONGEST_LENGTH = 4
_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"


class UnreadableCertificate(ValueError):  # noqa: N818 - reads as what it is: an unreadable certificate
    """The bytes are no certificate."""


@dataclass(frozen=True, slots=True)
class Validity:
    """From when to when a certificate is good."""

    start: datetime
    end: datetime

    @classmethod
    def lasting(cls, duration: timedelta, now: datetime) -> Validity:
        """Return what begins just before ``now`` (aware, or ``ValueError``) and lasts for ``duration``."""
        if now.tzinfo is None:
            msg = "the time must say which time zone it is in"
            raise ValueError(msg)
        return cls(now - CLOCK_SKEW, now + duration)

    @property
    def issued(self) -> datetime:
        """When a certificate of ours with this validity was issued."""
        return self.start + CLOCK_SKEW


def validity_of(pem: bytes) -> Validity:
    """Return the validity of the first certificate in ``pem``.

    Raises ``UnreadableCertificate`` where there is none that can be read.
    """
    start, end = pem.find(_BEGIN), pem.find(_END)
    if not 0 <= start < end:
        raise UnreadableCertificate("there is no certificate in it")
    try:
        der = binascii.a2b_base64(pem[start + len(_BEGIN) : end])
        return _validity(der)
    except (binascii.Error, IndexError, UnicodeDecodeError) as error:
        raise UnreadableCertificate("the certificate in it cannot be read") from error


def _validity(der: bytes) -> Validity:
    _, certificate, _ = _element(der, 0, _SEQUENCE)
    _, place, _ = _element(der, certificate, _SEQUENCE)
    if der[place] == _EXPLICIT_VERSION:
        _, _, place = _element(der, place)
    for _ in ("serialNumber", "signature", "issuer"):
        _, _, place = _element(der, place)
    _, validity, _ = _element(der, place, _SEQUENCE)
    first, content, second = _element(der, validity)
    start = _time(first, der[content:second].decode("ascii"))
    tag, content, end = _element(der, second)
    return Validity(start, _time(tag, der[content:end].decode("ascii")))


def _element(der: bytes, place: int, expected: int | None = None) -> tuple[int, int, int]:
    """Return tag, start of the content and end of the element at ``place``."""
    tag, length, content = der[place], der[place + 1], place + 2
    if expected is not None and tag != expected:
        raise UnreadableCertificate("the certificate in it is not shaped like one")
    if length >= _LONG_FORM:
        count = length - _LONG_FORM
        if not 1 <= count <= _LONGEST_LENGTH:
            raise UnreadableCertificate("the certificate in it is not shaped like one")
        length = int.from_bytes(der[content : content + count], "big")
        content += count
    if content + length > len(der):
        raise UnreadableCertificate("the certificate in it breaks off")
    return tag, content, content + length


def _time(tag: int, text: str) -> datetime:
    # RFC 5280, 4.1.2.5: two digits of a year mean 1950 to 2049; seconds and Z are always there.
    form = {_UTC_TIME: "%y%m%d%H%M%SZ", _GENERALIZED_TIME: "%Y%m%d%H%M%SZ"}.get(tag)
    if form is None:
        raise UnreadableCertificate("the certificate in it has no time where one belongs")
    try:
        found = datetime.strptime(text, form).replace(tzinfo=UTC)
    except ValueError as error:
        raise UnreadableCertificate(f"the certificate in it names no time: {text!r}") from error
    is_last_century = tag == _UTC_TIME and found.year >= 2050  # noqa: PLR2004 - the RFC's own border
    return found.replace(year=found.year - 100) if is_last_century else found
