"""Ports of a rule as a set on one axis (``NetworkPolicyPort``; semantics rules 8, 17-21).

Every protocol has a stretch of 65,536 numbers on the axis, so that "TCP 443" is one integer and a rule's
numeric ports are an ``IntervalSet``. Port names stay names: they resolve against the destination pod.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from app.engine.intervals import IntervalSet

_STRETCH = 65_536
LAST_PORT = 65_535


class Protocol(Enum):
    """The protocols that the API knows (rule 21)."""

    TCP = "TCP"
    UDP = "UDP"
    SCTP = "SCTP"

    __hash__ = object.__hash__


_PROTOCOLS = tuple(Protocol)
_BASE = {protocol: index * _STRETCH for index, protocol in enumerate(_PROTOCOLS)}

PortName = tuple[Protocol, str]
"""A container port is found by name *and* protocol (rule 19)."""


def position(protocol: Protocol, port: int) -> int:
    """Return the place of ``port`` (1-65535) of ``protocol`` on the axis."""
    return _BASE[protocol] + port


def at(place: int) -> tuple[Protocol, int]:
    """Return protocol and port number of a place on the axis; the inverse of ``position``."""
    index, port = divmod(place, _STRETCH)
    return _PROTOCOLS[index], port


def port_range(protocol: Protocol, first: int = 1, last: int = LAST_PORT) -> IntervalSet:
    """Return ``first..last``, both inclusive (rule 18), as a set on the axis."""
    return IntervalSet.of((_BASE[protocol] + first, _BASE[protocol] + last + 1))


_ALL_OF = {protocol: port_range(protocol) for protocol in Protocol}
ALL_NUMBERS = IntervalSet.union(_ALL_OF.values())


@dataclass(frozen=True, slots=True)
class PortSet:
    """The ports that one rule lets through: numbers on the axis, and names still to be resolved."""

    numbers: IntervalSet
    names: frozenset[PortName] = frozenset()

    @classmethod
    def of(cls, numbers: Iterable[IntervalSet] = (), names: Iterable[PortName] = ()) -> PortSet:
        """Return the union; a name is dropped where all ports of its protocol are in anyway.

        >>> PortSet.of([port_range(Protocol.TCP)], [(Protocol.TCP, "http")]).names
        frozenset()
        """
        all_numbers = IntervalSet.union(numbers)
        kept = frozenset(name for name in names if not _ALL_OF[name[0]].is_subset(all_numbers))
        return cls(all_numbers, kept)

    def contains(self, place: int, names: frozenset[str] = frozenset()) -> bool:
        """Tell whether traffic to ``place`` passes, where the destination calls that port ``names``."""
        if place in self.numbers:
            return True
        protocol = at(place)[0]
        return any(named is protocol and name in names for named, name in self.names)

    def is_subset(self, other: PortSet) -> bool:
        """Tell whether ``other`` surely lets through all that this set does, whatever names resolve to."""
        return self.numbers.is_subset(other.numbers) and all(
            name in other.names or _ALL_OF[name[0]].is_subset(other.numbers) for name in self.names
        )


ALL_PORTS = PortSet(ALL_NUMBERS)
