"""CIDRs as the API server reads them (semantics rules 13, 22, 25, 26).

Two levels: *readable* is what ``ParseCIDRSloppy`` of ``k8s.io/utils/net`` takes, and so what may stand in a
stored object; *canonical* is what ``IsValidCIDRForLegacyField`` demands of new objects since Kubernetes 1.36.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from app.engine.addresses import Network, network_set, place_of
from app.wire.cache import kept_if_short

NOT_A_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
LEADING_ZEROS = "must not have leading 0s in IP or prefix length"
MAPPED = "must not have an IPv4-mapped IPv6 address"
HOST_BITS = "must not have bits set beyond the prefix length"
NOT_INSIDE = "must be a strict subset of `cidr`"

_KEPT = 4096
_V4_LENGTH = 32
_V6_LENGTH = 128
_LAST_OCTET = 255
_LAST_GROUP = 0xFFFF
_GROUP_DIGITS = 4
_DIGITS = re.compile(r"0*[0-9]{1,3}")
_GROUP = re.compile(r"0*[0-9a-fA-F]{1,4}")
_ZEROS_V4 = re.compile(r"(?:^|[.:])0[0-9]+(?:\.|$)")


@dataclass(frozen=True, slots=True)
class Cidr:
    """A readable CIDR: its network with host bits masked, and why it would be refused in a new object."""

    network: Network
    complaint: str | None = None

    def holds(self, inner: Cidr) -> bool:
        """Tell whether ``inner`` lies strictly inside, as the API server checks ``except`` (rule 22)."""
        if self.network.prefixlen >= inner.network.prefixlen:
            return False
        return place_of(inner.network.network_address) in network_set(self.network)


def _v4(text: str) -> str | None:
    octets = text.split(".")
    if len(octets) != 4 or not all(_DIGITS.fullmatch(octet) for octet in octets):  # noqa: PLR2004 - IPv4 has four
        return None
    numbers = [int(octet) for octet in octets]
    return None if max(numbers) > _LAST_OCTET else ".".join(map(str, numbers))


def _v6(text: str) -> str | None:
    """Return IPv6 ``text`` without superfluous leading zeros, which Python refuses and Go's parser takes."""
    groups = text.split(":")
    tail: str | None = None
    if "." in groups[-1]:
        tail = _v4(groups.pop())
        if tail is None:
            return None
    if not all(not group or _GROUP.fullmatch(group) for group in groups):
        return None
    plain = [f"{int(group, 16):x}" if group else "" for group in groups]
    return ":".join(plain if tail is None else [*plain, tail])


def _address(text: str) -> IPv4Address | IPv6Address | None:
    plain = _v6(text) if ":" in text else _v4(text)
    if plain is None:
        return None
    try:
        return IPv6Address(plain) if ":" in text else IPv4Address(plain)
    except ValueError:
        return None


def _has_leading_zeros(address: str, length: str) -> bool:
    if length != "0" and length.startswith("0"):
        return True
    if any(len(group) > _GROUP_DIGITS for group in address.split(":") if "." not in group):
        return True
    return "." in address and _ZEROS_V4.search(address) is not None


def _network(address: IPv4Address | IPv6Address, length: int) -> Network:
    if isinstance(address, IPv4Address):
        return IPv4Network((address, length), strict=False)
    return IPv6Network((address, length), strict=False)


@kept_if_short(_KEPT)
def read_cidr(text: str) -> Cidr | None:
    """Return the CIDR that ``text`` is, or None where no API server ever accepted it.

    >>> read_cidr("10.0.0.7/8")
    Cidr(network=IPv4Network('10.0.0.0/8'), complaint='must not have bits set beyond the prefix length')
    """
    start, slash, length = text.partition("/")
    if not slash or not _DIGITS.fullmatch(length):
        return None
    address = _address(start)
    if address is None or int(length) > (_V6_LENGTH if isinstance(address, IPv6Address) else _V4_LENGTH):
        return None
    network = _network(address, int(length))
    if _has_leading_zeros(start, length):
        return Cidr(network, LEADING_ZEROS)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return Cidr(network, MAPPED)
    return Cidr(network, HOST_BITS if network.network_address != address else None)
