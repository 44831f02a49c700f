"""What follows from a state alone, whatever the change, remembered as long as the state stays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from app.engine.budget import Budget, demand
from app.engine.cluster import Cluster
from app.engine.judge import State, keepers_of
from app.engine.regions import NamespaceTable
from app.engine.required_flows import Options, RequiredFlow, guarded_namespaces, required_flows


class Requirements:
    """What follows from namespaces, sources, webhooks and API servers, whatever the policies.

    Worked out once for as long as all of these are the very same: it looks at every namespace.
    """

    _MOST = 1_024

    def __init__(self, cluster: Cluster, options: Options) -> None:
        self._cluster = cluster
        self._options = options
        self.table = NamespaceTable(cluster.namespaces)
        self.guarded = guarded_namespaces(cluster)
        self._flows: dict[str, tuple[RequiredFlow, ...]] = {}

    def are_of(self, cluster: Cluster) -> bool:
        """Tell whether they are those of ``cluster``, too."""
        grounds = zip(_grounds(self._cluster), _grounds(cluster), strict=True)
        return all(known is new for known, new in grounds)

    def flows(self, namespace: str) -> tuple[RequiredFlow, ...]:
        """Return the flows that the policies of ``namespace`` must leave open."""
        found = self._flows.get(namespace)
        if found is None:
            if len(self._flows) >= self._MOST:
                self._flows.clear()
            found = required_flows(self._cluster, namespace, self._options, self.guarded)
            self._flows[namespace] = found
        return found


def _grounds(cluster: Cluster) -> tuple[object, ...]:
    return cluster.namespaces, cluster.sources, cluster.webhooks, cluster.api_server


@dataclass(frozen=True, slots=True)
class Standing:
    """What follows from a state alone, whatever the change: worked out once for each state."""

    cluster: Cluster
    table: NamespaceTable
    is_guarded: bool
    flows: tuple[RequiredFlow, ...]
    hanging: tuple[tuple[RequiredFlow, str | None], ...]
    """The flows that no two policies each keep open alone, with the name of the one that does, if any."""

    @classmethod
    def of(cls, cluster: Cluster, namespace: str, required: Requirements, budget: Budget) -> Standing:
        """Return what follows from ``cluster``, which has these requirements, for ``namespace``.

        Raises ``TooComplexError``.
        """
        table, flows = required.table, required.flows(namespace)
        state = State(cluster.policies.get(namespace, ()), table)
        hanging = tuple(_hanging(flows, state, budget))
        return cls(cluster, table, namespace in required.guarded, flows, hanging)

    def exposed_to(self, name: str) -> tuple[RequiredFlow, ...]:
        """Return the flows that are not open whatever becomes of the policy ``name``."""
        return tuple([flow for flow, keeper in self.hanging if keeper is None or keeper == name])


def _hanging(
    flows: tuple[RequiredFlow, ...], state: State, budget: Budget
) -> Iterator[tuple[RequiredFlow, str | None]]:
    for flow in flows:
        demand(budget)
        keepers = keepers_of(flow.region, state)
        first = next(keepers, None)
        if next(keepers, None) is None:
            yield flow, None if first is None else first.name


class StandingMemory:
    """Remembers ``Standing`` by the identity of the state, which its reader keeps while nothing changes."""

    _MOST = 64

    def __init__(self, options: Options) -> None:
        self._options = options
        self._known: dict[tuple[int, str], Standing] = {}
        self._required: Requirements | None = None

    def __reduce__(self) -> tuple[type[StandingMemory], tuple[Options]]:
        """Be sent to another process without what is remembered."""
        return StandingMemory, (self._options,)

    def of(self, cluster: Cluster, namespace: str, budget: Budget) -> Standing:
        """Return what follows from ``cluster`` for ``namespace``. Raises ``TooComplexError``."""
        key = (id(cluster), namespace)
        found = self._known.get(key)
        # The remembered state is held, so that its identity cannot be another's.
        if found is None:
            if len(self._known) >= self._MOST:
                self._known.clear()
            found = self._known[key] = self.anew(cluster, namespace, budget)
        return found

    def anew(self, cluster: Cluster, namespace: str, budget: Budget) -> Standing:
        """Return the same, of a state that nobody will ask for again."""
        if self._required is None or not self._required.are_of(cluster):
            self._required = Requirements(cluster, self._options)
        return Standing.of(cluster, namespace, self._required, budget)
