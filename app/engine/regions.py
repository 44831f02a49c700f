"""Regions: the sets of points that must stay possible, or that one rule opens.

``Region`` is a box over the dimensions of a flow. The cheap sufficient test lives here: one policy that,
alone, lets a whole region through settles it without a search (``decision.md``, Deciding exactly).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.engine.selectors import EVERYTHING, Selector

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from app.engine.intervals import IntervalSet
    from app.engine.policy import Direction, Namespace, Peers, Policy, Rule
    from app.engine.ports import PortName


class NamespaceTable:
    """All namespaces of one state, and which of them a selector matches, as a bit mask.

    Answers are remembered per selector, since the same few selectors recur in every policy.
    """

    _MOST = 4096

    __slots__ = ("_masks", "_places", "namespaces", "order")

    def __init__(self, namespaces: Mapping[str, Namespace]) -> None:
        self.namespaces = namespaces
        self.order = tuple(namespaces)
        self._places = {name: index for index, name in enumerate(self.order)}
        self._masks: dict[Selector, int] = {}

    def mask(self, selector: Selector) -> int:
        """Return the namespaces that ``selector`` matches: bit i stands for ``order[i]``."""
        found = self._masks.get(selector)
        if found is None:
            if len(self._masks) >= self._MOST:
                self._masks.clear()
            found = self._masks[selector] = sum(
                1 << index
                for index, name in enumerate(self.order)
                if selector.matches(self.namespaces[name].labels)
            )
        return found

    def mask_of(self, names: Iterable[str]) -> int:
        """Return the mask of the given namespaces; names that do not exist are left out."""
        return sum(1 << self._places[name] for name in names if name in self._places)


@dataclass(frozen=True, slots=True)
class ExistingPods:
    """Pods that match ``pods`` in the named, existing namespaces."""

    namespaces: frozenset[str]
    pods: Selector = EVERYTHING


@dataclass(frozen=True, slots=True)
class FuturePods:
    """Pods that match ``pods`` in namespaces that do not exist yet and will match ``namespaces``."""

    namespaces: Selector
    pods: Selector = EVERYTHING


@dataclass(frozen=True, slots=True)
class Outside:
    """Addresses that belong to no pod."""

    addresses: IntervalSet


PeerRegion = ExistingPods | FuturePods | Outside


@dataclass(frozen=True, slots=True)
class Region:
    """A box of points: judged pods x peers x ports.

    ``port_names`` are names that the destination is known to give to the ports (a named ``targetPort``).
    """

    direction: Direction
    subject: Selector
    peer: PeerRegion
    ports: IntervalSet
    port_names: frozenset[PortName] = frozenset()


@dataclass(frozen=True, slots=True)
class Facts:
    """What a containment test or search needs beside the policies.

    ``pod_addresses``: the addresses pods may have where ``ipBlock`` counts as matching pods, else None.
    """

    table: NamespaceTable
    pod_addresses: IntervalSet | None = None


def _ports_cover(rule: Rule, region: Region) -> bool:
    if region.ports.is_subset(rule.ports.numbers):
        return True
    return bool(region.port_names & rule.ports.names)


def _peers_cover(peers: Peers | None, region: Region, facts: Facts) -> bool:
    if peers is None:
        return True
    wanted = region.peer
    if isinstance(wanted, Outside):
        return wanted.addresses.is_subset(peers.addresses)
    if facts.pod_addresses is not None and facts.pod_addresses.is_subset(peers.addresses):
        return True
    if isinstance(wanted, FuturePods):
        return any(
            wanted.namespaces.is_subset(one.namespaces) and wanted.pods.is_subset(one.pods)
            for one in peers.pods
        )
    mask = facts.table.mask_of(wanted.namespaces)
    return any(
        wanted.pods.is_subset(one.pods) and not mask & ~facts.table.mask(one.namespaces) for one in peers.pods
    )


def rule_covers(rule: Rule, region: Region, facts: Facts) -> bool:
    """Tell whether ``rule``, alone, lets all of ``region`` through (judged pods aside). Sufficient only."""
    return _ports_cover(rule, region) and _peers_cover(rule.peers, region, facts)


def policy_covers(policy: Policy, region: Region, facts: Facts) -> bool:
    """Tell whether ``policy``, alone, surely lets all of ``region`` through. Sufficient, not necessary."""
    rules = policy.rules(region.direction)
    return (
        bool(rules)
        and region.subject.is_subset(policy.pods)
        and any(rule_covers(rule, region, facts) for rule in rules)
    )
