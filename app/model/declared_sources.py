"""Sources of the API server's calls that an admin writes down: an option, or the guard's settings."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_network

from app.engine.addresses import network_set
from app.engine.cluster import Provenance, Source
from app.errors import InputError


def declared_source(text: str, origin: str = "in the guard's settings under apiServer.sources") -> Source:
    """Return the source that an admin wrote down: an address or a CIDR.

    Raises ``ValueError`` for anything else.

    >>> declared_source("10.20.0.10").addresses == declared_source("10.20.0.10/32").addresses
    True
    """
    return Source(Provenance.DECLARED, origin, addresses=network_set(ip_network(text.strip(), strict=False)))


def declared_sources(given: Iterable[str], origin: str = "given by --api-server") -> tuple[Source, ...]:
    """Return the sources that an admin names, by default with ``--api-server``. Raises ``InputError``."""
    try:
        return tuple(declared_source(text, origin) for text in given)
    except ValueError as error:
        how = "give an address or a CIDR such as 10.20.0.10/32"
        raise InputError("--api-server", f"{error}; {how}") from error
