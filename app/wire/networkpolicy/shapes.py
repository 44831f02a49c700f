"""The shapes of NetworkPolicy objects in JSON, decoded in one step; what is out of the ordinary is refused.

So everything that has a shape means something, and can be read later without an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw

from app.engine.addresses import Network
from app.engine.policy import Direction
from app.engine.ports import LAST_PORT, Protocol
from app.engine.selectors import Operator
from app.wire.networkpolicy.cidrs import read_cidr
from app.wire.objects.metadata import NO_METADATA, Metadata

KIND = "NetworkPolicy"
API_VERSION = "networking.k8s.io/v1"

PortNumber = Annotated[int, Meta(ge=1, le=LAST_PORT)]
PortNameText = Annotated[str, Meta(min_length=1)]
LabelKey = Annotated[str, Meta(min_length=1)]

_NULL = Raw(b"null")
_WITH_VALUES = frozenset({Operator.IN, Operator.NOT_IN})
_PEER_FIELDS = {"pods": "podSelector", "namespaces": "namespaceSelector", "block": "ipBlock"}


class RequirementShape(msgspec.Struct, gc=False):
    """``LabelSelectorRequirement``."""

    key: LabelKey
    operator: Operator
    values: list[str] | None = None

    def __post_init__(self) -> None:
        """Refuse values with an operator that wants none, and none with one that wants some."""
        if (self.operator in _WITH_VALUES) is not bool(self.values):
            raise ValueError(self.key)


class SelectorShape(msgspec.Struct, gc=False, rename="camel"):
    """``LabelSelector``."""

    match_labels: dict[LabelKey, str] | None = None
    match_expressions: list[RequirementShape] | None = None


class BlockShape(msgspec.Struct, gc=False, rename={"excepts": "except"}):
    """``IPBlock``."""

    cidr: str
    excepts: list[str] | None = None

    def __post_init__(self) -> None:
        """Refuse what is no CIDR."""
        self.networks()

    def networks(self) -> tuple[Network, list[Network]]:
        """Return what is let in, and what of that is not."""
        outer, *inner = map(_network, (self.cidr, *(self.excepts or ())))
        return outer, inner


def _network(text: str) -> Network:
    read = read_cidr(text)
    if read is None:
        raise ValueError(text)
    return read.network


class PeerShape(msgspec.Struct, gc=False, rename=_PEER_FIELDS):
    """``NetworkPolicyPeer``."""

    pods: SelectorShape | None = None
    namespaces: SelectorShape | None = None
    block: BlockShape | None = None

    def __post_init__(self) -> None:
        """Refuse an ``ipBlock`` beside selectors, and none of them."""
        if (self.block is None) is (self.pods is None and self.namespaces is None):
            raise ValueError(self)


class PortShape(msgspec.Struct, gc=False, rename="camel"):
    """``NetworkPolicyPort``."""

    protocol: Protocol | None = None
    port: PortNumber | PortNameText | None = None
    end_port: PortNumber | None = None

    def __post_init__(self) -> None:
        """Refuse an end that belongs to no number, or lies before it."""
        last = self.end_port
        if last is not None and (not isinstance(self.port, int) or last < self.port):
            raise ValueError(last)


class IngressRuleShape(msgspec.Struct, gc=False, rename={"peers": "from"}):
    """``NetworkPolicyIngressRule``."""

    peers: list[PeerShape] | None = None
    ports: list[PortShape] | None = None


class EgressRuleShape(msgspec.Struct, gc=False, rename={"peers": "to"}):
    """``NetworkPolicyEgressRule``."""

    peers: list[PeerShape] | None = None
    ports: list[PortShape] | None = None


RuleShape = IngressRuleShape | EgressRuleShape


class SpecShape(msgspec.Struct, gc=False, rename="camel"):
    """``NetworkPolicySpec``."""

    pod_selector: SelectorShape | None = None
    ingress: list[IngressRuleShape] | None = None
    egress: list[EgressRuleShape] | None = None
    policy_types: Annotated[list[Direction], Meta(max_length=2)] | None = None


class LongSpecShape(msgspec.Struct, gc=False, rename="camel"):
    """``NetworkPolicySpec`` whose rules stay text."""

    pod_selector: SelectorShape | None = None
    ingress: Raw = _NULL
    egress: Raw = _NULL
    policy_types: Annotated[list[Direction], Meta(max_length=2)] | None = None


class ObjectShape(msgspec.Struct, gc=False, rename="camel"):
    """``NetworkPolicy``; members that no decision needs are passed over."""

    metadata: Metadata = NO_METADATA
    spec: SpecShape | None = None
    kind: Literal["NetworkPolicy"] = "NetworkPolicy"
    api_version: Literal["networking.k8s.io/v1"] = "networking.k8s.io/v1"


class LongObjectShape(msgspec.Struct, gc=False, rename="camel"):
    """``NetworkPolicy`` whose rules stay text."""

    metadata: Metadata = NO_METADATA
    spec: LongSpecShape | None = None
    kind: Literal["NetworkPolicy"] = "NetworkPolicy"
    api_version: Literal["networking.k8s.io/v1"] = "networking.k8s.io/v1"


decode_object = msgspec.json.Decoder(ObjectShape).decode
decode_long_object = msgspec.json.Decoder(LongObjectShape).decode
decode_rule: dict[Direction, Callable[[bytes | Raw], RuleShape]] = {
    Direction.INGRESS: msgspec.json.Decoder(IngressRuleShape).decode,
    Direction.EGRESS: msgspec.json.Decoder(EgressRuleShape).decode,
}
