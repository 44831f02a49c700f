"""What the product, and the independent oracle, say about one flow of a case."""

from __future__ import annotations

import copy
from typing import Any

from app.engine.addresses import place_of
from app.engine.points import Peer, Point, is_allowed
from app.engine.policy import Direction, Namespace
from app.engine.ports import Protocol, position
from app.wire.networkpolicy.parse import Validation, parse_policy
from tests.engine import oracle

Object = dict[str, Any]
HOME = "data-plane"
NAMESPACES = {
    "data-plane": {"iomete.com/managed": "true", "team": "spark"},
    "iomete-system": {"iomete.com/managed": "true"},
    "web": {"team": "web"},
    "unlabelled": {},
}
"""The namespaces of the cases, as their admin labelled them; rule 12 adds the name."""


def manifests(case: Object) -> list[Object]:
    """Return the policies of a case as objects: each item is a spec, with ``namespace`` where not HOME."""
    made = []
    for index, policy in enumerate(copy.deepcopy(case["policies"])):
        namespace = policy.pop("namespace", HOME)
        made.append(
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "NetworkPolicy",
                "metadata": {"name": f"policy-{index + 1}", "namespace": namespace},
                "spec": policy,
            }
        )
    return made


def _end(described: Object) -> oracle.End:
    name = described.get("namespace", None if "ip" in described else HOME)
    labels = {} if name is None else dict(Namespace.of(name, NAMESPACES[name]).labels)
    return oracle.End(name, labels, described.get("labels") or {}, described.get("ip"))


def read_flow(described: Object) -> oracle.Flow:
    """Return the flow; ``names`` of the destination says which container ports have which name."""
    protocol, port = described["port"].split()
    container_ports = described["to"].get("names") or {}
    names = {name for name, places in container_ports.items() if described["port"] in places}
    return oracle.Flow(_end(described["from"]), _end(described["to"]), protocol, int(port), frozenset(names))


def _peer(end: oracle.End) -> Peer:
    address = None if end.ip is None else place_of(end.ip)
    return Peer(end.namespace, end.namespace_labels, end.labels, address)


def product_allows(case: Object) -> bool:
    """Return the verdict of the product: the source's egress and the destination's ingress (rule 4)."""
    flow = read_flow(case["flow"])
    parsed = [parse_policy(manifest, validation=Validation.NEW) for manifest in manifests(case)]
    assert [error for read in parsed for error in read.errors] == []
    policies = [read.policy for read in parsed if read.policy is not None]
    place = position(Protocol(flow.protocol), flow.port)
    judged = (
        (Direction.EGRESS, flow.source, flow.destination),
        (Direction.INGRESS, flow.destination, flow.source),
    )
    return all(
        is_allowed(
            [policy for policy in policies if policy.namespace == pod.namespace],
            direction,
            Point(pod.labels, _peer(other), place, flow.names),
        )
        for direction, pod, other in judged
        if pod.namespace is not None
    )


def oracle_allows(case: Object) -> bool:
    """Return the verdict of the oracle, which shares no code with the product."""
    flow = read_flow(case["flow"])
    ends = (("Egress", flow.source), ("Ingress", flow.destination))
    return all(
        oracle.allowed(manifests(case), flow, direction)
        for direction, pod in ends
        if pod.namespace is not None
    )


def is_for_oracle(case: Object) -> bool:
    """Tell whether the oracle, which reads objects as stored, can read the case: types given, plain IPv4."""
    return all(policy.get("policyTypes") for policy in case["policies"]) and "::ffff:" not in str(
        case["flow"]
    )
