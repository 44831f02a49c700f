"""Whether a policy changes anything beside others: the "no effect" answer (``docs/design/decisions.md``)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from app.engine.addresses import ALL_OF, Family
from app.engine.budget import Budget
from app.engine.points import Point, rule_matches
from app.engine.policy import Direction, PodPeer, Policy, Rule
from app.engine.ports import ALL_NUMBERS
from app.engine.regions import ExistingPods, FuturePods, NamespaceTable, Outside, Region, Side, World
from app.engine.required_flows import future_namespaces
from app.engine.search.find import find_newly_lost, find_unselected
from app.engine.search.samples import sample_labels, sample_peers, sample_ports
from app.engine.selectors import EVERYTHING, Selector, pinned_names

_MOST_LOOKS = 50_000
"""Rules and peers that are looked at one by one before the exact search is asked, which has its own bound."""


@dataclass(frozen=True, slots=True)
class Question:
    """One policy beside others of its namespace, in one direction."""

    policy: Policy
    others: Sequence[Policy]
    direction: Direction
    world: World

    def shows_effect(self) -> bool:
        """Tell whether one plain pod or flow proves an effect. Sufficient only.

        So it is with most policies: somebody wrote them to change something.
        """
        if not self.policy.isolates(self.direction) or not self.policy.pods:
            return False
        labels = sample_labels(self.policy.pods)
        is_isolated = False
        allowing: list[Rule] = []
        for other in self.others:
            if other.isolates(self.direction) and other.pods.matches(labels):
                is_isolated = True
                allowing += other.allowing(self.direction)
        samples = islice(self._samples(labels), _MOST_LOOKS // (_size(allowing) + 1) + 1)
        return not is_isolated or any(
            not any(rule_matches(rule, point) for rule in allowing) for point in samples
        )

    def _samples(self, labels: Mapping[str, str]) -> Iterator[Point]:
        """Yield flows that the policy allows; an address outside has no names for its ports (rule 20)."""
        for rule in self.policy.allowing(self.direction):
            ports = sample_ports(rule.ports)
            for peer in sample_peers(rule.peers, self.world.table):
                for place, names in ports:
                    if not names or peer.namespace is not None or self.direction is Direction.INGRESS:
                        yield Point(labels, peer, place, names)

    def isolates_more(self, budget: Budget) -> bool:
        """Tell whether the policy isolates a pod that the others leave alone."""
        if not self.policy.isolates(self.direction):
            return False
        selectors = [other.pods for other in self.others if other.isolates(self.direction)]
        if any(self.policy.pods.is_subset(selector) for selector in selectors):
            return False
        return find_unselected(self.policy.pods, selectors, budget) is not None

    def allows_more(self, budget: Budget) -> bool:
        """Tell whether the policy allows a flow that the others do not."""
        if self.is_contained():
            return False
        return self._may_name_ports_by_address() or self.search_allows_more(budget)

    def _may_name_ports_by_address(self) -> bool:
        """Tell whether a rule lets out to named ports at addresses.

        Nothing passes by it to an address outside (rule 20), but to pods where the network plugin lets
        ``ipBlock`` match them (rule 13), and nobody knows whether it does.
        """
        return self.direction is Direction.EGRESS and any(
            rule.ports.names and (rule.peers is None or rule.peers.addresses)
            for rule in self.policy.allowing(self.direction)
        )

    def is_contained(self) -> bool:
        """Tell whether each rule is contained in one rule of one other policy. Sufficient only."""
        rules = self.policy.allowing(self.direction)
        looks = _size(rules) * sum(_size(other.allowing(self.direction)) for other in self.others)
        return looks <= _MOST_LOOKS and all(map(self._contained, rules))

    def search_allows_more(self, budget: Budget) -> bool:
        """Tell by the exact search whether the policy allows a flow that the others do not."""
        before, after = Side([*self.others, self.policy], self.world), Side(self.others, self.world)
        return any(
            find_newly_lost(region, before, after, budget) is not None
            for region in everywhere(self.direction, self.policy.pods, self.world.table)
        )

    def _contained(self, rule: Rule) -> bool:
        """Tell whether one rule of one other policy allows all that ``rule`` does. Sufficient only."""
        return any(
            self.policy.pods.is_subset(other.pods)
            and any(_rule_within(rule, wider, self.world.table) for wider in other.allowing(self.direction))
            for other in self.others
        )


def everywhere(direction: Direction, pods: Selector, table: NamespaceTable) -> Iterator[Region]:
    """Yield regions that together hold every flow of ``pods`` in ``direction``, from or to anyone."""
    taken = frozenset(table.order)
    for peer in (
        ExistingPods(taken),
        FuturePods(future_namespaces(taken, EVERYTHING)),
        Outside(ALL_OF[Family.IPV4] | ALL_OF[Family.IPV6]),
    ):
        yield Region(direction, pods, peer, ALL_NUMBERS)


def has_no_effect(policy: Policy, others: Sequence[Policy], world: World, budget: Budget) -> bool:
    """Tell whether ``policy`` restricts nothing and allows nothing new beside ``others``.

    ``others`` are the remaining policies of the same namespace; those that are being deleted do not count, as
    they may be gone any moment. Raises ``TooComplexError``.
    """
    staying = [other for other in others if not other.terminating]
    questions = [Question(policy, staying, direction, world) for direction in policy.types]
    return (
        not any(question.shows_effect() for question in questions)
        and not any(question.isolates_more(budget) for question in questions)
        and not any(question.allows_more(budget) for question in questions)
    )


def _size(rules: Sequence[Rule]) -> int:
    """Return how many things there are to look at in ``rules``: each rule, and each of its peers."""
    return sum(1 if rule.peers is None else 1 + len(rule.peers.pods) for rule in rules)


def _rule_within(rule: Rule, other: Rule, table: NamespaceTable) -> bool:
    if not rule.ports.is_subset(other.ports):
        return False
    if other.peers is None:
        return True
    if rule.peers is None or not rule.peers.addresses.is_subset(other.peers.addresses):
        return False
    return all(any(_peer_within(peer, two, table) for two in other.peers.pods) for peer in rule.peers.pods)


def _peer_within(peer: PodPeer, other: PodPeer, table: NamespaceTable) -> bool:
    return peer.pods.is_subset(other.pods) and _namespaces_within(peer.namespaces, other.namespaces, table)


def _namespaces_within(selector: Selector, other: Selector, table: NamespaceTable) -> bool:
    if selector.is_subset(other):
        return True
    names = pinned_names(selector)
    if names is None or not names <= table.namespaces.keys():
        return False
    return not table.mask(selector) & ~table.mask(other)
