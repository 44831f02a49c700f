"""What the addresses are that the API server's calls were seen to come from: nodes, and pods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from app.cluster.facts import KUBE_SYSTEM
from app.errors import StateUnreadable
from app.wire.identity import NAME, NAME_LABEL
from app.wire.kinds import NODE, POD
from app.wire.metadata import NO_METADATA, Metadata
from app.wire.objects import node_facts, read_object
from app.wire.probe import address_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from app.cluster.objects import Objects
    from app.wire.kinds import Manifest
    from app.wire.objects import NodeFacts
    from app.wire.probe import Address


class _PodAddress(msgspec.Struct):
    ip: str = ""


class _PodSpec(msgspec.Struct, rename="camel"):
    host_network: bool = False


class _Condition(msgspec.Struct):
    type: str = ""
    status: str = ""


class _PodStatus(msgspec.Struct, rename="camel"):
    phase: str = ""
    conditions: list[_Condition] | None = None
    pod_ips: list[_PodAddress] | None = msgspec.field(name="podIPs", default=None)


class _Pod(msgspec.Struct):
    metadata: Metadata = NO_METADATA
    spec: _PodSpec | None = None
    status: _PodStatus | None = None


@dataclass(frozen=True, slots=True)
class AddressedPod:
    """A pod with addresses of its own."""

    namespace: str
    name: str
    labels: Mapping[str, str]
    addresses: frozenset[Address]
    is_ready: bool = True


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The nodes, and those pods that an address may belong to; ``notes`` say what could not be read."""

    nodes: tuple[NodeFacts, ...] = ()
    pods: tuple[AddressedPod, ...] = ()
    guard_namespace: str = ""
    notes: tuple[str, ...] = ()

    @property
    def guards(self) -> frozenset[str]:
        """The names of the guard's pods that are ready to be called."""
        return frozenset(
            one.name
            for one in self.pods
            if one.namespace == self.guard_namespace and one.labels.get(NAME_LABEL) == NAME and one.is_ready
        )


def look_around(objects: Objects, guard_namespace: str, peers: Iterable[Address]) -> Surroundings:
    """Return what surrounds ``peers``. Never raises: what may not be read becomes a note."""
    notes: list[str] = []
    pods: dict[tuple[str, str], AddressedPod] = {}
    nodes: tuple[NodeFacts, ...] = ()
    try:
        nodes = tuple(node_facts(one) for one in objects.list(NODE))
        found = [*objects.list(POD, KUBE_SYSTEM), *objects.list(POD, guard_namespace)]
        for peer in sorted(peers, key=str):
            found += objects.list(POD, fields=f"status.podIP={peer}")
        pods = {(one.namespace, one.name): one for raw in found if (one := addressed_pod(raw)) is not None}
    except StateUnreadable as error:
        notes.append(f"whether a measured address is a pod's or a tunnel's is not certain: {error}")
    return Surroundings(nodes, tuple(pods.values()), guard_namespace, tuple(notes))


def addressed_pod(raw: Manifest) -> AddressedPod | None:
    """Return a pod that has its addresses for itself; None in the host's network, and once it has ended."""
    read = read_object(raw, _Pod, "Pod")
    status = read.status or _PodStatus()
    if (read.spec and read.spec.host_network) or status.phase in ("Succeeded", "Failed"):
        return None
    addresses = (address_of(one.ip) for one in status.pod_ips or ())
    meta = read.metadata
    ready = any(one.type == "Ready" and one.status == "True" for one in status.conditions or ())
    known = frozenset(one for one in addresses if one is not None)
    return AddressedPod(meta.namespace, meta.name, meta.labels, known, is_ready=ready)
