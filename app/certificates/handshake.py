"""Would the API server accept this certificate? A handshake in memory tells, with a client as strict."""

from __future__ import annotations

import ssl

from app.certificates.keyfile import as_file
from app.certificates.pairs import Pair, certificates_in

_NO_CHECK_TIME = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME: when a certificate is good is judged by the caller's clock."""
_MOST_STEPS = 10


def rejection(pair: Pair, bundle: bytes, host: str) -> str | None:
    """Return why a client that trusts ``bundle`` alone refuses ``pair`` for ``host``; None if it does not.

    Dates are left out of it.
    """
    try:
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with as_file(pair) as file:
            server.load_cert_chain(file, password="")
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.verify_flags |= _NO_CHECK_TIME
        for certificate in certificates_in(bundle):
            client.load_verify_locations(cadata=certificate.decode("ascii"))
        _shake_hands(server, client, host)
    except (OSError, ValueError) as error:
        return getattr(error, "verify_message", "") or str(error)
    return None


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> None:
    """Let both talk through buffers until both are done; raises what either objects to."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    caller = client.wrap_bio(back, there, server_hostname=host)
    ends = [caller, server.wrap_bio(there, back, server_side=True)]
    for _ in range(_MOST_STEPS):
        for end in ends[:]:
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                continue
        if not ends:
            return
    msg = "the handshake does not come to an end"
    raise ValueError(msg)
