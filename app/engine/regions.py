"""Regions: the sets of points that must stay possible, or that one rule opens.

``Region`` is a box over the dimensions of a flow. The cheap sufficient test lives here: one policy that,
alone, lets a whole region through settles it without a search (``docs/design/decisions.md``, Deciding
exactly).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from app.engine.intervals import IntervalSet
from app.engine.policy import Direction, Namespace, Peers, Policy, Rule
from app.engine.ports import PortName
from app.engine.selectors import EVERYTHING, LabelSet, Selector

_MOST_RULES = 256
"""Rules of one policy that are looked at one by one; where none of these will do, the search decides."""


class NamespaceTable:
    """All namespaces of one state, and which of them a selector matches, as a bit mask.

    Answers are remembered per selector, since the same few selectors recur in every policy.
    """

    _MOST = 4096
    _MOST_NAMED = 64  # a set of names is as large as the cluster

    __slots__ = ("_by_label", "_everybody", "_masks", "_named", "_places", "namespaces", "order")

    def __init__(self, namespaces: Mapping[str, Namespace]) -> None:
        self.namespaces = namespaces
        self.order = tuple(namespaces)
        self._places = {name: index for index, name in enumerate(self.order)}
        self._everybody = (1 << len(self.order)) - 1
        self._masks: dict[Selector, int] = {}
        self._named: dict[frozenset[str], int] = {}
        self._by_label: dict[str, dict[str | None, int]] = {}

    def __reduce__(self) -> tuple[type[NamespaceTable], tuple[Mapping[str, Namespace]]]:
        """Be sent to another process without what is remembered."""
        return NamespaceTable, (self.namespaces,)

    def mask(self, selector: Selector) -> int:
        """Return the namespaces that ``selector`` matches: bit i stands for ``order[i]``."""
        found = self._masks.get(selector)
        if found is None:
            if len(self._masks) >= self._MOST:
                self._masks.clear()
            found = self._everybody
            for key, accepted in selector.terms:
                found &= self._accepting(key, accepted)
            self._masks[selector] = found
        return found

    def _accepting(self, key: str, accepted: LabelSet) -> int:
        """Return the namespaces whose label ``key`` is in ``accepted``, from an index of that label."""
        known = self._by_label.get(key)
        if known is None:
            known = self._by_label[key] = self._indexed(key)
        absent = known.get(None, 0)
        found = 0
        for value in accepted.values:
            found |= known.get(value, 0)
        if accepted.cofinite:
            found = self._everybody & ~absent & ~found
        return found | absent if accepted.absent else found

    def _indexed(self, key: str) -> dict[str | None, int]:
        """Return the namespaces by the value of their label ``key``, None for those without it."""
        index: dict[str | None, int] = {}
        for place, name in enumerate(self.order):
            value = self.namespaces[name].labels.get(key)
            index[value] = index.get(value, 0) | 1 << place
        return index

    def mask_of(self, names: Iterable[str]) -> int:
        """Return the mask of the given namespaces; names that do not exist are left out."""
        if not isinstance(names, frozenset):
            return self._mask_of(names)
        found = self._named.get(names)
        if found is None:
            if len(self._named) >= self._MOST_NAMED:
                self._named.clear()
            found = self._named[names] = self._mask_of(names)
        return found

    def _mask_of(self, names: Iterable[str]) -> int:
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
class World:
    """What a containment test or search needs beside the policies.

    ``pod_addresses``: the addresses pods may have where ``ipBlock`` counts as matching pods, else None.
    """

    table: NamespaceTable
    pod_addresses: IntervalSet | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """Policies with the namespace labels they are judged against: the state before, or after, a change."""

    policies: Sequence[Policy]
    world: World


def _ports_cover(rule: Rule, region: Region) -> bool:
    if region.ports.is_subset(rule.ports.numbers):
        return True
    return bool(region.port_names & rule.ports.names)


def _peers_cover(peers: Peers | None, region: Region, world: World) -> bool:
    if peers is None:
        return True
    wanted = region.peer
    if isinstance(wanted, Outside):
        return wanted.addresses.is_subset(peers.addresses)
    if world.pod_addresses is not None and world.pod_addresses.is_subset(peers.addresses):
        return True
    if isinstance(wanted, FuturePods):
        return any(
            wanted.namespaces.is_subset(peer.namespaces) and wanted.pods.is_subset(peer.pods)
            for peer in peers.pods
        )
    mask = world.table.mask_of(wanted.namespaces)
    return any(
        wanted.pods.is_subset(peer.pods) and not mask & ~world.table.mask(peer.namespaces)
        for peer in peers.pods
    )


def rule_covers(rule: Rule, region: Region, world: World) -> bool:
    """Tell whether ``rule``, alone, lets all of ``region`` through (judged pods aside). Sufficient only."""
    return _ports_cover(rule, region) and _peers_cover(rule.peers, region, world)


def policy_covers(policy: Policy, region: Region, world: World) -> bool:
    """Tell whether ``policy``, alone, surely lets all of ``region`` through. Sufficient, not necessary."""
    return region.subject.is_subset(policy.pods) and any(
        rule_covers(rule, region, world) for rule in islice(policy.allowing(region.direction), _MOST_RULES)
    )
