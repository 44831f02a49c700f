"""IP addresses on one axis (``IPBlock``; semantics rule 13).

IPv4 comes first, IPv6 behind it, so families never cross. ``::ffff:a.b.c.d`` is the IPv4 address.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, summarize_address_range

from app.engine.intervals import IntervalSet

_V6_BASE = 1 << 32

Network = IPv4Network | IPv6Network


class Family(Enum):
    """The two IP families."""

    IPV4 = "IPv4"
    IPV6 = "IPv6"


ALL_OF = {
    Family.IPV4: IntervalSet.of((0, _V6_BASE)),
    Family.IPV6: IntervalSet.of((_V6_BASE, _V6_BASE + (1 << 128))),
}


def place_of(address: IPv4Address | IPv6Address | str) -> int:
    """Return the place of an address on the axis.

    >>> place_of("::ffff:10.0.0.1") == place_of("10.0.0.1")
    True
    """
    parsed = ip_address(address) if isinstance(address, str) else address
    if isinstance(parsed, IPv4Address):
        return int(parsed)
    if parsed.ipv4_mapped is not None:
        return int(parsed.ipv4_mapped)
    return _V6_BASE + int(parsed)


def address_at(place: int) -> IPv4Address | IPv6Address:
    """Return the address of a place on the axis; the inverse of ``place_of``."""
    return IPv4Address(place) if place < _V6_BASE else IPv6Address(place - _V6_BASE)


def network_set(network: Network) -> IntervalSet:
    """Return the addresses of a network as a set on the axis."""
    start = place_of(network.network_address)
    return IntervalSet.of((start, start + network.num_addresses))


def block_set(network: Network, excepts: Iterable[Network] = ()) -> IntervalSet:
    """Return the addresses of an ``ipBlock``: in ``network`` and in none of ``excepts`` (rule 13)."""
    return network_set(network) - IntervalSet.union(network_set(excepted) for excepted in excepts)


_NEIGHBOURS = 4


def one_by_one(network: Network) -> Iterator[Network]:
    """Yield the addresses of a network of a few, one by one as people write hosts down; else the network.

    >>> [str(network) for network in one_by_one(IPv4Network("10.0.0.0/31"))]
    ['10.0.0.0/32', '10.0.0.1/32']
    """
    if network.num_addresses > _NEIGHBOURS:
        yield network
    else:
        yield from network.subnets(new_prefix=network.max_prefixlen)


def networks_of(addresses: IntervalSet) -> Iterator[Network]:
    """Yield the fewest CIDRs that make up ``addresses``.

    >>> [str(network) for network in networks_of(network_set(IPv4Network("10.0.0.0/31")))]
    ['10.0.0.0/31']
    """
    for family in ALL_OF.values():
        for low, high in (addresses & family).spans:
            first, last = address_at(low), address_at(high - 1)
            if (isinstance(first, IPv4Address) and isinstance(last, IPv4Address)) or (
                isinstance(first, IPv6Address) and isinstance(last, IPv6Address)
            ):
                yield from summarize_address_range(first, last)


Address = IPv4Address | IPv6Address


def address_of(text: str) -> Address | None:
    """Return the address of a TCP peer, IPv4 where it is IPv4 in IPv6's clothes; None where it is none.

    >>> address_of("::ffff:10.0.0.1"), address_of("fe80::1%eth0"), address_of("unix")
    (IPv4Address('10.0.0.1'), IPv6Address('fe80::1'), None)
    """
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found
