"""The two baseline policies, what goes with them, and how to recognise one by meaning.

A baseline is recognised whatever its name and however it is written: the documented text with any non-empty
subset of the API server's sources, or what ``bootstrap`` would write here (``docs/design/decisions.md``,
Baselines first).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from app.engine.cluster import MANAGED, Cluster, Source, WebhookService
from app.engine.intervals import IntervalSet, Span
from app.engine.policy import ALLOW_ALL, Direction, Peers, PodPeer, Policy, Rule
from app.engine.ports import ALL_NUMBERS
from app.engine.selectors import EVERYTHING, Selector

OPERATOR_NAME = "iomete-spark-operator"
MANAGED_NAME = "iomete-ingress-egress"
BRIDGE_NAME = "netpol-guard-bridge"
OPENING_NAME = "netpol-guard-allow"
DOCUMENTED_WEBHOOK = "spark-operator"
DOCUMENTED_OPERATOR = Selector.labels({"service": "spark-operator"})
_BOTH = frozenset(Direction)
_MOST_PEERS, _MOST_LOOKS = 256, 500_000
"""Beyond that nobody looks whether rules add up to a baseline: each peer is held against each."""


def documented_webhook(namespace: str) -> WebhookService:
    """Return the webhook that is assumed where nobody can tell: all of TCP (``docs/design/iomete.md``)."""
    return WebhookService(namespace, DOCUMENTED_WEBHOOK, DOCUMENTED_OPERATOR, (), assumed=True)


class BaselineKind(Enum):
    """The two halves of the pair; they only work together."""

    OPERATOR = "operator"
    MANAGED = "managed"


@dataclass(frozen=True, slots=True)
class Baseline:
    """A policy recognised as a baseline; ``left_out`` are the sources that it does not let in."""

    kind: BaselineKind
    left_out: tuple[Source, ...] = ()


def operator_selectors(cluster: Cluster, namespace: str) -> tuple[Selector, ...]:
    """Return the selectors of the webhook Services of ``namespace``; the documented one without any."""
    real = {webhook.selector: None for webhook in cluster.webhooks if webhook.namespace == namespace}
    return tuple(real) or (DOCUMENTED_OPERATOR,)


def written_baselines(cluster: Cluster, namespace: str) -> tuple[Policy, ...]:
    """Return the baselines that ``bootstrap`` would write into ``namespace``."""
    peers = _source_peers(cluster.sources)
    operators = tuple(
        Policy(namespace, _numbered(OPERATOR_NAME, index), selector, _BOTH, (Rule(peers),), (ALLOW_ALL,))
        for index, selector in enumerate(operator_selectors(cluster, namespace))
    )
    managed = Policy(
        namespace, MANAGED_NAME, EVERYTHING, _BOTH, (Rule(Peers((PodPeer(MANAGED),))),), (ALLOW_ALL,)
    )
    return (*operators, managed)


def bridges(operators: Iterable[Policy]) -> tuple[Policy, ...]:
    """Return the policies that stand in for both baselines while these come or go.

    One for each selector of webhook pods among ``operators``, the baselines of that half: the union of what
    the two baselines let in and out there, so that nothing is ever wider than with the baselines.
    """
    found: dict[Selector, Peers] = {}
    namespace = ""
    for operator in operators:
        namespace = operator.namespace
        peers = _merged(operator.ingress) or Peers()
        known = found.get(operator.pods, Peers((PodPeer(MANAGED),)))
        pods = tuple(dict.fromkeys((*known.pods, *peers.pods)))
        found[operator.pods] = Peers(pods, known.addresses | peers.addresses)
    return tuple(
        Policy(namespace, _numbered(BRIDGE_NAME, index), selector, _BOTH, (Rule(peers),), (ALLOW_ALL,))
        for index, (selector, peers) in enumerate(found.items())
    )


def opening(namespace: str, other: str) -> Policy:
    """Return the policy that lets every pod of namespace ``other`` reach those of ``namespace``."""
    peers = Peers((PodPeer.own(other),))
    name = f"{OPENING_NAME}-{other}"
    return Policy(namespace, name, EVERYTHING, frozenset({Direction.INGRESS}), (Rule(peers),))


def means_the_same(policy: Policy, other: Policy) -> bool:
    """Tell whether two policies surely say the same, whatever their names and however they are written.

    Told for policies of the kinds that are written here: rules whose peers and ports add up to every port.
    """
    return (
        (policy.pods, policy.types, policy.terminating) == (other.pods, other.types, other.terminating)
        and _adds_up(policy.ingress, other.ingress)
        and _adds_up(policy.egress, other.egress)
    )


def _adds_up(rules: Sequence[Rule], others: Sequence[Rule]) -> bool:
    if rules == others or (_is_open(rules) and _is_open(others)):
        return True
    peers, wanted = _merged(rules), _merged(others)
    return peers is not None and wanted is not None and same_peers(peers, wanted)


def same_peers(peers: Peers, other: Peers) -> bool:
    """Tell whether both let in the same, in whatever order they say it."""
    return set(peers.pods) == set(other.pods) and peers.addresses == other.addresses


def _numbered(name: str, index: int) -> str:
    return name if index == 0 else f"{name}-{index + 1}"


def _source_peers(sources: Iterable[Source]) -> Peers:
    known = tuple(sources)
    pods = tuple({source.pods: None for source in known if source.pods is not None})
    addresses = IntervalSet.union(source.addresses for source in known if source.addresses is not None)
    return Peers(pods, addresses)


def recognise(policy: Policy, cluster: Cluster) -> Baseline | None:
    """Return which baseline ``policy`` is by meaning, None if it is none."""
    if policy.types != _BOTH or policy.terminating or not _is_open(policy.allowing(Direction.EGRESS)):
        return None
    selectors = {DOCUMENTED_OPERATOR, *operator_selectors(cluster, policy.namespace)}
    if policy.pods != EVERYTHING and policy.pods not in selectors:
        return None
    peers = _merged(policy.allowing(Direction.INGRESS))
    if policy.pods == EVERYTHING and peers == Peers((PodPeer(MANAGED),)):
        return Baseline(BaselineKind.MANAGED)
    if policy.pods not in selectors or peers is None:
        return None
    return _operator_baseline(peers, cluster.sources)


def resembles(policy: Policy, cluster: Cluster) -> bool:
    """Tell whether ``policy`` is named and built as the operator's baseline, whatever it lets in."""
    peers = _merged(policy.allowing(Direction.INGRESS))
    return (
        policy.name == OPERATOR_NAME
        and policy.pods in {DOCUMENTED_OPERATOR, *operator_selectors(cluster, policy.namespace)}
        and policy.types == _BOTH
        and _is_open(policy.allowing(Direction.EGRESS))
        and peers is not None
        and not peers.pods
    )


def _operator_baseline(peers: Peers, sources: tuple[Source, ...]) -> Baseline | None:
    let_in = [source for source in sources if _lets_in(peers, source)]
    if not let_in:
        return None
    if not same_peers(peers, _source_peers(let_in)):
        return None
    return Baseline(BaselineKind.OPERATOR, tuple(source for source in sources if source not in let_in))


def _lets_in(peers: Peers, source: Source) -> bool:
    if source.addresses is not None:
        return source.addresses.is_subset(peers.addresses)
    return source.pods in peers.pods


def _is_open(rules: Sequence[Rule]) -> bool:
    """Tell whether ``rules`` together let everyone through on every port, however many they are."""
    return _every_port(rule for rule in rules if rule.peers is None)


def _every_port(rules: Iterable[Rule]) -> bool:
    return ALL_NUMBERS.is_subset(IntervalSet.union(rule.ports.numbers for rule in rules))


def _merged(rules: Sequence[Rule]) -> Peers | None:
    """Return whom all rules together let in on every port; None if they let anyone else in on some port.

    Rules that split the ports between them add up, and what another peer holds already is left out.
    """
    listed = [(rule, rule.peers) for rule in rules if rule.peers is not None]
    if len(listed) < len(rules):
        return None
    by_peer: dict[PodPeer, list[Rule]] = {}
    for rule, peers in listed:
        for peer in peers.pods:
            if peer.pods and peer.namespaces:
                by_peer.setdefault(peer, []).append(rule)
    if len(by_peer) > _MOST_PEERS:
        return None
    whole = [peer for peer, naming in by_peer.items() if _every_port(naming)]
    if not all(any(_is_within(peer, other) for other in whole) for peer in by_peer):
        return None
    widest = [peer for peer in whole if not any(other != peer and _is_within(peer, other) for other in whole)]
    addresses = IntervalSet.union(peers.addresses for _, peers in listed)
    parts = list(_parts_of_all_ports(rules))
    if len(parts) * len(listed) > _MOST_LOOKS:
        return None
    for first, _ in parts:
        here = IntervalSet.union(peers.addresses for rule, peers in listed if first in rule.ports.numbers)
        if not addresses.is_subset(here):
            return None
    return Peers(tuple(widest), addresses)


def _is_within(peer: PodPeer, other: PodPeer) -> bool:
    return peer.namespaces.is_subset(other.namespaces) and peer.pods.is_subset(other.pods)


def _parts_of_all_ports(rules: Iterable[Rule]) -> Iterator[Span]:
    """Yield spans that together are all ports, none of which a rule lets through by half."""
    borders = {border for rule in rules for span in rule.ports.numbers.spans for border in span}
    for low, high in ALL_NUMBERS.spans:
        yield from pairwise(sorted({low, high, *(border for border in borders if low < border < high)}))


def missing_baselines(policies: Iterable[Policy], cluster: Cluster, namespace: str) -> tuple[Policy, ...]:
    """Return the baselines that ``bootstrap`` would add beside ``policies``: those that nothing stands for.

    What stands for one is a baseline of its kind for the same pods; the documented text stands for nobody's
    where the webhook's pods carry other labels.
    """
    standing = {
        (found.kind, policy.pods) for policy in policies if (found := recognise(policy, cluster)) is not None
    }
    return tuple(
        baseline
        for baseline in written_baselines(cluster, namespace)
        if (_kind_of(baseline), baseline.pods) not in standing
    )


def _kind_of(written: Policy) -> BaselineKind:
    return BaselineKind.MANAGED if written.name == MANAGED_NAME else BaselineKind.OPERATOR
