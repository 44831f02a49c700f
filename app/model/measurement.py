"""What the nonce probe came to: where the API server's calls were seen to come from, and how far that goes.

Made by whoever probes (``app.cluster.probe.prober``), remembered in a ConfigMap
(``app.model.measured_sources``), shown and written into policies by others.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import ip_network

from app.engine.addresses import Address, network_set
from app.engine.cluster import Provenance, Source, strongest
from app.engine.policy import PodPeer
from app.engine.selectors import Selector

ENOUGH_CALLS = 20
"""So many probes without news end it, and so many calls make up for not knowing which of the API servers
behind one address answered (``docs/design/sources.md``, Discovery)."""


@dataclass(frozen=True, slots=True)
class Observation:
    """A guard pod saw calls of an API server come from ``peer``, so many times.

    ``api_server`` is the address that was asked; ``node`` is "" where the pod does not know it.
    """

    peer: Address
    api_server: str
    pod: str
    node: str = ""
    times: int = 1


class Reach(Enum):
    """What an address that was asked stands for."""

    SINGLE = "one API server"
    SHARED = "an address that may stand for several API servers"


@dataclass(frozen=True, slots=True)
class Coverage:
    """How often one address was asked, how many answers came, and which pods gave them.

    ``hidden`` of the answers said that a proxy in the guard's pod hides the caller. ``trouble`` says why no
    answer came, as far as that is known, "" where each probe was answered.
    """

    api_server: str
    reach: Reach
    probes: int
    answers: int
    hidden: int = 0
    pods: tuple[str, ...] = ()
    trouble: str = ""

    @property
    def seen(self) -> int:
        """How many answers told where the call came from."""
        return self.answers - self.hidden


@dataclass(frozen=True, slots=True)
class CallerPlace:
    """One address, or the pods with some labels in one namespace: what a policy can let in."""

    address: Address | None = None
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    def source(self, origin: str, provenance: Provenance = Provenance.MEASURED) -> Source:
        """Return the place as a source; ``origin`` says in words where it is known from."""
        if self.address is None:
            peer = PodPeer.own(self.namespace, Selector.labels(self.labels))
            return Source(provenance, origin, pods=peer)
        return Source(provenance, origin, addresses=network_set(ip_network(self.address)))

    def __str__(self) -> str:
        if self.address is not None:
            return str(self.address)
        labels = ",".join(f"{key}={value}" for key, value in sorted(self.labels.items()))
        return f"pods {labels} in {self.namespace}"


@dataclass(frozen=True, slots=True)
class ObservedPlace:
    """A place that calls were seen to come from, and what was seen."""

    place: CallerPlace
    observations: tuple[Observation, ...]

    @property
    def api_servers(self) -> tuple[str, ...]:
        """The addresses that were asked when it was seen."""
        return tuple(dict.fromkeys(observation.api_server for observation in self.observations))

    @property
    def pods(self) -> tuple[str, ...]:
        """The guard's pods that saw it."""
        return tuple(dict.fromkeys(observation.pod for observation in self.observations))

    @property
    def seers(self) -> tuple[str, ...]:
        """The guard's pods that saw it, each with its node."""
        seen = (
            f"{observation.pod} on {observation.node}" if observation.node else observation.pod
            for observation in self.observations
        )
        return tuple(dict.fromkeys(seen))

    @property
    def times(self) -> int:
        """How often it was seen."""
        return sum(observation.times for observation in self.observations)

    @property
    def source(self) -> Source:
        """The place as a measured source."""
        return self.place.source(f"a probe just now, asking {' and '.join(self.api_servers)}")


@dataclass(frozen=True, slots=True)
class Measurement:
    """All that one round of probes found out.

    ``derived`` are guesses that follow from ``found``: a node's own address in the pod network is one of
    many. ``unasked`` are API servers that are listed, but could not be asked by themselves; ``unplaced`` are
    addresses that calls were seen to come from, but that tell nothing of the caller. ``notes`` are for a
    person: what to do, what is not certain.
    """

    found: tuple[ObservedPlace, ...]
    coverage: tuple[Coverage, ...]
    derived: tuple[Source, ...] = ()
    notes: tuple[str, ...] = ()
    unasked: tuple[str, ...] = ()
    unplaced: tuple[Address, ...] = ()

    @property
    def sources(self) -> tuple[Source, ...]:
        """What was found and what follows from it, for the engine."""
        return strongest((*(observed.source for observed in self.found), *self.derived))

    @property
    def probes(self) -> int:
        """How many probes were sent."""
        return sum(coverage.probes for coverage in self.coverage)

    @property
    def singly(self) -> tuple[str, ...]:
        """The API servers that answered when they were asked by themselves."""
        return tuple(
            asked.api_server for asked in self.coverage if asked.reach is Reach.SINGLE and asked.answers
        )

    def gaps(self, demanded: Collection[str] = ()) -> tuple[str, ...]:
        """Return what is missing of a complete round; only such a one shows that a place is not called from.

        In a complete round each API server that can be addressed singly answered, and behind an address that
        stands for several at least ``ENOUGH_CALLS`` calls were seen. ``demanded`` can be addressed singly as
        far as is known from before.
        """
        return tuple(self._gaps(demanded))

    def _gaps(self, demanded: Collection[str]) -> Iterator[str]:
        if not self.coverage:
            yield "no API server was asked"
        is_shared = any(asked.reach is Reach.SHARED for asked in self.coverage)
        for asked in self.coverage:
            if asked.reach is Reach.SINGLE and not asked.seen:
                yield f"API server {asked.api_server} gave no answer that tells where it calls from"
            if asked.reach is Reach.SHARED and asked.seen < ENOUGH_CALLS:
                yield f"{asked.seen} of at least {ENOUGH_CALLS} calls were seen behind {asked.api_server}"
        for name in self.unasked:
            if name in demanded:
                yield f"API server {name} could be asked by itself before, and not this time"
            elif not is_shared:
                yield f"API server {name} cannot be asked by itself, nor through an address in front of all"
        for peer in self.unplaced:
            yield f"calls from {peer} do not tell which API server they come from"
