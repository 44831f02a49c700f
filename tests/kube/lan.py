"""One network for a test cluster: a bridge, and hosts that hang on it, each a network namespace of its own.

    10.99.0.1                the machine that has the bridge: etcd, the controller manager, kubelets' probes
    10.99.0.11, .12, .13     API servers, where there are several (else the API server is on the bridge's)
    10.99.1.0/24, 10.99.2..  Pods, by Node
    10.98.0.0/24             second addresses of API servers: sources that no EndpointSlice lists

and the same in IPv6, with fd00:99:: for 10.99.0.0 and fd00:98:: for 10.98.0.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv6Address
from itertools import count
from types import TracebackType
from typing import Self

from tests.kube.hosts import NetworkNamespace

BRIDGE = "br0"
INTERFACE = "eth0"


class Family(Enum):
    """An IP family, with the addresses that a test cluster has in it."""

    IPV4 = "IPv4"
    IPV6 = "IPv6"

    @property
    def services(self) -> str:
        """The range of Services' addresses."""
        return "10.96.0.0/16" if self is Family.IPV4 else "fd00:96::/112"

    def address(self, node: int, host: int, *, network: int = 99) -> str:
        """Return an address: `10.99.<node>.<host>`, `fd00:99::<node>:<host>`."""
        if self is Family.IPV4:
            return f"10.{network}.{node}.{host}"
        return str(IPv6Address(f"fd00:{network}::{node:x}:{host:x}"))

    def pods(self, node: int) -> str:
        """Return the range of the Pods of a Node."""
        return f"10.99.{node}.0/24" if self is Family.IPV4 else f"fd00:99::{node:x}:0/112"


@dataclass(frozen=True, slots=True)
class Station:
    """A host on the network and its addresses, one for each family, the primary family's first."""

    namespace: NetworkNamespace
    addresses: tuple[str, ...]


class Lan:
    """The bridge and everything on it; a context manager that takes it all away again."""

    def __init__(self, families: tuple[Family, ...] = (Family.IPV4,)) -> None:
        """Nothing is made yet; the first family is the primary one."""
        self.families = families
        self._numbers = count()
        self._open: set[NetworkNamespace] = set()

    def __enter__(self) -> Self:
        """Make the bridge, in a namespace that is a host of the network itself."""
        namespace = self._namespace()
        namespace.ip(f"link add {BRIDGE} type bridge", f"link set {BRIDGE} up")
        addresses = self.addresses(0, 1)
        namespace.ip(*(line for address in addresses for line in self._join(address, BRIDGE)))
        self.middle = Station(namespace, addresses)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of all namespaces; what still runs in one keeps that one until it ends."""
        while self._open:
            self._open.pop().close()

    def addresses(self, node: int, host: int) -> tuple[str, ...]:
        """Return the host's address in each family."""
        return tuple(family.address(node, host) for family in self.families)

    def attach(self, node: int, host: int) -> Station:
        """Make a new host with these numbers in its addresses and plug it into the bridge."""
        namespace = self._namespace()
        addresses = self.addresses(node, host)
        port = f"port{next(self._numbers)}"
        self.middle.namespace.ip(
            f"link add {port} type veth peer name {INTERFACE} netns {namespace.path}",
            f"link set {port} master {BRIDGE}",
            f"link set {port} up",
        )
        namespace.ip(
            f"link set {INTERFACE} up",
            *(line for address in addresses for line in self._join(address, INTERFACE)),
        )
        return Station(namespace, addresses)

    def detach(self, station: Station) -> None:
        """Unplug a host whose programs have ended."""
        self._open.discard(station.namespace)
        station.namespace.close()

    def hide_behind(self, station: Station, node: int, host: int) -> tuple[str, ...]:
        """Make all connections of the host come from second addresses, as a tunnel does; return these."""
        sources = tuple(family.address(node, host, network=98) for family in self.families)
        for source in sources:
            # A lower metric than the kernel's own route to the same network, which stays.
            station.namespace.ip(
                f"address add {source}/{_bits(source)} dev {INTERFACE} nodad",
                f"route add {_network(source, 99)} dev {INTERFACE} src {source} metric 10",
                *([f"route delete {_network(source, 99)} dev {INTERFACE} metric 0"] if "." in source else []),
            )
        return sources

    def _namespace(self) -> NetworkNamespace:
        namespace = NetworkNamespace()
        self._open.add(namespace)
        return namespace

    @staticmethod
    def _join(address: str, interface: str) -> tuple[str, str]:
        """Return what gives the interface an address, and the way to everybody's second addresses."""
        prefix = _network(address, 99).partition("/")[2]
        return (
            # Nobody else can have the address, so no duplicate is looked for (in IPv6, for a second).
            f"address add {address}/{prefix} dev {interface} nodad",
            f"route add {_network(address, 98)} dev {interface}",
        )


def _bits(address: str) -> int:
    return 128 if ":" in address else 32


def _network(address: str, network: int) -> str:
    """Return the network of that number in the family of the address."""
    return f"fd00:{network}::/64" if ":" in address else f"10.{network}.0.0/16"
