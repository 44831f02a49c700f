"""The certificates that webhooks serve: in the Secrets that their pods mount, else shown by the pods.

Of a Secret only the certificate is kept. Whether a pod can be reached from here depends on where doctor runs:
in a cluster it can, from a laptop it usually cannot.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Protocol

from cryptography import x509

from app.cluster.state.facts import Facts
from app.cluster.survey.best_effort import BestEffortReader
from app.model.kinds import SECRET, Reference
from app.names import TLS_SECRET
from app.wire.objects.pods import PodFacts
from app.wire.objects.services import ServiceKey
from app.wire.objects.workloads import secret_certificate

_SECONDS = 2.0


class Finder(Protocol):
    """Finds the certificate that one Service serves, PEM; empty where it cannot be seen from here."""

    def __call__(self, key: ServiceKey, *, is_guard: bool) -> bytes:
        """Look; blocks for some seconds at most."""


def certificates_of(
    facts: Facts, pods: tuple[PodFacts, ...], reader: BestEffortReader, *, connects: bool
) -> Finder:
    """Return who finds certificates; ``connects`` tells whether pods may be asked themselves."""

    def find(key: ServiceKey, *, is_guard: bool) -> bytes:
        for secret in [TLS_SECRET] if is_guard else _mounted(key, facts, pods):
            pem = reader.get(Reference(SECRET, secret, key[0]), secret_certificate)
            if pem:
                return pem
        places = _endpoints(key, facts) if connects else iter(())
        return next(filter(None, (_handshake(key, *place) for place in places)), b"")

    return find


def _mounted(key: ServiceKey, facts: Facts, pods: tuple[PodFacts, ...]) -> list[str]:
    """Return the Secrets that the pods behind a Service mount."""
    service = facts.services.get(key)
    if service is None or not service.selector:
        return []
    selected = (pod for pod in pods if pod.is_selected(key[0], service.selector))
    return list(dict.fromkeys(name for pod in selected for name in pod.secrets))


def _endpoints(key: ServiceKey, facts: Facts) -> Iterator[tuple[str, int]]:
    """Yield one address and port of each EndpointSlice of a Service, of a pod that is ready."""
    for each in facts.slices_of((key,)):
        ready = (found.addresses[0] for found in each.endpoints if found.ready and found.addresses)
        address = next(ready, None)
        number = next((port.number for port in each.ports if port.number), None)
        if address is not None and number is not None:
            yield address, number


def _handshake(key: ServiceKey, address: str, port: int) -> bytes:
    """Return the certificate that is shown to a client; nothing where nobody can be reached from here.

    It is looked at, not trusted: whether the API server trusts it is the question. From outside the cluster a
    pod's address may be somebody else's, so a certificate that does not name the Service says nothing.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    host = f"{key[1]}.{key[0]}.svc"
    try:
        with (
            socket.create_connection((address, port), timeout=_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            shown = secured.getpeercert(binary_form=True)
    except OSError:
        return b""
    return ssl.DER_cert_to_PEM_cert(shown).encode() if shown and _names(shown, host) else b""


def _names(certificate: bytes, host: str) -> bool:
    """Tell whether a certificate (DER) is for ``host``."""
    try:
        found = x509.load_der_x509_certificate(certificate).extensions
        names = found.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    return host in names.get_values_for_type(x509.DNSName)
