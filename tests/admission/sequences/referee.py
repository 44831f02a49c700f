"""What is required and what is open in a state of the store, point by point, in brute force.

It shares no code with the guard: policies are read by ``tests.engine.oracle``, and what is required is
written down here once more. What only a policy keeps open that is being deleted is not counted as open: that
may go at any moment, and nobody is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import combinations, product
from typing import ClassVar, NamedTuple

from tests.admission.sequences.store import Object, Store, is_going, labels_of, of_namespace
from tests.engine import brute
from tests.engine.brute import Port, Space
from tests.engine.oracle import End, selects
from tests.engine.small import ADDRESSES, PORTS
from tests.engine.universe import SMALL

SPACES = ("ns-a", "ns-b", "ns-c")
DIRECTIONS = ("Ingress", "Egress")
_OWN = tuple(SMALL.labels)


class Place(NamedTuple):
    """One end and its peer in one direction; the ports of it are a mask."""

    namespace: str
    direction: str
    own: int
    peer: int


Points = dict[Place, int]
"""Ports of places, as masks of ``PORTS``."""


def meet(one: Points, other: Points) -> Points:
    """Return what is in both."""
    both = ((place, mask & other.get(place, 0)) for place, mask in one.items())
    return {place: mask for place, mask in both if mask}


def without(one: Points, other: Points) -> Points:
    """Return what is in one and not in the other."""
    rest = ((place, mask & ~other.get(place, 0)) for place, mask in one.items())
    return {place: mask for place, mask in rest if mask}


@dataclass(frozen=True)
class Caller:
    """Where the API server calls from: an address, or the pods of a namespace with some labels."""

    address: str | None = None
    namespace: str = ""
    labels: dict[str, str] = field(default_factory=dict)

    def is_peer(self, end: End) -> bool:
        """Tell whether a peer is it."""
        if self.address is not None:
            return end.namespace is None and end.ip == self.address
        return end.namespace == self.namespace and self.labels.items() <= end.labels.items()


@dataclass
class Webhook:
    """What is required for the webhook of ``ns-a``, also while its Service or configuration is missing."""

    selector: dict[str, str] | None = None
    target: int | str = 0
    resolved: int | None = None
    named: bool = False

    def follow(self, store: Store) -> None:
        """Take in a state."""
        if not store.is_managed("ns-a"):
            self.selector, self.named = None, False
        service, named = store.service, store.configuration is not None
        if service is not None and (named or self.named) and store.is_managed("ns-a"):
            (port,) = service["spec"]["ports"]
            if port["targetPort"] != self.target:
                self.resolved = None
            self.selector, self.target = dict(service["spec"]["selector"]), port["targetPort"]
            self.resolved = self.resolved if store.endpoints is None else store.endpoints
            self.named = True
        if service is None and not named:
            self.selector, self.named = None, False

    def ports(self) -> int:
        """Return the ports that must be reached, none where nobody knows them."""
        if isinstance(self.target, int):
            return _mask(lambda port: port.protocol == "TCP" and port.number == self.target)
        if self.resolved is None:
            return 0
        name, number = self.target, self.resolved
        return _mask(lambda port: port.protocol == "TCP" and port.number == number and name in port.names)


def _mask(fits: Callable[[Port], bool]) -> int:
    return sum(1 << index for index, port in enumerate(PORTS) if fits(port))


class Referee:
    """Judges states of one sequence; ``addresses`` are those of pods, where ipBlock matches them."""

    # For all sequences: the same few states come again and again.
    _known: ClassVar[dict[tuple[object, ...], Points]] = {}
    _spaces: ClassVar[dict[tuple[object, ...], Space]] = {}

    def __init__(self, callers: tuple[Caller, ...], addresses: tuple[str | None, ...] = (None,)) -> None:
        self._callers = callers
        self._addresses = addresses
        self.webhook = Webhook()

    def peers(self, store: Store) -> tuple[End, ...]:
        """Return the far ends: pods of all namespaces, with their labels as they are, and addresses."""
        return self._space(store, SPACES[0]).peers

    def _space(self, store: Store, namespace: str) -> Space:
        labels = tuple(
            tuple(sorted(labels_of(store.namespaces[name]).items())) if name in store.namespaces else ()
            for name in SPACES
        )
        key = namespace, labels, self._addresses
        found = self._spaces.get(key)
        if found is None:
            pods = (
                End(name, dict(chosen), own, address)
                for (name, chosen), own, address in product(
                    zip(SPACES, labels, strict=True), _OWN, self._addresses
                )
            )
            outside = (End(ip=address) for address in ADDRESSES)
            found = self._spaces[key] = Space(namespace, _OWN, (*pods, *outside), PORTS)
        return found

    def required(self, store: Store) -> Points:
        """Return what must be open."""
        spaces = store.namespaces.items()
        guarded = {name for name, found in spaces if store.is_managed(name) and not is_going(found)}
        peers, everything = self.peers(store), (1 << len(PORTS)) - 1
        inside = [index for index, peer in enumerate(peers) if peer.namespace in guarded]
        points: Points = {
            Place(name, direction, own, peer): everything
            for name in guarded
            for direction in DIRECTIONS
            for own in range(len(_OWN))
            for peer in inside
        }
        selector = self.webhook.selector
        if "ns-a" in guarded and selector is not None and (ports := self.webhook.ports()):
            for own, labels in enumerate(_OWN):
                if selects({"matchLabels": selector}, labels):
                    for index in self._calling(store, peers):
                        place = Place("ns-a", "Ingress", own, index)
                        points[place] = points.get(place, 0) | ports
        return points

    def _calling(self, store: Store, peers: tuple[End, ...]) -> Iterator[int]:
        for index, peer in enumerate(peers):
            is_there = peer.namespace is None or peer.namespace in store.namespaces
            if is_there and any(caller.is_peer(peer) for caller in self._callers):
                yield index

    def opened(self, store: Store) -> Points:
        """Return what is open whichever of the policies that are being deleted are gone already."""
        points: Points = {}
        for name in SPACES:
            points |= self._opened(store, name)
        return points

    def _opened(self, store: Store, namespace: str) -> Points:
        policies = list(of_namespace(store.policies, namespace))
        space = self._space(store, namespace)
        key = (id(space), *sorted((is_going(policy), repr(policy["spec"])) for policy in policies))
        found = self._known.get(key)
        if found is None:
            if len(self._known) > 20_000:
                self._known.clear()
            found = self._known[key] = _opened(space, policies)
        return found


def _opened(space: Space, policies: list[Object]) -> Points:
    going = [policy for policy in policies if is_going(policy)]
    staying = [policy for policy in policies if not is_going(policy)]
    points: Points | None = None
    for size in range(len(going) + 1):
        for left in combinations(going, size):
            now = dict(_allowed(space, [*staying, *left]))
            points = now if points is None else meet(points, now)
    return points or {}


def _allowed(space: Space, policies: list[Object]) -> Iterator[tuple[Place, int]]:
    for direction in DIRECTIONS:
        rows = brute.allowed(space, policies, direction)
        for own, row in enumerate(rows):
            for peer, mask in enumerate(row):
                yield Place(space.namespace, direction, own, peer), mask
