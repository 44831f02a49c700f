"""Nodes -> their addresses, tunnels and pod networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from app.wire.objects.metadata import NO_METADATA, Metadata
from app.wire.objects.read import RawObject, read_object

CONTROL_PLANE_LABELS = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")


TUNNEL_ANNOTATIONS = (
    "projectcalico.org/IPv4IPIPTunnelAddr",
    "projectcalico.org/IPv4VXLANTunnelAddr",
    "projectcalico.org/IPv6VXLANTunnelAddr",
    "projectcalico.org/IPv4WireguardInterfaceAddr",
    "projectcalico.org/IPv6WireguardInterfaceAddr",
    "network.cilium.io/ipv4-cilium-host",
    "network.cilium.io/ipv6-cilium-host",
)
"""Where Calico and Cilium write which address a node itself has in the pod network: what its own processes
send to pods of other nodes comes from it."""


class _Address(msgspec.Struct):
    type: str
    address: str


class _NodeInfo(msgspec.Struct, rename="camel"):
    kubelet_version: str = ""


class _NodeStatus(msgspec.Struct, rename="camel"):
    addresses: list[_Address] | None = None
    node_info: _NodeInfo | None = None


class _NodeSpec(msgspec.Struct):
    pod_cidr: str | None = msgspec.field(name="podCIDR", default=None)
    pod_cidrs: list[str] | None = msgspec.field(name="podCIDRs", default=None)


class _Node(msgspec.Struct):
    metadata: Metadata = NO_METADATA
    spec: _NodeSpec | None = None
    status: _NodeStatus | None = None


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """A node: its internal addresses, its part of the pod network, whether the control plane runs there.

    ``tunnels`` are the addresses that its network plugin says the node itself has in the pod network, by the
    annotation that says so. ``version`` is the kubelet's, which names the distribution: ``v1.37.2+k3s1``.
    """

    name: str
    addresses: tuple[str, ...]
    pod_cidrs: tuple[str, ...]
    is_control_plane: bool
    labels: Mapping[str, str]
    tunnels: Mapping[str, str] = field(default_factory=dict)
    version: str = ""


def node_facts(source: RawObject) -> NodeFacts:
    """Return the facts of a Node."""
    read = read_object(source, _Node, "Node")
    spec, status = read.spec or _NodeSpec(), read.status or _NodeStatus()
    internal = tuple(told.address for told in status.addresses or () if told.type == "InternalIP")
    cidrs = tuple(spec.pod_cidrs or ([spec.pod_cidr] if spec.pod_cidr else []))
    labels = read.metadata.labels
    is_control_plane = any(label in labels for label in CONTROL_PLANE_LABELS)
    annotations = read.metadata.annotations
    tunnels = {key: annotations[key] for key in TUNNEL_ANNOTATIONS if key in annotations}
    version = "" if status.node_info is None else status.node_info.kubelet_version
    return NodeFacts(read.metadata.name, internal, cidrs, is_control_plane, labels, tunnels, version)
