"""What a measured address may belong to, as far as it may be read."""

from __future__ import annotations

import json
from ipaddress import ip_address

from app.cluster.client.objects import Objects
from app.cluster.probe.address_owners import AddressOwners, PodsRead, owners_of
from tests.cluster.routed_api import RoutedApi

NODES, EVERYWHERE = "/api/v1/nodes", "/api/v1/pods"
SYSTEM, GUARDS = "/api/v1/namespaces/kube-system/pods", "/api/v1/namespaces/guards/pods"
PEERS = (ip_address("10.20.0.10"), ip_address("10.244.1.7"))


def listed(*names: str, namespace: str = "") -> bytes:
    items = [{"metadata": {"name": name, "namespace": namespace}} for name in names]
    return json.dumps({"metadata": {"resourceVersion": "1"}, "items": items}).encode()


def cluster(**answers: bytes | int) -> RoutedApi:
    found: dict[str, bytes | int] = {
        NODES: listed("node-1"),
        SYSTEM: listed("agent", namespace="kube-system"),
        GUARDS: listed("guard-1", namespace="guards"),
        EVERYWHERE: listed("gateway", namespace="mesh"),
    }
    return RoutedApi({**found, **{globals()[name]: answer for name, answer in answers.items()}})


def owners(api: RoutedApi, readable: PodsRead) -> AddressOwners:
    return owners_of(Objects(api, "tests"), "guards", PEERS, readable)


def names(found: AddressOwners) -> tuple[list[str], list[str]]:
    return [node.name for node in found.nodes], [pod.name for pod in found.pods]


def test_whoever_may_looks_for_the_pod_of_each_address_in_all_namespaces() -> None:
    api = cluster()
    assert names(owners(api, PodsRead.ALL)) == (["node-1"], ["agent", "guard-1", "gateway"])
    asked = [request.query["fieldSelector"] for request in api.requests if request.path == EVERYWHERE]
    assert asked == ["status.podIP=10.20.0.10", "status.podIP=10.244.1.7"]


def test_the_guard_asks_for_no_pods_that_it_may_not_read() -> None:
    api = cluster()
    assert names(owners(api, PodsRead.NEAR)) == (["node-1"], ["agent", "guard-1"])
    assert [request.path for request in api.requests] == [NODES, SYSTEM, GUARDS]


def test_what_may_not_be_read_is_a_note_and_costs_no_more() -> None:
    found = owners(cluster(GUARDS=403), PodsRead.NEAR)
    assert names(found) == (["node-1"], ["agent"])
    (note,) = found.notes
    assert note.startswith("whether a measured address is a pod's or a tunnel's is not certain")
    assert names(owners(cluster(NODES=403, SYSTEM=403), PodsRead.NEAR)) == ([], ["guard-1"])
