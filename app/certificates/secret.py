"""The Secret that certificates are kept in: from its manifest to what it holds, and back.

``tls.crt`` and ``tls.key`` are served, ``ca.crt`` and ``ca.key`` signed them; ``next-ca.*`` will, and what
``previous-ca.crt`` signed is still trusted.
"""

from __future__ import annotations

import base64
import binascii

from app.certificates.expiry import UnreadableCertificate, validity_of
from app.certificates.handshake import rejection
from app.certificates.pairs import Pair
from app.certificates.renewal import Holding
from app.model.kinds import Manifest
from app.names import MANAGED_BY_LABEL, NAME, NAME_LABEL, OURS, SERVICE_HOST, TLS_SECRET

_SERVING, _AUTHORITY, _NEXT = ("tls.crt", "tls.key"), ("ca.crt", "ca.key"), ("next-ca.crt", "next-ca.key")
_PREVIOUS = "previous-ca.crt"


class UnusableSecret(ValueError):  # noqa: N818 - reads as what it is: an unusable Secret
    """The Secret does not hold what it should; the text says what is wrong."""


def is_ours(secret: Manifest) -> bool:
    """Tell whether the guard made this Secret; another's is never written to."""
    return OURS in secret["metadata"].get("labels", {}).items()


def holding_of(secret: Manifest) -> Holding:
    """Return what the Secret holds. Raises ``UnusableSecret`` where it could not be served."""
    data = secret.get("data") or {}
    serving, authority, coming = (_pair(data, *names) for names in (_SERVING, _AUTHORITY, _NEXT))
    if serving is None or authority is None:
        raise UnusableSecret("it lacks a serving certificate, an authority, or a key")
    holding = Holding(serving, authority, coming, _bytes(data, _PREVIOUS))
    why = rejection(serving, authority.certificate, SERVICE_HOST)
    if why is not None:
        raise UnusableSecret(f"its certificate cannot be served: {why}")
    try:
        for pair in (serving, authority, *(() if coming is None else (coming,))):
            validity_of(pair.certificate)
    except UnreadableCertificate as error:
        raise UnusableSecret(f"a certificate in it cannot be used: {error}") from error
    return holding


def secret_with(holding: Holding, namespace: str, version: str = "") -> Manifest:
    """Return the Secret that holds ``holding``; ``version`` makes its replacement conditional."""
    pairs = [(_SERVING, holding.serving), (_AUTHORITY, holding.authority)]
    if holding.next is not None:
        pairs.append((_NEXT, holding.next))
    data: dict[str, bytes] = {}
    for (certificate, key), pair in pairs:
        data |= {certificate: pair.certificate, key: pair.key}
    if holding.previous:
        data[_PREVIOUS] = holding.previous
    condition = {"resourceVersion": version} if version else {}
    labels = {NAME_LABEL: NAME, MANAGED_BY_LABEL: NAME}
    metadata = {"name": TLS_SECRET, "namespace": namespace, "labels": labels}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": metadata | condition,
        "type": "kubernetes.io/tls",
        "data": {name: base64.b64encode(part).decode("ascii") for name, part in data.items()},
    }


def _pair(data: dict[str, str], certificate: str, key: str) -> Pair | None:
    parts = _bytes(data, certificate), _bytes(data, key)
    return Pair(*parts) if all(parts) else None


def _bytes(data: dict[str, str], name: str) -> bytes:
    try:
        return base64.b64decode(data.get(name) or "", validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnusableSecret(f"{name} in it is not base64") from error
