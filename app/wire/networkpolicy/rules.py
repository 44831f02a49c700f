"""The rules of a policy, read when somebody asks for them.

Where a baseline keeps every required flow open, hardly anybody asks for more than the first one of a changed
policy. The rules of a long one stay text until then: an event loop would stand still while they are decoded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import overload

import msgspec
from msgspec import Raw

from app.engine.addresses import block_set
from app.engine.intervals import IntervalSet
from app.engine.policy import Direction, Peers, PodPeer, Policy, Rule
from app.engine.ports import ALL_PORTS, PortSet, Protocol, port_range
from app.engine.selectors import EVERYTHING, NAMESPACE_NAME_LABEL, LabelSet, Operator, Selector
from app.wire.cache import LONGEST_KEPT
from app.wire.fields import Findings, Validation
from app.wire.networkpolicy.canonical import Order, PeerOrder, merged, order_of
from app.wire.networkpolicy.shapes import PeerShape, PortShape, RuleShape, SelectorShape, decode_rule
from app.wire.networkpolicy.validate import read_rule

LONG = 32 * 1024
"""Bytes; what is longer stays text: decoding it takes milliseconds and more."""
_OPEN = b"{}"
_PARTS_KEPT = 4096


OrderedSelector = tuple[Selector, Order]
"""A selector, and what it is sorted by."""

_FREE: OrderedSelector = (EVERYTHING, ())


def _label(key: str, value: str) -> OrderedSelector:
    return Selector.label(key, value), ((key, False, False, (value,)),)


_kept_label = lru_cache(maxsize=_PARTS_KEPT)(_label)


def selector_of(read: SelectorShape) -> OrderedSelector:
    """Return the selector of a shape, and what it is sorted by."""
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
        namespaces, space_order = own if peer.namespaces is None else selector_of(peer.namespaces)
        chosen, order = _FREE if peer.pods is None else selector_of(peer.pods)
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

    def __init__(self, unread: Iterable[RuleShape | Raw], namespace: str) -> None:
        self._rules: list[Rule | RuleShape | Raw] = list(unread)
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
            found = self._rules[index] = self._read(found)
        return found

    def _read(self, unread: RuleShape | Raw) -> Rule:
        return Rule(Peers()) if isinstance(unread, Raw) else _rule(unread, self._namespace)

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


class LongRules(UnreadRules):
    """Rules that stay text until they are asked for; pickled as text.

    One that is out of the ordinary is read carefully, and what of it is not understood allows nothing.
    """

    __slots__ = ("_direction", "_text", "allows_everything")

    def __init__(self, text: bytes, direction: Direction, namespace: str) -> None:
        """``text`` is the member of ``spec``, null for none. Raises ``msgspec.MsgspecError``."""
        texts = _decode_texts(text) or ()
        super().__init__(texts, namespace)
        self._text = text
        self._direction = direction
        self.allows_everything = any(len(rule) == len(_OPEN) and bytes(rule) == _OPEN for rule in texts)
        """Whether a rule restricts nothing, spelled as an API server does; no rule is read for that."""

    def __reduce__(self) -> tuple[type[LongRules], tuple[bytes, Direction, str]]:
        return LongRules, (self._text, self._direction, self._namespace)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, LongRules) and (self._text, self._namespace) == (other._text, other._namespace):
            return True
        return super().__eq__(other)

    __hash__ = UnreadRules.__hash__

    @property
    def size(self) -> int:
        """Bytes of text."""
        return len(self._text)

    def _read(self, unread: RuleShape | Raw) -> Rule:
        if not isinstance(unread, Raw):
            return super()._read(unread)
        try:
            return _rule(decode_rule[self._direction](unread), self._namespace)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return _read_carefully(bytes(unread), self._direction, self._namespace)


_decode_texts = msgspec.json.Decoder(list[Raw] | None).decode


def _read_carefully(text: bytes, direction: Direction, namespace: str) -> Rule:
    try:
        obj = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Rule(Peers())
    return read_rule(obj, direction, namespace, Findings(Validation.STORED))


def is_long(policy: Policy) -> bool:
    """Tell whether it takes long to look at what ``policy`` allows."""
    if type(policy.ingress) is not LongRules and type(policy.egress) is not LongRules:
        return False  # nearly every policy, and every review asks about each of its namespace
    return any(
        isinstance(rules, LongRules) and rules.size > LONG for rules in map(policy.allowing, policy.types)
    )
