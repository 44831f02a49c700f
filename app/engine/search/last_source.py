"""Whether a change shuts a pod behind a webhook out from every source of the API server's calls.

One guessed source less is no harm while another lets the calls of each pod in. Which sources a pod is reached
by is a matter of its labels: two policies may let in one source each, for different pods.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise, product
from math import prod

from app.engine.budget import Budget, demand
from app.engine.intervals import IntervalSet
from app.engine.policy import Direction, Policy, Rule
from app.engine.regions import Outside, Region, Side, rule_covers
from app.engine.search.find import find_unselected
from app.engine.search.samples import sample_labels
from app.engine.selectors import Selector

_MOST = 4_000
"""Parts of regions, and ways to be shut out, that are looked at; past that a pod is taken to be shut out."""

_Cover = frozenset[Selector]
"""Which pods are let in: those that one of these selects."""


def find_shut_out(
    regions: Sequence[Region], before: Side, after: Side, budget: Budget
) -> Mapping[str, str] | None:
    """Return labels of a pod that some region had open before, and that has none open after; None if none.

    ``regions`` are the sources of one target: they differ in their peers. A pod has a region open if all of
    it is let in. Raises ``TooComplexError``.
    """
    subject = regions[0].subject
    open_before = [_covers(region, before) for region in regions]
    open_after = [_covers(region, after) for region in regions]
    isolating = _isolating(after.policies)
    ways = (
        prod(map(len, open_after)) * len(isolating) * (1 + sum(prod(map(len, each)) for each in open_before))
    )
    if ways > _MOST:
        return sample_labels(subject)
    isolated_before = _isolating(before.policies)
    for closed in product(*open_after):
        avoided = frozenset[Selector]().union(*closed)
        for base in (subject & selector for selector in isolating):
            demand(budget)
            found = find_unselected(base, [*avoided, *isolated_before], budget)
            if found is not None:
                return found
            for had in _had_one_open(base, open_before):
                found = find_unselected(had, [*avoided], budget)
                if found is not None:
                    return found
    return None


def _had_one_open(base: Selector, covers: Iterable[Sequence[_Cover]]) -> Iterator[Selector]:
    """Yield which pods of ``base``, though isolated, had all of a region open."""
    for cover in covers:
        for chosen in product(*cover):
            had = base
            for selector in chosen:
                had &= selector
            if had:
                yield had


def _covers(region: Region, side: Side) -> Sequence[_Cover]:
    """Return, for the parts of ``region`` that rules tell apart, which pods have each open.

    Those that are open wherever another is are left out.
    """
    rules = [
        (policy.pods, rule)
        for policy in side.policies
        if policy.pods & region.subject
        for rule in policy.allowing(Direction.INGRESS)
    ]
    parts = _parts(region, [rule for _, rule in rules])
    found = {frozenset(pods for pods, rule in rules if rule_covers(rule, part, side.world)) for part in parts}
    return [cover for cover in found if not any(other < cover for other in found)]


def _parts(region: Region, rules: Sequence[Rule]) -> list[Region]:
    """Return parts of ``region`` of which no rule lets in one half; all of it where those are too many."""
    ports = _split(region.ports, (rule.ports.numbers for rule in rules))
    if not isinstance(region.peer, Outside):
        return [replace(region, ports=part) for part in ports] if len(ports) <= _MOST else [region]
    peers = _split(region.peer.addresses, (rule.peers.addresses for rule in rules if rule.peers is not None))
    if len(ports) * len(peers) > _MOST:
        return [region]
    return [replace(region, ports=part, peer=Outside(peer)) for part in ports for peer in peers]


def _split(whole: IntervalSet, by: Iterable[IntervalSet]) -> list[IntervalSet]:
    """Return ``whole`` cut at the borders of ``by``."""
    borders = sorted({border for places in by for span in places.spans for border in span})
    found = []
    for low, high in whole.spans:
        inside = [low, *(border for border in borders if low < border < high), high]
        found += [IntervalSet.of(span) for span in pairwise(inside)]
    return found


def _isolating(policies: Iterable[Policy]) -> list[Selector]:
    return list({policy.pods: None for policy in policies if policy.isolates(Direction.INGRESS)})
