"""The fast way from JSON bytes to a ``Policy``: for objects that an API server stored.

Decodes straight into typed structs, and keeps what it understood by the bytes it was written in: reviews
and lists repeat the same selectors, peers and rules over and over. Whatever is out of the ordinary (a wrong
type, an operator nobody knows, a null in a list) raises ``NotOrdinary``; then ``app.wire.careful``, which
knows what to do with anything, reads the object again. Both give the same policy for what both can read;
tests hold them to it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw

from app.engine.addresses import block_set
from app.engine.intervals import EMPTY, IntervalSet
from app.engine.policy import Direction, Peers, PodPeer, Policy, Rule
from app.engine.ports import ALL_PORTS, LAST_PORT, PortSet, Protocol, port_range
from app.engine.selectors import EVERYTHING, NAMESPACE_NAME_LABEL, NOTHING, LabelSet, Operator, Selector
from app.wire.cidrs import read_cidr
from app.wire.memo import LONGEST_KEPT, kept_if_short
from app.wire.metadata import NO_METADATA, Metadata

_RULES_KEPT = 8192
_PARTS_KEPT = 4096
_NAMESPACES_KEPT = 1024
_LONGEST_NAMESPACE = 253

KIND = "NetworkPolicy"
API_VERSION = "networking.k8s.io/v1"

PortNumber = Annotated[int, Meta(ge=1, le=LAST_PORT)]
PortNameText = Annotated[str, Meta(min_length=1)]


_NULL = Raw(b"null")
"""A member that is absent; msgspec takes no ``Raw | None``."""


class NotOrdinary(Exception):  # noqa: N818 - a signal inside this package, no error
    """The object needs the careful reader."""


_PEER_FIELDS = {"pods": "podSelector", "namespaces": "namespaceSelector", "block": "ipBlock"}


class _Requirement(msgspec.Struct, gc=False):
    key: str
    operator: Operator
    values: list[str] | None = None


class _Selector(msgspec.Struct, gc=False, rename="camel"):
    match_labels: dict[str, str] | None = None
    match_expressions: list[_Requirement] | None = None


class _Block(msgspec.Struct, gc=False, rename={"excepts": "except"}):
    cidr: str
    excepts: list[str] | None = None


class _Peer(msgspec.Struct, gc=False, rename=_PEER_FIELDS):
    pods: Raw = _NULL
    namespaces: Raw = _NULL
    block: Raw = _NULL


class _Port(msgspec.Struct, gc=False, rename="camel"):
    protocol: Protocol | None = None
    port: PortNumber | PortNameText | None = None
    end_port: PortNumber | None = None


class _IngressRule(msgspec.Struct, gc=False, rename={"peers": "from"}):
    peers: list[Raw] | None = None
    ports: Raw = _NULL


class _EgressRule(msgspec.Struct, gc=False, rename={"peers": "to"}):
    peers: list[Raw] | None = None
    ports: Raw = _NULL


class _Spec(msgspec.Struct, gc=False, rename="camel"):
    pod_selector: Raw = _NULL
    ingress: list[Raw] | None = None
    egress: list[Raw] | None = None
    policy_types: Annotated[list[Direction], Meta(max_length=2)] | None = None


class _Object(msgspec.Struct, gc=False, rename="camel"):
    metadata: Metadata = NO_METADATA
    spec: _Spec | None = None
    kind: Literal["NetworkPolicy"] = "NetworkPolicy"
    api_version: Literal["networking.k8s.io/v1"] = "networking.k8s.io/v1"


_decode_object = msgspec.json.Decoder(_Object).decode
_decode_selector = msgspec.json.Decoder(_Selector).decode
_decode_peer = msgspec.json.Decoder(_Peer).decode
_decode_block = msgspec.json.Decoder(_Block).decode
_decode_ports = msgspec.json.Decoder(list[_Port] | None).decode
_decode_rule: dict[Direction, Callable[[bytes], _IngressRule | _EgressRule]] = {
    Direction.INGRESS: msgspec.json.Decoder(_IngressRule).decode,
    Direction.EGRESS: msgspec.json.Decoder(_EgressRule).decode,
}

_WITH_VALUES = frozenset({Operator.IN, Operator.NOT_IN})
_NOBODY = Peers()
_NO_SPEC = _Spec()


def _term(one: _Requirement) -> tuple[str, LabelSet]:
    if (one.operator in _WITH_VALUES) is not bool(one.values):
        raise NotOrdinary
    return one.key, LabelSet.of(one.operator, one.values or ())


@kept_if_short(_PARTS_KEPT)
def _selector(raw: bytes) -> Selector:
    read = _decode_selector(raw)
    terms = [(key, LabelSet.of(Operator.IN, (value,))) for key, value in (read.match_labels or {}).items()]
    if read.match_expressions:
        terms += map(_term, read.match_expressions)
    if any(not key for key, _ in terms):
        raise NotOrdinary
    return Selector.of(terms)


def _given(raw: Raw) -> Selector | None:
    """Return a peer's selector: None where it is absent, which is not the empty one (rule 11)."""
    text = bytes(raw)
    return None if text == b"null" else _selector(text)


@kept_if_short(_PARTS_KEPT)
def _block(raw: bytes) -> IntervalSet:
    read = _decode_block(raw)
    outer = read_cidr(read.cidr)
    inner = [read_cidr(one) for one in read.excepts or ()]
    if outer is None or None in inner:
        raise NotOrdinary
    return block_set(outer.network, [one.network for one in inner if one])


@kept_if_short(_NAMESPACES_KEPT)
def _named(namespace: str) -> Selector:
    return Selector.labels({NAMESPACE_NAME_LABEL: namespace})


def pod_peer(namespaces: Selector | None, pods: Selector | None, namespace: str) -> PodPeer | None:
    """Return the peer of a pair of selectors (rules 10, 11), or None where it matches nobody."""
    if NOTHING in (namespaces, pods):
        return None
    if namespaces is None:
        namespaces = _named(namespace)
    return PodPeer(namespaces, EVERYTHING if pods is None else pods)


@kept_if_short(_PARTS_KEPT)
def _peer(raw: bytes, namespace: str) -> PodPeer | IntervalSet | None:
    read = _decode_peer(raw)
    pods, namespaces, block = _given(read.pods), _given(read.namespaces), bytes(read.block)
    if block == b"null":
        if pods is None and namespaces is None:
            raise NotOrdinary
        return pod_peer(namespaces, pods, namespace)
    if pods is not None or namespaces is not None:
        raise NotOrdinary
    return _block(block)


def _order(peer: PodPeer) -> list[tuple[str, bool, bool, list[str]]]:
    return [
        (key, one.cofinite, one.absent, sorted(one.values))
        for selector in (peer.namespaces, peer.pods)
        for key, one in (*selector.terms, ("", LabelSet(frozenset(), cofinite=False, absent=False)))
    ]


def united(items: list[PodPeer | IntervalSet | None]) -> Peers:
    """Return the union of the items of one ``from``/``to``, canonical: sorted, without repetition."""
    if len(items) == 1:
        only = items[0]
        if only is None:
            return _NOBODY
        return Peers((only,)) if isinstance(only, PodPeer) else Peers((), only)
    pods = {one for one in items if isinstance(one, PodPeer)}
    blocks = [one for one in items if isinstance(one, IntervalSet)]
    return Peers(tuple(sorted(pods, key=_order)), IntervalSet.union(blocks) if blocks else EMPTY)


def _one_port(read: _Port) -> IntervalSet | str:
    port, last = read.port, read.end_port
    if isinstance(port, str):
        if last is not None:
            raise NotOrdinary
        return port
    if port is None:
        if last is not None:
            raise NotOrdinary
        return port_range(read.protocol or Protocol.TCP)
    if last is not None and last < port:
        raise NotOrdinary
    return port_range(read.protocol or Protocol.TCP, port, port if last is None else last)


@kept_if_short(_PARTS_KEPT)
def _ports(raw: bytes) -> PortSet:
    numbers: list[IntervalSet] = []
    names: list[tuple[Protocol, str]] = []
    read = _decode_ports(raw)
    if not read:
        return ALL_PORTS
    for one in read:
        port = _one_port(one)
        if isinstance(port, str):
            names.append((one.protocol or Protocol.TCP, port))
        else:
            numbers.append(port)
    return PortSet.of(numbers, names)


def _rule(raw: bytes, direction: Direction, namespace: str) -> Rule:
    read = _decode_rule[direction](raw)
    ports = _ports(bytes(read.ports))
    if not read.peers:
        return Rule(None, ports)
    return Rule(united([_peer(bytes(one), namespace) for one in read.peers]), ports)


_kept_rule = lru_cache(maxsize=_RULES_KEPT)(_rule)


def _rules(raws: list[Raw] | None, direction: Direction, namespace: str) -> tuple[Rule, ...]:
    """Return the rules; very long ones are not kept, so that the cache stays bounded in bytes too."""
    if not raws:
        return ()
    return tuple(
        [
            (_kept_rule if len(raw) <= LONGEST_KEPT else _rule)(bytes(raw), direction, namespace)
            for raw in raws
        ]
    )


_INGRESS = frozenset({Direction.INGRESS})
_EGRESS = frozenset({Direction.EGRESS})
_BOTH = _INGRESS | _EGRESS


def defaulted_types(given: frozenset[Direction], egress: object) -> frozenset[Direction]:
    """Return the types: where none is given, Ingress, and Egress with at least one egress rule (rule 7)."""
    return given or (_BOTH if egress else _INGRESS)


def read_policy(raw: bytes | Raw, namespace: str) -> tuple[Policy, Metadata]:
    """Return the policy that ``raw`` is; ``namespace`` counts where the object names none.

    Raises ``NotOrdinary`` where the careful reader is needed.
    """
    try:
        read = _decode_object(raw)
        metadata, spec = read.metadata, read.spec or _NO_SPEC
        home = metadata.namespace or namespace
        if len(home) > _LONGEST_NAMESPACE:
            raise NotOrdinary  # what is kept is bounded in bytes, the namespace beside it included
        pods = _given(spec.pod_selector)
        return Policy(
            home,
            metadata.name,
            EVERYTHING if pods is None else pods,
            defaulted_types(frozenset(spec.policy_types or ()), spec.egress),
            _rules(spec.ingress, Direction.INGRESS, home),
            _rules(spec.egress, Direction.EGRESS, home),
            metadata.deletion_timestamp is not None,
        ), metadata
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NotOrdinary from error
