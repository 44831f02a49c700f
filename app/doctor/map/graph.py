"""The map as values: groups of namespaces, and how they are connected with each other and with webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.doctor.losses import Condition


@dataclass(frozen=True, slots=True)
class Group:
    """Namespaces that reach, and are reached by, the same ones; ``key`` is a short name for drawings."""

    key: str
    names: tuple[str, ...]

    @property
    def title(self) -> str:
        """The namespace, or the first ones and how many there are more."""
        shown = ", ".join(self.names[:2])
        rest = len(self.names) - 2
        return f"{shown} and {rest} more" if rest > 0 else shown


@dataclass(frozen=True, slots=True)
class Edge:
    """From one group to another, or to itself; ``why`` is empty where it is open."""

    source: Group
    target: Group
    condition: Condition
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hook:
    """From one source of the API server's calls to a webhook."""

    source: str
    webhook: str
    ports: str
    condition: Condition
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reach:
    """The whole map; ``order`` of everything is that in which it is drawn."""

    groups: tuple[Group, ...]
    edges: tuple[Edge, ...]
    hooks: tuple[Hook, ...]

    @property
    def troubles(self) -> Mapping[tuple[Condition, tuple[str, ...]], tuple[Edge, ...]]:
        """The connections that are not open, those with the same reason together, the worst first."""
        found: dict[tuple[Condition, tuple[str, ...]], tuple[Edge, ...]] = {}
        for edge in sorted(self.edges, key=lambda edge: edge.condition.rank, reverse=True):
            if edge.condition is not Condition.OPEN:
                found[edge.condition, edge.why] = (*found.get((edge.condition, edge.why), ()), edge)
        return found

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """How all connections stand: those between groups, then those to webhooks."""
        return (*(edge.condition for edge in self.edges), *(hook.condition for hook in self.hooks))

    @property
    def is_whole(self) -> bool:
        """Whether everything that is required passes."""
        return set(self.conditions) <= {Condition.OPEN}
