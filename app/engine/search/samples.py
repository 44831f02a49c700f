"""Plain members of selectors, peers and ports: one that fits is proof, and often the first one does.

A search need not be asked where a sample already answers. The other way round nothing follows: that no sample
shows something does not mean that it is not so.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.engine.points import Peer
from app.engine.policy import Peers, PodPeer
from app.engine.ports import PortSet, position
from app.engine.regions import NamespaceTable
from app.engine.selectors import NAMESPACE_NAME_LABEL, LabelSet, Selector, fresh_value, pinned_names

_OUTSIDE = Peer(address=0)
_ANY_POD = Peers((PodPeer(),))
_NO_NAMES: frozenset[str] = frozenset()


def sample_labels(selector: Selector) -> dict[str, str]:
    """Return labels that ``selector``, which must match something, matches; as few as possible."""
    return {key: _sample_value(accepted) for key, accepted in selector.terms if not accepted.absent}


def _sample_value(accepted: LabelSet) -> str:
    return fresh_value(accepted.values) if accepted.cofinite else min(accepted.values)


def sample_ports(ports: PortSet) -> list[tuple[int, frozenset[str]]]:
    """Return places with the names that the destination gives to them, all within ``ports``."""
    samples: list[tuple[int, frozenset[str]]] = []
    if ports.numbers:
        first, last = ports.numbers.spans[0][0], ports.numbers.spans[-1][1] - 1
        samples += [(place, _NO_NAMES) for place in dict.fromkeys((first, last))]
    return samples + [(position(protocol, 1), frozenset((name,))) for protocol, name in ports.names]


def sample_peers(peers: Peers | None, table: NamespaceTable) -> Iterator[Peer]:
    """Yield ends of flows that ``peers`` matches; no ``ipBlock`` is taken to match pods.

    Those that other policies are least likely to name come first.
    """
    if peers is None:
        yield _OUTSIDE
        peers = _ANY_POD
    if peers.addresses:
        yield Peer(address=peers.addresses.spans[0][0])
        yield Peer(address=peers.addresses.spans[-1][1] - 1)
    for wanted in peers.pods:
        labels = _future_namespace(wanted.namespaces, table)
        if labels is not None and wanted.pods:
            yield Peer(labels[NAMESPACE_NAME_LABEL], labels, sample_labels(wanted.pods))
    for wanted in peers.pods:
        if wanted.pods:
            for name in _existing_namespaces(wanted.namespaces, table):
                yield Peer(name, table.namespaces[name].labels, sample_labels(wanted.pods))


def _future_namespace(selector: Selector, table: NamespaceTable) -> dict[str, str] | None:
    """Return the labels of a namespace that is still to come; None where none was found."""
    if not selector:
        return None
    labels = sample_labels(selector)
    name = labels.get(NAMESPACE_NAME_LABEL)
    if name is None:
        labels[NAMESPACE_NAME_LABEL] = fresh_value(table.namespaces)
    elif name in table.namespaces:
        return None
    return labels if selector.matches(labels) else None


def _existing_namespaces(selector: Selector, table: NamespaceTable) -> Iterator[str]:
    """Yield a namespace or two that are there."""
    names = pinned_names(selector)
    if names is None:
        mask = table.mask(selector)
        if mask:
            yield table.order[mask.bit_length() - 1]
            yield table.order[(mask & -mask).bit_length() - 1]
        return
    for name in names:
        if name in table.namespaces and selector.matches(table.namespaces[name].labels):
            yield name
            return
