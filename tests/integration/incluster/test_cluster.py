"""What the other tests of this folder rely on: the cluster of the tests behaves like a cluster."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.integration.incluster import deployed
from tests.integration.incluster.conftest import MakeCluster
from tests.integration.incluster.deployed import GUARD, replicas
from tests.integration.incluster.scenes import deny_all, eventually, make_managed, spark_operator
from tests.kube.cluster import Cluster, Shape
from tests.kube.lan import Family


@pytest.fixture(scope="module")
def guarded(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """A cluster with two replicas of the guard behind its Service, registered."""
    install(cluster, tmp_path_factory.mktemp("overlay"))
    return cluster


def install(cluster: Cluster, folder: Path) -> None:
    make_managed(cluster)
    deployed.apply(cluster, deployed.overlay(folder, {"webhook": {"checkSeconds": 1}}))
    deployed.wait_until_guarding(cluster)


def is_judged(cluster: Cluster, member: int = 0) -> bool:
    """Whether the API server asks the guard: a first policy is rejected, and nothing is stored."""
    answer = cluster.client(member=member).request(
        "POST",
        "/apis/networking.k8s.io/v1/namespaces/managed/networkpolicies?dryRun=All",
        deny_all("managed"),
    )
    return not answer.ok and "would cut" in answer.message


def source_seen_by(cluster: Cluster, member: int) -> str:
    """Return where a connection of the API server comes from, as a Pod without a program sees it."""
    pod = cluster.kubelet.pods("managed")[0]
    path = f"/api/v1/namespaces/managed/pods/{pod.name}:9000/proxy/"
    family = socket.AF_INET6 if ":" in pod.address else socket.AF_INET
    with pod.station.namespace.entered():
        listener = socket.create_server((pod.address, 9000), family=family)
    with listener, ThreadPoolExecutor(1) as threads:
        asking = threads.submit(cluster.client(member=member).request, "GET", path)
        connection, peer = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        assert asking.result().status == 204
    return str(peer[0])


def test_the_guard_answers_through_its_service(guarded: Cluster) -> None:
    assert eventually(lambda: is_judged(guarded))


def test_a_container_runs_as_the_pods_user_without_capabilities(guarded: Cluster) -> None:
    process = replicas(guarded)[0].processes[0]
    status = Path(f"/proc/{process.pid}/status").read_text()
    assert "Uid:\t65532\t65532" in status
    assert "CapBnd:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    root = Path(f"/proc/{process.pid}/root")
    with pytest.raises(OSError, match="Read-only file system"):
        (root / "written").touch()
    assert (root / "run/secrets/kubernetes.io/serviceaccount/ca.crt").read_text()


def test_a_killed_replica_is_started_again(guarded: Cluster) -> None:
    pod = replicas(guarded)[0]
    before = pod.restarts

    def is_told() -> bool:
        listed = json.loads(guarded.kubectl("get", "pod", pod.name, "-n", GUARD, "-o", "json").stdout)
        container = listed["status"]["containerStatuses"][0]
        exit_code = container.get("lastState", {}).get("terminated", {}).get("exitCode")
        return (container["restartCount"], exit_code, container["ready"]) == (before + 1, 137, True)

    pod.kill(signal.SIGKILL)
    guarded.kubelet.wait_until(lambda _: pod.restarts > before and pod.is_ready, "the second run")
    assert eventually(is_told)
    guarded.kubectl("rollout", "status", f"deployment/{GUARD}", "-n", GUARD, "--timeout=180s")


def test_what_is_mounted_reaches_each_pod_at_its_own_time(guarded: Cluster) -> None:
    early, late = replicas(guarded)
    late.habits.volume_seconds = 3600.0
    late.refresh_volumes()
    more = json.dumps({"data": {"more": "new"}})
    guarded.kubectl("patch", "configmap", f"{GUARD}-settings", "-n", GUARD, "-p", more)
    guarded.kubelet.wait_until(
        lambda _: early.files("settings").get("more") == b"new", "the early Pod's file"
    )
    assert "more" not in late.files("settings")
    late.refresh_volumes()
    guarded.kubelet.wait_until(lambda _: late.files("settings").get("more") == b"new", "the late Pod's file")


@pytest.mark.parametrize(
    ("families", "source"),
    [
        ((Family.IPV6,), "fd00:99::1"),
        ((Family.IPV4, Family.IPV6), "10.99.0.1"),
    ],
    ids=["IPv6", "dual-stack"],
)
def test_a_service_webhook_is_called_in_other_families_too(
    make_cluster: MakeCluster, tmp_path: Path, families: tuple[Family, ...], source: str
) -> None:
    cluster = make_cluster(Shape(families=families))
    install(cluster, tmp_path)
    assert eventually(lambda: is_judged(cluster))
    assert source_seen_by(cluster, 0) == source
    pod = cluster.kubelet.pods("managed")[0]
    assert len(pod.station.addresses) == len(families)


def test_each_of_three_api_servers_has_a_source_and_one_is_listed_nowhere(
    make_cluster: MakeCluster, tmp_path: Path
) -> None:
    cluster = make_cluster(Shape(api_servers=3, hidden_source=True))
    install(cluster, tmp_path)
    for member, api_server in enumerate(cluster.api_servers):
        assert eventually(partial(is_judged, cluster, member))
        assert source_seen_by(cluster, member) == api_server.sources[0]
    sources = [each.sources[0] for each in cluster.api_servers]
    listed = cluster.kubectl("get", "endpointslices,nodes", "-A", "-o", "json").stdout
    assert [source in listed for source in sources] == [True, True, False]


def test_nothing_of_a_cluster_is_left_behind(network_namespaces: None) -> None:  # noqa: ARG001
    def leftovers() -> tuple[list[str], list[str]]:
        links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
        return links.splitlines(), Path("/proc/mounts").read_text().splitlines()

    before = leftovers()
    with Cluster() as cluster:
        make_managed(cluster)
        processes = cluster.control_plane.processes
        namespace = cluster.kubelet.pods("managed")[0].station.namespace.path
        assert Path(namespace).exists()
    assert not any(each.is_running() for each in processes)
    assert not Path(namespace).exists()
    assert leftovers() == before


def test_a_flow_that_is_lost_for_a_moment_only_is_found_in_the_history(cluster: Cluster) -> None:
    make_managed(cluster, "watched")
    cluster.apply(*spark_operator("watched"))
    # Where the guard of other tests would reject the loss, it is not to.
    cluster.kubectl("label", "namespace", "watched", "netpol-guard.iomete.com/mode=off")
    webhook_ingress = {
        **deny_all("watched"),
        "metadata": {"name": "let-in", "namespace": "watched"},
        "spec": {
            "podSelector": {"matchLabels": {"service": "spark-operator"}},
            "ingress": [{"from": [{"ipBlock": {"cidr": f"{cluster.api_servers[0].sources[0]}/32"}}]}],
        },
    }
    with cluster.watch_policies() as history:
        cluster.apply(webhook_ingress)
        cluster.apply(deny_all("watched"))
        for name in ("default-deny", "let-in"):
            cluster.kubectl("delete", "networkpolicy", name, "-n", "watched")
    changes = [each.what for each in history.moments]
    assert changes == [
        "as found",
        "ADDED watched/let-in",
        "ADDED watched/default-deny",
        "DELETED watched/default-deny",
        "DELETED watched/let-in",
    ]
    lost = {(moment.what, loss.flow.id.value) for moment, loss in history.losses()}
    assert ("ADDED watched/default-deny", "managed-egress") in lost
    assert not any(flow == "webhook-ingress" for _, flow in lost)
    with pytest.raises(AssertionError, match="managed-ingress of watched"):
        history.assert_nothing_lost()
