"""The rules of one namespace in one direction as numbered boxes over the dimensions of a flow.

A rule is as many boxes as it has kinds of peers and of ports: each pod peer, its addresses as one, its port
numbers as one, each port name. A policy that isolates is a box too, of the pods that it selects and of
whatever peers and ports, for "not isolated" is being in none of these.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from app.engine.budget import Budget, demand
from app.engine.intervals import IntervalSet, Span
from app.engine.policy import Direction, Policy, Rule
from app.engine.ports import ALL_NUMBERS, PortName, PortSet, port_range
from app.engine.regions import NamespaceTable
from app.engine.search.classes import GaveUpError, LabelClasses, Mask, Option, interval_options
from app.engine.selectors import EVERYTHING, Selector

_BOXES_PER_LOOK = 256
"""Boxes that are entered between two looks at the budget; and policies, of which each may have none."""
_MOST_BOXES = 20_000
"""Every set of boxes has a bit for each, so that memory grows with the square of their number."""
_GROUPS_PER_LOOK = 1_000
"""Groups of namespaces that are split between two looks."""
_MOST_PARTS = 8
"""Parts of the pods that get boxes of their own; where more are asked about, all policies serve all."""
_FEW = 4
"""Policies are few if they are at most one in so many."""


class Boxes:
    """Boxes of the rules of ``allowing`` and of the pods of ``isolating``, in one direction."""

    def __init__(
        self,
        direction: Direction,
        allowing: Sequence[Policy],
        isolating: Sequence[Policy],
        budget: Budget,
    ) -> None:
        """Raises ``GaveUpError`` where there are too many, and ``TooComplexError``."""
        self._direction = direction
        self._budget = budget
        self._count = 0
        self.subjects: dict[str, LabelClasses] = {}
        """The labels of the judged pod; ``pods``: those of a peer."""
        self.pods: dict[str, LabelClasses] = {}
        self.rules: Mask = 0
        """All boxes of rules; ``isolators``: all of policies."""
        self.isolators: Mask = 0
        self.of_pods: Mask = 0
        """The boxes of pod peers; ``of_addresses``: of ``ipBlock``s. All others take any peer."""
        self.of_addresses: Mask = 0
        self.by_name: dict[PortName, Mask] = {}
        self._by_namespaces: dict[int, tuple[Selector, Mask]] = {}
        self._by_addresses: dict[tuple[Span, ...], Mask] = {}
        self._by_ports: dict[tuple[Span, ...], Mask] = {}
        self._with_ports: Mask = 0
        self._future: dict[str, LabelClasses] | None = None
        self._port_options: dict[tuple[Span, ...], list[Option]] = {}
        for index, policy in enumerate(allowing):
            if index % _BOXES_PER_LOOK == 0:
                demand(budget)
            self.rules |= self._add_policy(policy)
        for policy in isolating:
            box = self._next()
            self.isolators |= box
            add_selector(self.subjects, policy.pods, box)

    def _next(self) -> Mask:
        if self._count % _BOXES_PER_LOOK == 0:
            demand(self._budget)
        if self._count >= _MOST_BOXES:
            raise GaveUpError
        box = 1 << self._count
        self._count += 1
        return box

    def _add_policy(self, policy: Policy) -> Mask:
        first = self._count
        for rule in policy.allowing(self._direction):
            self._add_rule(rule)
        boxes = (1 << self._count) - (1 << first)
        if boxes:
            add_selector(self.subjects, policy.pods, boxes)
        return boxes

    def _add_rule(self, rule: Rule) -> None:
        if rule.peers is None:
            self._add_ports(rule.ports)
            return
        for peer in rule.peers.pods:
            boxes = self._add_ports(rule.ports)
            self.of_pods |= boxes
            add_selector(self.pods, peer.pods, boxes)
            if peer.namespaces.terms:
                # By identity: hashing a selector costs more than all the rest of a box.
                _, known = self._by_namespaces.get(id(peer.namespaces), (None, 0))
                self._by_namespaces[id(peer.namespaces)] = peer.namespaces, known | boxes
        if rule.peers.addresses:
            boxes = self._add_ports(rule.ports)
            self.of_addresses |= boxes
            spans = rule.peers.addresses.spans
            self._by_addresses[spans] = self._by_addresses.get(spans, 0) | boxes

    def _add_ports(self, ports: PortSet) -> Mask:
        """Enter a box for the numbers of ``ports``, and one for each name; return them."""
        boxes = self._with_numbers(ports.numbers) if ports.numbers else 0
        for name in ports.names:
            box = self._with_numbers(port_range(name[0]))
            self.by_name[name] = self.by_name.get(name, 0) | box
            boxes |= box
        return boxes

    def _with_numbers(self, numbers: IntervalSet) -> Mask:
        box = self._next()
        if numbers.spans != ALL_NUMBERS.spans:
            self._with_ports |= box
            self._by_ports[numbers.spans] = self._by_ports.get(numbers.spans, 0) | box
        return box

    # -- classes -------------------------------------------------------------------------------------------

    def unnamed(self, names: Iterable[PortName]) -> Mask:
        """Return the boxes of port names that are not among ``names``, which the port then does not have."""
        chosen = set(names)
        found = 0
        for name, boxes in self.by_name.items():
            if name not in chosen:
                found |= boxes
        return found

    def port_options(self, domain: IntervalSet) -> list[Option]:
        """Return the classes of ports within ``domain``."""
        found = self._port_options.get(domain.spans)
        if found is None:
            found = interval_options(domain, self._by_ports, self._with_ports, self._budget)
            self._port_options[domain.spans] = found
        return found

    def address_options(self, domain: IntervalSet) -> list[Option]:
        """Return the classes of addresses within ``domain``."""
        return interval_options(domain, self._by_addresses, self.of_addresses, self._budget)

    def namespace_options(self, table: NamespaceTable, within: int) -> list[Option]:
        """Return the classes of today's namespaces, each by the number of its first in ``table``.

        ``within`` is the mask of those that are asked for.
        """
        groups, restricted, split = [(within, 0)], 0, 0
        for selector, boxes in self._by_namespaces.values():
            split += len(groups)
            if split >= _GROUPS_PER_LOOK:
                demand(self._budget)
                split = 0
            restricted |= boxes
            matching = table.mask(selector) & within
            parts = [(group & matching, found | boxes) for group, found in groups]
            parts += [(group & ~matching, found) for group, found in groups]
            groups = [part for part in parts if part[0]]
        first: dict[Mask, int] = {}
        for group, boxes in groups:
            number = (group & -group).bit_length() - 1
            first[boxes] = min(number, first.get(boxes, number))
        return [(number, ~restricted | boxes) for boxes, number in first.items()]

    def future_namespaces(self) -> dict[str, LabelClasses]:
        """Return the classes of the labels of namespaces to come."""
        if self._future is None:
            self._future = {}
            for selector, boxes in self._by_namespaces.values():
                add_selector(self._future, selector, boxes)
        return self._future


class BoxesByPods:
    """The boxes of all policies in one direction, or of those that have to do with some pods only.

    Where every policy is about few pods, a question about some of them is one about few policies.
    """

    def __init__(
        self, direction: Direction, before: Sequence[Policy], after: Sequence[Policy], budget: Budget
    ) -> None:
        self._direction = direction
        self._allowing = [policy for policy in after if policy.allowing(direction)]
        self._isolating = [policy for policy in before if policy.isolates(direction)]
        self._budget = budget
        self._boxes: dict[Selector, Boxes] = {}

    def about(self, pods: Selector) -> Boxes:
        """Return the boxes that can hold flows of ``pods``; perhaps others, too."""
        found = self._boxes.get(pods)
        if found is not None:
            return found
        if not pods.terms or len(self._boxes) >= _MOST_PARTS:
            return self._of_all()
        found = self._boxes[pods] = self._of_few(pods) or self._of_all()
        return found

    def _of_few(self, pods: Selector) -> Boxes | None:
        terms = dict(pods.terms)
        allowing = [policy for policy in self._allowing if policy.pods.overlaps(terms)]
        isolating = [policy for policy in self._isolating if policy.pods.overlaps(terms)]
        if _FEW * (len(allowing) + len(isolating)) > len(self._allowing) + len(self._isolating):
            return None
        return Boxes(self._direction, allowing, isolating, self._budget)

    def _of_all(self) -> Boxes:
        found = self._boxes.get(EVERYTHING)
        if found is None:
            found = Boxes(self._direction, self._allowing, self._isolating, self._budget)
            self._boxes[EVERYTHING] = found
        return found


def add_selector(dimensions: dict[str, LabelClasses], selector: Selector, boxes: Mask) -> None:
    """Enter ``boxes`` into the dimensions of the keys that ``selector`` restricts."""
    for key, accepted in selector.terms:
        classes = dimensions.get(key)
        if classes is None:
            classes = dimensions[key] = LabelClasses()
        classes.add(accepted, boxes)
