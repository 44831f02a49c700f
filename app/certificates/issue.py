"""Issuing: a certificate authority of our own and serving certificates under it, as PEM.

Pure but for the random keys and serial numbers: the time is handed in, nothing is read or written. Keys are
ECDSA P-256: an API server's handshake with them costs a fraction of one with RSA.
"""

from __future__ import annotations

from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from app.certificates.expiry import Validity
from app.certificates.pairs import Pair, UnusableAuthority

_LONGEST_COMMON_NAME = 64  # X.520: ub-common-name


def make_authority(common_name: str, validity: Validity) -> Pair:
    """Return a new certificate authority that signs serving certificates and nothing else."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _named(common_name)
    usage = _usage(signs_certificates=True)
    certificate = (
        _builder(validity, key.public_key())
        .subject_name(name)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    return _pair(certificate, key)


def issue_serving(authority: Pair, hosts: tuple[str, ...], validity: Validity) -> Pair:
    """Return a serving certificate for ``hosts``, names and addresses mixed, signed by ``authority``.

    It never outlives its authority. Raises ``ValueError`` where there is no host, and ``UnusableAuthority``
    where the authority's PEM cannot be read, its key is another's, or it has ended.
    """
    if not hosts:
        msg = "a serving certificate needs at least one name or address"
        raise ValueError(msg)
    signer, signing_key = _opened(authority)
    key = ec.generate_private_key(ec.SECP256R1())
    if signer.not_valid_after_utc <= validity.issued:
        raise UnusableAuthority(f"the authority ended on {signer.not_valid_after_utc:%Y-%m-%d}")
    bounded = Validity(validity.start, min(validity.end, signer.not_valid_after_utc))
    identifier = signer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    issuer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
    certificate = (
        _builder(bounded, key.public_key())
        .subject_name(_named(hosts[0]))
        .issuer_name(signer.subject)
        .add_extension(x509.SubjectAlternativeName([_alternative(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(issuer, critical=False)
        .sign(signing_key, hashes.SHA256())
    )
    return _pair(certificate, key)


def _builder(validity: Validity, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(validity.start)
        .not_valid_after(validity.end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _named(common_name: str) -> x509.Name:
    # Clients look at the alternative names only; this one is for people.
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:_LONGEST_COMMON_NAME])])


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _opened(authority: Pair) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    try:
        certificate = x509.load_pem_x509_certificate(authority.certificate)
        key = load_pem_private_key(authority.key, password=None)
    except (ValueError, TypeError) as error:
        raise UnusableAuthority(f"the authority's PEM cannot be read: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise UnusableAuthority("the authority's key is not an elliptic curve key")
    if key.public_key() != certificate.public_key():
        raise UnusableAuthority("the authority's key does not belong to its certificate")
    return certificate, key


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Pair:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Pair(certificate.public_bytes(Encoding.PEM), private)
