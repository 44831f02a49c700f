"""The question about a region as a formula: its dimensions, and what it takes to be in or out of a rule."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from app.engine.budget import Budget, TooComplexError, demand
from app.engine.points import Peer, Point
from app.engine.policy import Direction, Peers, PodPeer, Policy, Rule
from app.engine.ports import ALL_NUMBERS, PortName, PortSet, at, port_range
from app.engine.regions import ExistingPods, FuturePods, Outside, Region, Side
from app.engine.search.dimensions import (
    Clause,
    CodedDimension,
    Formula,
    IntervalDimension,
    LabelDimension,
    Literal,
)
from app.engine.selectors import NAMESPACE_NAME_LABEL, LabelSet, Selector, fresh_value

_LARGEST_FORMULA = 2_000_000
"""Clauses; a formula past that is given up before the solver is asked."""


class Space:
    """The dimensions of one region, for all policies that take part in one question."""

    def __init__(self, region: Region, sides: Sequence[Side], budget: Budget) -> None:
        self.formula = Formula()
        self.region = region
        self._sides = sides
        self._budget = budget
        self._policies = [
            policy for side in sides for policy in side.policies if policy.isolates(region.direction)
        ]
        self._rules = [rule for policy in self._policies for rule in policy.allowing(region.direction)]
        self._peers = [peer for rule in self._rules if rule.peers is not None for peer in rule.peers.pods]
        self.subject = self._labels([region.subject, *(policy.pods for policy in self._policies)])
        self.peer: dict[str, LabelDimension] = {}
        self.namespace: dict[str, LabelDimension] = {}
        self.groups: list[int] = []
        self._add_peer()
        self._add_ports()
        self._peer_memo: dict[tuple[int, int], Literal | None] = {}
        self._port_memo: dict[int, Literal | None] = {}
        self._group_memo: dict[tuple[int, int], list[int]] = {}

    def check_budget(self) -> None:
        """Raise ``TooComplexError`` when time is up or the formula has outgrown its bound."""
        if len(self.formula.clauses) > _LARGEST_FORMULA:
            raise TooComplexError
        demand(self._budget)

    def _labels(self, selectors: Iterable[Selector]) -> dict[str, LabelDimension]:
        return label_dimensions(self.formula, selectors)

    def _add_peer(self) -> None:
        wanted = self.region.peer
        self.address: IntervalDimension | None = None
        domain = wanted.addresses if isinstance(wanted, Outside) else self._sides[0].world.pod_addresses
        if domain:
            blocks = [rule.peers.addresses for rule in self._rules if rule.peers is not None]
            self.address = IntervalDimension(self.formula, domain, blocks)
            self._require(self.address.inside(domain))
        if isinstance(wanted, Outside):
            return
        self.peer = self._labels([wanted.pods, *(peer.pods for peer in self._peers)])
        self._require_selector(self.peer, wanted.pods)
        if isinstance(wanted, FuturePods):
            self.namespace = self._labels([wanted.namespaces, *(peer.namespaces for peer in self._peers)])
            self._require_selector(self.namespace, wanted.namespaces)
        else:
            self._add_existing(wanted)

    def _add_existing(self, wanted: ExistingPods) -> None:
        required = self._sides[0].world.table.mask_of(wanted.namespaces)
        groups = [required] if required else []
        selectors = {id(peer.namespaces): peer.namespaces for peer in self._peers}.values()
        masks = {side.world.table.mask(selector) & required for side in self._sides for selector in selectors}
        for mask in masks:
            self.check_budget()
            groups = [part for group in groups for part in (group & mask, group & ~mask) if part]
        self.groups = sorted(groups, key=lambda group: group & -group)
        self.existing = CodedDimension(self.formula, len(self.groups))
        unused = range(len(self.groups), 1 << len(self.existing.bits))
        self.formula.clauses.extend(self.existing.differs(code) for code in unused)

    def _add_ports(self) -> None:
        sets = [rule.ports.numbers for rule in self._rules]
        names = {name for rule in self._rules for name in rule.ports.names} | self.region.port_names
        ranges = [port_range(protocol) for protocol, _ in names]
        self.ports = IntervalDimension(self.formula, self.region.ports, [*sets, *ranges])
        self._require(self.ports.inside(self.region.ports))
        self.names: dict[PortName, Literal] = {
            name: self.formula.variable() for name in sorted(names, key=str)
        }
        for name in self.region.port_names:
            self._require(self.names[name])
        if self.region.direction is Direction.EGRESS and isinstance(self.region.peer, Outside):
            # Rule 20: a port name resolves against the destination pod, so never for an address outside.
            for literal in self.names.values():
                self._require(-literal)

    def _require(self, literal: Literal) -> None:
        self.formula.clauses.append([literal])

    def _require_selector(self, dimensions: dict[str, LabelDimension], selector: Selector) -> None:
        for key, accepted in selector.terms:
            self._require(dimensions[key].inside(accepted))

    # -- subjects ------------------------------------------------------------------------------------------

    def subject_outside(self, policy: Policy) -> Clause:
        """Return literals of which one must hold for the judged pod not to be selected by ``policy``."""
        return selector_outside(self.subject, policy.pods.terms)

    def subject_inside(self, policy: Policy) -> Literal:
        """Return a literal from which follows that ``policy`` selects the judged pod."""
        return self._selector_inside(self.subject, policy.pods)

    def _selector_inside(self, dimensions: dict[str, LabelDimension], selector: Selector) -> Literal:
        return self.formula.all_of(dimensions[key].inside(accepted) for key, accepted in selector.terms)

    # -- rules ---------------------------------------------------------------------------------------------

    def rule_outside(self, rule: Rule, side: Side) -> Clause | None:
        """Return literals of which one must hold for ``rule`` not to match; None where it cannot match."""
        peer = self._peers_outside(rule.peers, side)
        if peer is None:
            return None
        ports = self._ports_outside(rule.ports)
        return None if ports is None else [*peer, *ports]

    def rule_inside(self, rule: Rule, side: Side) -> Literal:
        """Return a literal from which follows that ``rule`` matches."""
        return self.formula.all_of((self._peers_inside(rule.peers, side), self._ports_inside(rule.ports)))

    def _peers_outside(self, peers: Peers | None, side: Side) -> Clause | None:
        if peers is None:
            return []
        options = [clause for clause in self._peer_clauses(peers, side) if clause is not None]
        if not options:
            return None
        if len(options) == 1:
            return options[0]
        key = (id(peers), id(side.world))
        member = self._peer_memo.get(key)
        if member is None:
            member = self._peer_memo[key] = self._conjunction(options)
        return [-member]

    def _conjunction(self, options: Iterable[Clause]) -> Literal:
        """Return a literal that must be true as soon as one of the clauses ``options`` is not satisfied."""
        member = self.formula.variable()
        self.formula.clauses.extend([member, *clause] for clause in options)
        return member

    def _peer_clauses(self, peers: Peers, side: Side) -> Iterator[Clause | None]:
        if peers.addresses and self.address is not None:
            yield self.address.outside(peers.addresses)
        if not isinstance(self.region.peer, Outside):
            for peer in peers.pods:
                yield self._pod_peer_outside(peer, side)

    def _pod_peer_outside(self, peer: PodPeer, side: Side) -> Clause | None:
        pods = selector_outside(self.peer, peer.pods.terms)
        if isinstance(self.region.peer, FuturePods):
            return [*selector_outside(self.namespace, peer.namespaces.terms), *pods]
        codes = self._group_codes(peer, side)
        if not codes:
            return None
        if len(codes) == len(self.groups):
            return pods
        return [*self.existing.outside(codes), *pods]

    def _group_codes(self, peer: PodPeer, side: Side) -> list[int]:
        key = (id(peer.namespaces), id(side.world))
        codes = self._group_memo.get(key)
        if codes is None:
            mask = side.world.table.mask(peer.namespaces)
            codes = [code for code, group in enumerate(self.groups) if group & mask]
            self._group_memo[key] = codes
        return codes

    def _peers_inside(self, peers: Peers | None, side: Side) -> Literal:
        if peers is None:
            return self.formula.true
        options: list[Literal] = []
        if peers.addresses and self.address is not None:
            options.append(self.address.inside(peers.addresses))
        if not isinstance(self.region.peer, Outside):
            options += [self._pod_peer_inside(peer, side) for peer in peers.pods]
        return self.formula.any_of(options)

    def _pod_peer_inside(self, peer: PodPeer, side: Side) -> Literal:
        pods = self._selector_inside(self.peer, peer.pods)
        if isinstance(self.region.peer, FuturePods):
            namespaces = self._selector_inside(self.namespace, peer.namespaces)
        else:
            namespaces = self.existing.inside(self._group_codes(peer, side))
        return self.formula.all_of((namespaces, pods))

    def _ports_outside(self, ports: PortSet) -> Clause | None:
        if ports.numbers == ALL_NUMBERS:
            return []
        if not ports.names:
            return self.ports.outside(ports.numbers) if ports.numbers else None
        member = self._port_memo.get(id(ports))
        if member is None:
            options = [[-self.names[name], *self.ports.outside(port_range(name[0]))] for name in ports.names]
            if ports.numbers:
                options.append(self.ports.outside(ports.numbers))
            member = self._port_memo[id(ports)] = self._conjunction(options)
        return [-member]

    def _ports_inside(self, ports: PortSet) -> Literal:
        named = [
            self.formula.all_of((self.names[name], self.ports.inside(port_range(name[0]))))
            for name in ports.names
        ]
        return self.formula.any_of([self.ports.inside(ports.numbers), *named] if ports.numbers else named)

    # -- the answer ----------------------------------------------------------------------------------------

    def decode(self, model: set[int]) -> Point:
        """Return the point that a model of the formula stands for."""
        place = self.ports.decode(model)
        protocol = at(place)[0]
        chosen = {name for (of, name), variable in self.names.items() if of is protocol and variable in model}
        return Point(decode_labels(self.subject, model), self._decode_peer(model), place, frozenset(chosen))

    def _decode_peer(self, model: set[int]) -> Peer:
        address = None if self.address is None else self.address.decode(model)
        if isinstance(self.region.peer, Outside):
            return Peer(address=address)
        labels = decode_labels(self.peer, model)
        if isinstance(self.region.peer, FuturePods):
            namespace = decode_labels(self.namespace, model)
            name = namespace.get(NAMESPACE_NAME_LABEL) or fresh_value(self._sides[0].world.table.order)
            return Peer(name, {**namespace, NAMESPACE_NAME_LABEL: name}, labels, address)
        table = self._sides[-1].world.table
        lowest = self.groups[self.existing.decode(model)]
        name = table.order[(lowest & -lowest).bit_length() - 1]
        return Peer(name, table.namespaces[name].labels, labels, address)


def label_dimensions(formula: Formula, selectors: Iterable[Selector]) -> dict[str, LabelDimension]:
    """Return the dimensions of the labels that ``selectors`` restrict."""
    values: dict[str, set[str]] = defaultdict(set)
    for selector in selectors:
        for key, accepted in selector.terms:
            values[key] |= accepted.values
    return {key: LabelDimension(formula, mentioned) for key, mentioned in values.items()}


def decode_labels(dimensions: dict[str, LabelDimension], model: set[int]) -> dict[str, str]:
    """Return the labels that a model of the formula chose."""
    decoded = ((key, dimension.decode(model)) for key, dimension in sorted(dimensions.items()))
    return {key: value for key, value in decoded if value is not None}


def selector_outside(dimensions: dict[str, LabelDimension], terms: Iterable[tuple[str, LabelSet]]) -> Clause:
    """Return literals of which one must hold for labels not to be matched by a selector of ``terms``."""
    clause: Clause = []
    for key, accepted in terms:
        clause += dimensions[key].outside(accepted)
    return clause
