"""The fast way from JSON bytes to a ``Policy``: for objects that an API server stored.

Whatever is out of the ordinary (a wrong type, an operator nobody knows, a null in a list) raises
``NotOrdinary``; then ``app.wire.networkpolicy.validate``, which knows what to do with anything, reads the
object again. Both give the same policy for what both can read; tests hold them to it.

Rules are read when somebody asks for them: where a baseline keeps every required flow open, hardly anybody
asks for more than the first one of a changed policy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import overload

import msgspec
from msgspec import Raw

from app.engine.addresses import block_set
from app.engine.intervals import IntervalSet
from app.engine.policy import Peers, PodPeer, Policy, Rule
from app.engine.ports import ALL_PORTS, PortSet, Protocol, port_range
from app.engine.selectors import EVERYTHING, NAMESPACE_NAME_LABEL, LabelSet, Operator, Selector
from app.wire.cache import LONGEST_KEPT
from app.wire.networkpolicy.canonical import Order, PeerOrder, defaulted_types, merged, order_of
from app.wire.networkpolicy.shapes import (
    PeerShape,
    PortShape,
    RuleShape,
    SelectorShape,
    SpecShape,
    decode_object,
)
from app.wire.objects.metadata import Metadata

_PARTS_KEPT = 4096
_LONGEST_NAMESPACE = 253
_NO_SPEC = SpecShape()


class NotOrdinary(Exception):  # noqa: N818 - a signal inside this package, no error
    """The object needs the careful reader."""


OrderedSelector = tuple[Selector, Order]
"""A selector, and what it is sorted by."""

_FREE: OrderedSelector = (EVERYTHING, ())


def _label(key: str, value: str) -> OrderedSelector:
    return Selector.label(key, value), ((key, False, False, (value,)),)


_kept_label = lru_cache(maxsize=_PARTS_KEPT)(_label)


def _selector(read: SelectorShape) -> OrderedSelector:
    labels, expressions = read.match_labels or {}, read.match_expressions
    if not expressions and len(labels) <= 1:
        for key, value in labels.items():
            return (_kept_label if len(key) + len(value) <= LONGEST_KEPT else _label)(key, value)
        return _FREE
    terms = [(key, LabelSet.of(Operator.IN, (value,))) for key, value in labels.items()]
    terms += [(shape.key, LabelSet.of(shape.operator, shape.values or ())) for shape in expressions or ()]
    selector = Selector.of(terms)
    return selector, order_of(selector)


def _peers(items: list[PeerShape], own: OrderedSelector) -> Peers:
    pods: dict[PeerOrder, PodPeer] = {}
    blocks: list[IntervalSet] = []
    for peer in items:
        if peer.block is not None:
            blocks.append(block_set(*peer.block.networks()))
            continue
        namespaces, space_order = own if peer.namespaces is None else _selector(peer.namespaces)
        chosen, order = _FREE if peer.pods is None else _selector(peer.pods)
        if namespaces and chosen:
            pods[space_order, order] = PodPeer(namespaces, chosen)
    return merged(pods, blocks)


def _single(protocol: Protocol | None, port: int | str | None, last: int | None) -> PortSet:
    numbers, names = _port(protocol or Protocol.TCP, port, last)
    return PortSet.of(numbers, names)


_kept_single = lru_cache(maxsize=_PARTS_KEPT)(_single)


def _port(
    protocol: Protocol, port: int | str | None, last: int | None
) -> tuple[tuple[IntervalSet, ...], tuple[tuple[Protocol, str], ...]]:
    if isinstance(port, str):
        return (), ((protocol, port),)
    if port is None:
        return (port_range(protocol),), ()
    return (port_range(protocol, port, port if last is None else last),), ()


def _ports(read: list[PortShape] | None) -> PortSet:
    if not read:
        return ALL_PORTS
    if len(read) == 1:
        [only] = read
        port = only.port
        is_short = not isinstance(port, str) or len(port) <= LONGEST_KEPT
        return (_kept_single if is_short else _single)(only.protocol, port, only.end_port)
    found = [_port(port.protocol or Protocol.TCP, port.port, port.end_port) for port in read]
    return PortSet.of(
        [interval for numbers, _ in found for interval in numbers],
        [name for _, names in found for name in names],
    )


def _rule(read: RuleShape, namespace: str) -> Rule:
    own = _kept_label(NAMESPACE_NAME_LABEL, namespace)
    return Rule(_peers(read.peers, own) if read.peers else None, _ports(read.ports))


class UnreadRules(Sequence[Rule]):
    """The rules of a policy, each read when it is asked for; equal to any sequence of equal rules."""

    __slots__ = ("_namespace", "_rules")

    def __init__(self, shapes: Iterable[RuleShape], namespace: str) -> None:
        self._rules: list[Rule | RuleShape] = list(shapes)
        self._namespace = namespace

    def __len__(self) -> int:
        return len(self._rules)

    def __iter__(self) -> Iterator[Rule]:
        for index, found in enumerate(self._rules):
            yield found if isinstance(found, Rule) else self[index]

    @overload
    def __getitem__(self, index: int) -> Rule: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Rule]: ...

    def __getitem__(self, index: int | slice) -> Rule | Sequence[Rule]:
        if isinstance(index, slice):
            return tuple(self)[index]
        found = self._rules[index]
        if not isinstance(found, Rule):
            # Two threads may both do this; they find the same.
            found = self._rules[index] = _rule(found, self._namespace)
        return found

    def __eq__(self, other: object) -> bool:
        if isinstance(other, UnreadRules):
            return len(self) == len(other) and all(self._is_same(other, at) for at in range(len(self)))
        return tuple(self) == other if isinstance(other, tuple) else NotImplemented

    def _is_same(self, other: UnreadRules, index: int) -> bool:
        """Tell whether both have the same rule there; written alike in one namespace, they mean the same."""
        if self._rules[index] == other._rules[index] and self._namespace == other._namespace:
            return True
        return self[index] == other[index]

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))


def read_policy(raw: bytes | Raw, namespace: str) -> tuple[Policy, Metadata]:
    """Return the policy that ``raw`` is; ``namespace`` counts where the object names none.

    Raises ``NotOrdinary`` where the careful reader is needed.
    """
    try:
        read = decode_object(raw)
        metadata, spec = read.metadata, read.spec or _NO_SPEC
        home = metadata.namespace or namespace
        if len(home) > _LONGEST_NAMESPACE:
            raise NotOrdinary  # what is kept is bounded in bytes, the namespace beside it included
        pods = spec.pod_selector
        return Policy(
            home,
            metadata.name,
            EVERYTHING if pods is None else _selector(pods)[0],
            defaulted_types(frozenset(spec.policy_types or ()), spec.egress),
            UnreadRules(spec.ingress, home) if spec.ingress else (),
            UnreadRules(spec.egress, home) if spec.egress else (),
            metadata.deletion_timestamp is not None,
        ), metadata
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NotOrdinary from error
