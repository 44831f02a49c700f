"""The fast way from JSON bytes to a ``Policy``: for objects that an API server stored.

Whatever is out of the ordinary (a wrong type, an operator nobody knows, a null in a list) raises
``NotOrdinary``; then ``app.wire.careful``, which knows what to do with anything, reads the object again.
Both give the same policy for what both can read; tests hold them to it.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from app.engine.addresses import block_set
from app.engine.policy import Direction, Peers, PodPeer, Policy, Rule
from app.engine.ports import ALL_PORTS, PortSet, Protocol, port_range
from app.engine.selectors import EVERYTHING, NAMESPACE_NAME_LABEL, LabelSet, Operator, Selector
from app.wire.canonical import Order, PeerOrder, defaulted_types, merged, order_of
from app.wire.cidrs import read_cidr
from app.wire.memo import LONGEST_KEPT, Memo
from app.wire.shapes import SpecShape, decode_object, decode_rule

if TYPE_CHECKING:
    from msgspec import Raw

    from app.engine.intervals import IntervalSet
    from app.wire.metadata import Metadata
    from app.wire.shapes import BlockShape, PeerShape, PortShape, RequirementShape, SelectorShape

_FEW_RULES = 4
_RULES_KEPT = 4096
_RULE_BYTES_KEPT = 1024 * 1024
_PARTS_KEPT = 4096
_LONGEST_NAMESPACE = 253
_WITH_VALUES = frozenset({Operator.IN, Operator.NOT_IN})
_NO_SPEC = SpecShape()


class NotOrdinary(Exception):  # noqa: N818 - a signal inside this package, no error
    """The object needs the careful reader."""


Found = tuple[Selector, Order]
"""A selector, and what it is sorted by."""

_FREE: Found = (EVERYTHING, ())


def _label(key: str, value: str) -> Found:
    return Selector.label(key, value), ((key, False, False, (value,)),)


_kept_label = lru_cache(maxsize=_PARTS_KEPT)(_label)


def _term(one: RequirementShape) -> tuple[str, LabelSet]:
    if (one.operator in _WITH_VALUES) is not bool(one.values):
        raise NotOrdinary
    return one.key, LabelSet.of(one.operator, one.values or ())


def _selector(read: SelectorShape) -> Found:
    labels, expressions = read.match_labels or {}, read.match_expressions
    if "" in labels:
        raise NotOrdinary
    if not expressions and len(labels) <= 1:
        for key, value in labels.items():
            return (_kept_label if len(key) + len(value) <= LONGEST_KEPT else _label)(key, value)
        return _FREE
    terms = [(key, LabelSet.of(Operator.IN, (value,))) for key, value in labels.items()]
    terms += map(_term, expressions or ())
    if any(not key for key, _ in terms):
        raise NotOrdinary
    selector = Selector.of(terms)
    return selector, order_of(selector)


def _block(read: BlockShape) -> IntervalSet:
    outer = read_cidr(read.cidr)
    inner = [read_cidr(one) for one in read.excepts or ()]
    if outer is None or None in inner:
        raise NotOrdinary
    return block_set(outer.network, [one.network for one in inner if one])


def _peers(items: list[PeerShape], own: Found) -> Peers:
    pods: dict[PeerOrder, PodPeer] = {}
    blocks: list[IntervalSet] = []
    for one in items:
        if one.block is not None:
            if one.pods is not None or one.namespaces is not None:
                raise NotOrdinary
            blocks.append(_block(one.block))
            continue
        if one.pods is None and one.namespaces is None:
            raise NotOrdinary
        namespaces, space_order = own if one.namespaces is None else _selector(one.namespaces)
        chosen, order = _FREE if one.pods is None else _selector(one.pods)
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
        if last is not None:
            raise NotOrdinary
        return (), ((protocol, port),)
    if port is None:
        if last is not None:
            raise NotOrdinary
        return (port_range(protocol),), ()
    if last is not None and last < port:
        raise NotOrdinary
    return (port_range(protocol, port, port if last is None else last),), ()


def _ports(read: list[PortShape] | None) -> PortSet:
    if not read:
        return ALL_PORTS
    if len(read) == 1:
        [only] = read
        port = only.port
        is_short = not isinstance(port, str) or len(port) <= LONGEST_KEPT
        return (_kept_single if is_short else _single)(only.protocol, port, only.end_port)
    found = [_port(one.protocol or Protocol.TCP, one.port, one.end_port) for one in read]
    return PortSet.of(
        [one for numbers, _ in found for one in numbers], [one for _, names in found for one in names]
    )


def _rule(raw: bytes | Raw, direction: Direction, namespace: str) -> Rule:
    read = decode_rule[direction](raw)
    own = _kept_label(NAMESPACE_NAME_LABEL, namespace)
    return Rule(_peers(read.peers, own) if read.peers else None, _ports(read.ports))


_kept_rules: dict[Direction, Memo[Rule]] = {one: Memo(_RULES_KEPT, _RULE_BYTES_KEPT) for one in Direction}


def _rules(raws: list[Raw] | None, direction: Direction, namespace: str) -> tuple[Rule, ...]:
    """Return the rules; where they are many, most have been read before: a change changes one or two."""
    if not raws:
        return ()
    if len(raws) <= _FEW_RULES:
        return tuple([_rule(raw, direction, namespace) for raw in raws])
    kept = _kept_rules[direction]
    rules = []
    for raw in raws:
        key = (bytes(raw), namespace)
        rules.append(kept.get(key) or kept.put(key, _rule(key[0], direction, namespace)))
    return tuple(rules)


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
            _rules(spec.ingress, Direction.INGRESS, home),
            _rules(spec.egress, Direction.EGRESS, home),
            metadata.deletion_timestamp is not None,
        ), metadata
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NotOrdinary from error
