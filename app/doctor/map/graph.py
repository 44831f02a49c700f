"""The map as values: groups of namespaces, and how they are connected with each other and with webhooks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Link(Enum):
    """How a connection stands, worst last: all of it passes, it hangs by an ``ipBlock``, or some is lost."""

    OPEN = "open"
    AT_RISK = "at risk"
    UNKNOWN = "not known"
    LOST = "lost"


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
    link: Link
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hook:
    """From one source of the API server's calls to a webhook."""

    source: str
    webhook: str
    ports: str
    link: Link
    why: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reach:
    """The whole map; ``order`` of everything is that in which it is drawn."""

    groups: tuple[Group, ...]
    edges: tuple[Edge, ...]
    hooks: tuple[Hook, ...]

    @property
    def troubles(self) -> Mapping[tuple[Link, tuple[str, ...]], tuple[Edge, ...]]:
        """The connections that are not open, those with the same reason together, the worst first."""
        found: dict[tuple[Link, tuple[str, ...]], tuple[Edge, ...]] = {}
        for one in sorted(self.edges, key=lambda edge: list(Link).index(edge.link), reverse=True):
            if one.link is not Link.OPEN:
                found[one.link, one.why] = (*found.get((one.link, one.why), ()), one)
        return found

    @property
    def is_whole(self) -> bool:
        """Whether everything that is required passes."""
        links = (*(one.link for one in self.edges), *(one.link for one in self.hooks))
        return all(one is Link.OPEN for one in links)
