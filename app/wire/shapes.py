"""The shapes of NetworkPolicy objects in JSON, decoded in one step; what is of another type is refused.

Rules stay text here: reviews and lists repeat the same ones, and what was read from the same bytes is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw

from app.engine.policy import Direction
from app.engine.ports import LAST_PORT, Protocol
from app.engine.selectors import Operator
from app.wire.metadata import NO_METADATA, Metadata

KIND = "NetworkPolicy"
API_VERSION = "networking.k8s.io/v1"

PortNumber = Annotated[int, Meta(ge=1, le=LAST_PORT)]
PortNameText = Annotated[str, Meta(min_length=1)]

_PEER_FIELDS = {"pods": "podSelector", "namespaces": "namespaceSelector", "block": "ipBlock"}


class RequirementShape(msgspec.Struct, gc=False):
    """``LabelSelectorRequirement``."""

    key: str
    operator: Operator
    values: list[str] | None = None


class SelectorShape(msgspec.Struct, gc=False, rename="camel"):
    """``LabelSelector``."""

    match_labels: dict[str, str] | None = None
    match_expressions: list[RequirementShape] | None = None


class BlockShape(msgspec.Struct, gc=False, rename={"excepts": "except"}):
    """``IPBlock``."""

    cidr: str
    excepts: list[str] | None = None


class PeerShape(msgspec.Struct, gc=False, rename=_PEER_FIELDS):
    """``NetworkPolicyPeer``."""

    pods: SelectorShape | None = None
    namespaces: SelectorShape | None = None
    block: BlockShape | None = None


class PortShape(msgspec.Struct, gc=False, rename="camel"):
    """``NetworkPolicyPort``."""

    protocol: Protocol | None = None
    port: PortNumber | PortNameText | None = None
    end_port: PortNumber | None = None


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
    ingress: list[Raw] | None = None
    egress: list[Raw] | None = None
    policy_types: Annotated[list[Direction], Meta(max_length=2)] | None = None


class ObjectShape(msgspec.Struct, gc=False, rename="camel"):
    """``NetworkPolicy``; members that no decision needs are passed over."""

    metadata: Metadata = NO_METADATA
    spec: SpecShape | None = None
    kind: Literal["NetworkPolicy"] = "NetworkPolicy"
    api_version: Literal["networking.k8s.io/v1"] = "networking.k8s.io/v1"


decode_object = msgspec.json.Decoder(ObjectShape).decode
decode_rule: dict[Direction, Callable[[bytes | Raw], RuleShape]] = {
    Direction.INGRESS: msgspec.json.Decoder(IngressRuleShape).decode,
    Direction.EGRESS: msgspec.json.Decoder(EgressRuleShape).decode,
}
