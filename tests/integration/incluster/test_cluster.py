"""What the other tests of this folder rely on: the cluster of the tests behaves like a cluster."""

from __future__ import annotations

import base64
import json
import signal
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.authority import Authority
from tests.cluster.cluster import IMAGE, Cluster, Shape
from tests.cluster.lan import Family
from tests.integration.guard import configuration
from tests.integration.incluster.conftest import MakeCluster
from tests.integration.incluster.scenes import deny_all, eventually, make_managed, spark_operator

NAMESPACE = "netpol-guard"
SERVICE = f"netpol-guard.{NAMESPACE}.svc"
RESTRICTED = {
    "readOnlyRootFilesystem": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
}


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def guarded(cluster: Cluster, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """A cluster with two replicas of the guard behind its Service, registered."""
    install(cluster, authority, tmp_path_factory.mktemp("certificates"))
    make_managed(cluster)
    return cluster


def install(cluster: Cluster, authority: Authority, folder: Path) -> None:
    cluster.apply(*manifests(authority, folder))
    cluster.kubectl("rollout", "status", "deployment/netpol-guard", "-n", NAMESPACE, "--timeout=60s")
    cluster.apply(registration(authority))


def registration(authority: Authority) -> dict[str, Any]:
    made = configuration()
    for webhook in made["webhooks"]:
        webhook["clientConfig"]["caBundle"] = base64.b64encode(authority.pem.encode()).decode()
    return made


def manifests(authority: Authority, folder: Path) -> list[dict[str, Any]]:
    files = authority.issue(folder, "guard", [SERVICE])
    settings = {
        "tls": {"certFile": "/etc/netpol-guard/tls/tls.crt", "keyFile": "/etc/netpol-guard/tls/tls.key"},
        "listen": {"host": "::", "healthHost": "::"},
        "drainSeconds": 1,
    }
    data = {
        key: base64.b64encode(path.read_bytes()).decode()
        for key, path in (("tls.crt", files.certificate), ("tls.key", files.key))
    }
    metadata = {"name": "netpol-guard", "namespace": NAMESPACE}
    labels = {"app.kubernetes.io/name": "netpol-guard"}
    subject = {"kind": "ServiceAccount", "name": "default", "namespace": NAMESPACE}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "netpol-guard"},
            "roleRef": role,
            "subjects": [subject],
        },
        {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data},
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": {"settings.yaml": json.dumps(settings)},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": labels, "ports": [{"port": 443, "targetPort": "webhook"}]},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod_spec()},
            },
        },
    ]


def pod_spec() -> dict[str, Any]:
    return {
        "securityContext": {"runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532},
        "terminationGracePeriodSeconds": 5,
        "volumes": [
            {"name": "tls", "secret": {"secretName": "netpol-guard", "defaultMode": 0o400}},
            {"name": "settings", "configMap": {"name": "netpol-guard"}},
        ],
        "containers": [
            {
                "name": "guard",
                "image": IMAGE,
                "args": ["serve", "--config", "/etc/netpol-guard/settings/settings.yaml"],
                "securityContext": RESTRICTED,
                "ports": [
                    {"name": "webhook", "containerPort": 8443},
                    {"name": "health", "containerPort": 8080},
                ],
                "env": [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
                "readinessProbe": {"httpGet": {"path": "/readyz", "port": "health"}, "periodSeconds": 1},
                "volumeMounts": [
                    {"name": "tls", "mountPath": "/etc/netpol-guard/tls", "readOnly": True},
                    {"name": "settings", "mountPath": "/etc/netpol-guard/settings", "readOnly": True},
                ],
            }
        ],
    }


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
    process = guarded.kubelet.pods(NAMESPACE)[0].processes[0]
    status = Path(f"/proc/{process.pid}/status").read_text()
    assert "Uid:\t65532\t65532" in status
    assert "CapBnd:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    root = Path(f"/proc/{process.pid}/root")
    with pytest.raises(OSError, match="Read-only file system"):
        (root / "written").touch()
    assert (root / "run/secrets/kubernetes.io/serviceaccount/ca.crt").read_text()


def test_a_killed_replica_is_started_again(guarded: Cluster) -> None:
    pod = guarded.kubelet.pods(NAMESPACE)[0]
    pod.kill(signal.SIGKILL)
    guarded.kubelet.wait_until(lambda _: pod.restarts == 1 and pod.is_ready, "the second run")
    guarded.kubectl("rollout", "status", "deployment/netpol-guard", "-n", NAMESPACE, "--timeout=30s")
    listed = guarded.kubectl("get", "pod", pod.name, "-n", NAMESPACE, "-o", "json").stdout
    container = json.loads(listed)["status"]["containerStatuses"][0]
    assert (container["restartCount"], container["lastState"]["terminated"]["exitCode"]) == (1, 137)


def test_a_secret_reaches_each_pod_at_its_own_time(guarded: Cluster) -> None:
    early, late = guarded.kubelet.pods(NAMESPACE)[:2]
    late.habits.volume_seconds = 3600.0
    late.refresh_volumes()
    guarded.kubelet.wait_until(lambda _: bool(late.files("tls")), "the first refresh")
    guarded.kubectl(
        *("patch", "secret", "netpol-guard", "-n", NAMESPACE),
        *("-p", json.dumps({"data": {"more": base64.b64encode(b"new").decode()}})),
    )
    guarded.kubelet.wait_until(lambda _: early.files("tls").get("more") == b"new", "the early Pod's Secret")
    assert "more" not in late.files("tls")
    late.refresh_volumes()
    guarded.kubelet.wait_until(lambda _: late.files("tls").get("more") == b"new", "the late Pod's Secret")


def test_a_rolling_restart_replaces_every_pod(guarded: Cluster) -> None:
    before = {each.uid for each in guarded.kubelet.pods(NAMESPACE)}
    guarded.kubectl("rollout", "restart", "deployment/netpol-guard", "-n", NAMESPACE)
    guarded.kubectl("rollout", "status", "deployment/netpol-guard", "-n", NAMESPACE, "--timeout=60s")
    guarded.kubelet.wait_until(
        lambda pods: not before & {each.uid for each in pods}, "the end of the Pods before"
    )


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
    authority = Authority()
    install(cluster, authority, tmp_path)
    make_managed(cluster)
    assert eventually(lambda: is_judged(cluster))
    assert source_seen_by(cluster, 0) == source
    pod = cluster.kubelet.pods("managed")[0]
    assert len(pod.station.addresses) == len(families)


def test_each_of_three_api_servers_has_a_source_and_one_is_listed_nowhere(
    make_cluster: MakeCluster, tmp_path: Path
) -> None:
    cluster = make_cluster(Shape(api_servers=3, hidden_source=True))
    authority = Authority()
    install(cluster, authority, tmp_path)
    make_managed(cluster)
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
    make_managed(cluster)
    cluster.apply(*spark_operator("managed"))
    cluster.kubectl("delete", "validatingwebhookconfiguration", "netpol-guard", "--ignore-not-found")
    webhook_ingress = {
        **deny_all("managed"),
        "metadata": {"name": "let-in", "namespace": "managed"},
        "spec": {
            "podSelector": {"matchLabels": {"service": "spark-operator"}},
            "ingress": [{"from": [{"ipBlock": {"cidr": f"{cluster.api_servers[0].sources[0]}/32"}}]}],
        },
    }
    with cluster.watch_policies() as history:
        cluster.apply(webhook_ingress)
        cluster.apply(deny_all("managed"))
        for name in ("default-deny", "let-in"):
            cluster.kubectl("delete", "networkpolicy", name, "-n", "managed")
    changes = [each.what for each in history.moments]
    assert changes == [
        "as found",
        "ADDED managed/let-in",
        "ADDED managed/default-deny",
        "DELETED managed/default-deny",
        "DELETED managed/let-in",
    ]
    lost = {(moment.what, loss.flow.id.value) for moment, loss in history.losses()}
    assert ("ADDED managed/default-deny", "managed-egress") in lost
    assert not any(flow == "webhook-ingress" for _, flow in lost)
    with pytest.raises(AssertionError, match="managed-ingress of managed"):
        history.assert_nothing_lost()
