"""What the addresses are that the API server's calls were seen to come from: nodes, and pods."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from app.cluster.client.objects import Objects
from app.cluster.state.facts import KUBE_SYSTEM
from app.engine.addresses import Address
from app.errors import StateUnreadable
from app.model.kinds import NODE, POD, Kind, Manifest
from app.names import NAME, NAME_LABEL
from app.wire.objects.nodes import NodeFacts, node_facts
from app.wire.objects.pods import PodFacts, pod_facts


class PodsRead(Enum):
    """Which pods may be read, to tell whether an address is one's."""

    ALL = "those of all namespaces"
    NEAR = "those of kube-system and of the guard's namespace, which the guard itself may read"


@dataclass(frozen=True, slots=True)
class AddressOwners:
    """The nodes, and those pods that an address may belong to; ``notes`` say what could not be read."""

    nodes: tuple[NodeFacts, ...] = ()
    pods: tuple[PodFacts, ...] = ()
    guard_namespace: str = ""
    notes: tuple[str, ...] = ()

    @property
    def guards(self) -> frozenset[str]:
        """The names of the guard's pods that are ready to be called."""
        return frozenset(
            pod.name
            for pod in self.pods
            if pod.namespace == self.guard_namespace and pod.labels.get(NAME_LABEL) == NAME and pod.is_ready
        )


def owners_of(
    objects: Objects, guard_namespace: str, peers: Iterable[Address], readable: PodsRead
) -> AddressOwners:
    """Return what surrounds ``peers``. Never raises: what may not be read is a note, and costs no more."""
    notes: list[str] = []

    def read(kind: Kind, namespace: str = "", fields: str = "") -> list[Manifest]:
        try:
            return objects.list(kind, namespace, fields=fields)
        except StateUnreadable as error:
            notes.append(f"whether a measured address is a pod's or a tunnel's is not certain: {error}")
            return []

    nodes = tuple(node_facts(node) for node in read(NODE))
    found = [*read(POD, KUBE_SYSTEM), *read(POD, guard_namespace)]
    if readable is PodsRead.ALL:
        for peer in sorted(peers, key=str):
            found += read(POD, fields=f"status.podIP={peer}")
    pods = {(pod.namespace, pod.name): pod for pod in map(pod_facts, found)}
    return AddressOwners(nodes, tuple(pods.values()), guard_namespace, tuple(notes))
