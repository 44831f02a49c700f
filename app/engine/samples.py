"""Plain members of selectors, peers and ports: one that fits is proof, and often the first one does.

A search need not be asked where a sample already answers. The other way round nothing follows: that no sample
shows something does not mean that it is not so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.engine.points import Peer
from app.engine.policy import PodPeer
from app.engine.ports import position
from app.engine.selectors import NAMESPACE_NAME_LABEL, fresh_value, pinned_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from app.engine.policy import Peers
    from app.engine.ports import PortSet
    from app.engine.regions import NamespaceTable
    from app.engine.selectors import LabelSet, Selector

_OUTSIDE = Peer(address=0)
_ANY_POD = PodPeer()


def sample_labels(selector: Selector) -> dict[str, str]:
    """Return labels that ``selector``, which must match something, matches; as few as possible."""
    return {key: _sample_value(accepted) for key, accepted in selector.terms if not accepted.absent}


def _sample_value(accepted: LabelSet) -> str:
    return fresh_value(accepted.values) if accepted.cofinite else min(accepted.values)


def sample_ports(ports: PortSet) -> Iterator[tuple[int, frozenset[str]]]:
    """Yield places with the names that the destination gives to them, all within ``ports``."""
    if ports.numbers:
        spans = ports.numbers.spans
        yield spans[0][0], frozenset()
        if spans[-1][1] - spans[0][0] > 1:
            yield spans[-1][1] - 1, frozenset()
    for protocol, name in ports.names:
        yield position(protocol, 1), frozenset((name,))


def sample_peers(peers: Peers | None, table: NamespaceTable) -> Iterator[Peer]:
    """Yield ends of flows that ``peers`` matches; no ``ipBlock`` is taken to match pods."""
    if peers is None:
        yield _OUTSIDE
        yield from _sample_pods(_ANY_POD, table)
        return
    for one in peers.pods:
        yield from _sample_pods(one, table)
    if peers.addresses:
        yield Peer(address=peers.addresses.spans[0][0])
        yield Peer(address=peers.addresses.spans[-1][1] - 1)


def _sample_pods(peer: PodPeer, table: NamespaceTable) -> Iterator[Peer]:
    """Yield a pod of a namespace that is still to come, and of the first and last that exist."""
    if not peer.pods or not peer.namespaces:
        return
    labels = sample_labels(peer.pods)
    future = _future_namespace(peer.namespaces, table)
    if future is not None:
        yield Peer(future[NAMESPACE_NAME_LABEL], future, labels)
    for name in _existing_namespaces(peer.namespaces, table):
        yield Peer(name, table.namespaces[name].labels, labels)


def _existing_namespaces(selector: Selector, table: NamespaceTable) -> Iterator[str]:
    names = pinned_names(selector)
    if names is not None:
        chosen = min(names)
        if chosen in table.namespaces and selector.matches(table.namespaces[chosen].labels):
            yield chosen
        return
    mask = table.mask(selector)
    if mask:
        yield table.order[mask.bit_length() - 1]
        yield table.order[(mask & -mask).bit_length() - 1]


def _future_namespace(selector: Selector, table: NamespaceTable) -> dict[str, str] | None:
    labels = sample_labels(selector)
    name = labels.setdefault(NAMESPACE_NAME_LABEL, "other")
    if name in table.namespaces:
        if pinned_names(selector) is not None:
            return None
        labels[NAMESPACE_NAME_LABEL] = fresh_value(table.namespaces)
    return labels if selector.matches(labels) else None
