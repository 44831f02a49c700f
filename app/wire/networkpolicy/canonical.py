"""The parts of a rule in the one form that equal meanings share; both readers build them here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from app.engine.intervals import IntervalSet
from app.engine.policy import Direction, Peers, PodPeer
from app.engine.selectors import EVERYTHING, NAMESPACE_NAME_LABEL, Selector

_INGRESS = frozenset({Direction.INGRESS})
_BOTH = frozenset(Direction)

Order = tuple[tuple[str, bool, bool, tuple[str, ...]], ...]
"""A selector as plain values, which compare and hash fast; equal orders mean the same."""

PeerOrder = tuple[Order, Order]


def order_of(selector: Selector) -> Order:
    """Return what a selector is sorted by."""
    return tuple(
        [
            (key, accepted.cofinite, accepted.absent, tuple(sorted(accepted.values)))
            for key, accepted in selector.terms
        ]
    )


def united(items: Iterable[PodPeer | IntervalSet | None]) -> Peers:
    """Return the union of the items of one ``from``/``to``; None is an item that matches nobody."""
    pods: dict[PeerOrder, PodPeer] = {}
    blocks: list[IntervalSet] = []
    for item in items:
        if isinstance(item, PodPeer):
            pods[order_of(item.namespaces), order_of(item.pods)] = item
        elif item is not None:
            blocks.append(item)
    return merged(pods, blocks)


def merged(pods: Mapping[PeerOrder, PodPeer], blocks: Sequence[IntervalSet]) -> Peers:
    """Return peers, canonical: sorted, without repetition."""
    chosen = tuple(pods.values()) if len(pods) <= 1 else tuple([pods[order] for order in sorted(pods)])
    if not blocks:
        return Peers(chosen)
    return Peers(chosen, blocks[0] if len(blocks) == 1 else IntervalSet.union(blocks))


def pod_peer(namespaces: Selector | None, pods: Selector | None, namespace: str) -> PodPeer | None:
    """Return the peer of a pair of selectors (rules 10, 11), or None where it matches nobody."""
    if namespaces is None:
        namespaces = Selector.label(NAMESPACE_NAME_LABEL, namespace)
    if not namespaces or (pods is not None and not pods):
        return None
    return PodPeer(namespaces, EVERYTHING if pods is None else pods)


def defaulted_types(given: frozenset[Direction], egress: object) -> frozenset[Direction]:
    """Return the types: where none is given, Ingress, and Egress with at least one egress rule (rule 7)."""
    return given or (_BOTH if egress else _INGRESS)
