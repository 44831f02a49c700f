"""What a client sees of a serving certificate: until when, for which names, and vouched for by whom."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature


@dataclass(frozen=True, slots=True)
class Inspected:
    """A serving certificate with the intermediate ones that are sent along, leaf first."""

    chain: tuple[x509.Certificate, ...]

    @property
    def ends(self) -> datetime:
        """When it expires."""
        return self.chain[0].not_valid_after_utc

    @property
    def names(self) -> tuple[str, ...]:
        """The host names that it is good for; clients look at nothing else."""
        try:
            found = self.chain[0].extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except x509.ExtensionNotFound:
            return ()
        return tuple(found.value.get_values_for_type(x509.DNSName))

    def is_trusted_by(self, bundle: bytes) -> bool:
        """Tell whether an authority in ``bundle`` (PEM) issued it, or an intermediate that was sent along."""
        try:
            authorities = x509.load_pem_x509_certificates(bundle)
        except ValueError:
            return False
        current = self.chain[0]
        for following in (*self.chain[1:], None):
            if current in authorities or any(_issued(current, authority) for authority in authorities):
                return True
            if following is None or not _issued(current, following):
                return False
            current = following
        return False


def inspect(pem: bytes) -> Inspected | None:
    """Return the certificates in ``pem``; None where there is none that can be read."""
    try:
        chain = tuple(x509.load_pem_x509_certificates(pem))
    except ValueError:
        return None
    return Inspected(chain) if chain else None


def _issued(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
