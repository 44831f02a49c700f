"""Where calls come from, measured through real API servers, each with a source of its own."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.cluster.client.connection import Connection, configuration
from app.cluster.client.objects import Objects
from app.cluster.probe.prober import Prober, ProbeTimeouts
from app.cluster.probe.questions import PolicyQuestion
from app.cluster.probe.store import recall, remember
from app.cluster.survey.cilium import plugin_limit
from app.engine.addresses import networks_of
from app.engine.cluster import Provenance
from app.model.measured_sources import Memory, Rounds
from app.model.measurement import Measurement, Reach
from app.model.sources_config_map import ROUNDS_ANNOTATION, render_rounds
from app.model.survey import PluginLimit
from app.names import NAME, SOURCES_CONFIG_MAP
from tests.integration.incluster import deployed
from tests.integration.incluster.balancer import balanced
from tests.integration.incluster.conftest import MakeCluster
from tests.integration.incluster.scenes import eventually, make_managed, spark_operator
from tests.kube.authority import Authority, ServingCertificate
from tests.kube.cluster import Cluster, Shape
from tests.kube.lan import Family

MANAGED = "managed"
TIMEOUTS = ProbeTimeouts(for_first_answer=60)
HIGHLY_AVAILABLE = Shape(api_servers=3, hidden_source=True)
HIDDEN = "10.98.0.13"
CONFIG_MAP = f"/api/v1/namespaces/{NAME}/configmaps/{SOURCES_CONFIG_MAP}"


def guarded(cluster: Cluster, folder: Path) -> Cluster:
    deployed.apply(cluster, deployed.overlay(folder))
    cluster.kubectl("rollout", "status", f"deployment/{NAME}", "-n", NAME, "--timeout=180s")
    make_managed(cluster, MANAGED)
    return cluster


def measure(cluster: Cluster, member: int = 0) -> Measurement:
    with cluster.entered():
        config = configuration(cluster.kubeconfig(member=member))
        return Prober(config).measure(PolicyQuestion(MANAGED), TIMEOUTS)


def addresses(measurement: Measurement) -> set[str]:
    return {str(source.place) for source in measurement.found}


def guard_pods(cluster: Cluster) -> set[str]:
    return {pod.name for pod in cluster.kubelet.pods(NAME)}


def connection(cluster: Cluster) -> Connection:
    return Connection(configuration(cluster.kubeconfig()))


def noted(cluster: Cluster) -> dict[str, str]:
    """Return the data of the ConfigMap."""
    found: dict[str, str] = json.loads(cluster.client().request("GET", CONFIG_MAP).text).get("data", {})
    return found


def note(cluster: Cluster, **patch: object) -> None:
    """Change the ConfigMap, as somebody may who wants the guard to believe something else."""
    content_type = "application/merge-patch+json"
    assert cluster.client().request("PATCH", CONFIG_MAP, patch, content_type=content_type).ok


def recalled(cluster: Cluster) -> Memory:
    """Return what is remembered."""
    with cluster.entered():
        memory = recall(connection(cluster))
    assert memory is not None
    return memory


@pytest.fixture(scope="module")
def one(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """A cluster with one API server and the guard."""
    return guarded(cluster, tmp_path_factory.mktemp("deploy"))


def test_the_source_of_the_only_api_server_is_measured_on_every_node_of_the_guard(one: Cluster) -> None:
    found = measure(one)
    assert addresses(found) == {"10.99.0.1"}
    (coverage,) = found.coverage
    assert coverage.reach is Reach.SINGLE
    assert set(coverage.pods) == guard_pods(one)
    assert {seen.node for each in found.found for seen in each.observations} == {"worker-1", "worker-2"}
    assert found.notes == ()


def test_every_probe_reaches_a_replica_anew(one: Cluster) -> None:
    """A connection that is kept would reach the same replica again and again."""
    (found,) = measure(one).found
    counts = {pod: sum(seen.times for seen in found.observations if seen.pod == pod) for pod in found.pods}
    assert len(counts) == 2
    assert min(counts.values()) >= 2


def test_a_seen_source_is_noted_again_by_the_guard_with_the_rights_that_it_ships_with(one: Cluster) -> None:
    assert eventually(lambda: "10.99.0.1" in noted(one))

    def is_seen() -> bool:
        """A round of the guard may be under way, which sees it as well."""
        note(one, data={"10.99.0.1": noted(one)["10.99.0.1"].replace('Seen":"20', 'Seen":"19')})
        make_review(one)
        return "seen.10.99.0.1" in noted(one)

    assert eventually(is_seen)
    (remembered,) = recalled(one).measured
    assert remembered.last_seen.year > remembered.first_seen.year + 50


def make_review(cluster: Cluster, member: int = 0) -> None:
    """Let the API server ask the guard about something harmless."""
    policy = {"metadata": {"name": "harmless"}, "spec": {"podSelector": {}, "ingress": [{}]}}
    path = f"/apis/networking.k8s.io/v1/namespaces/{MANAGED}/networkpolicies?dryRun=All"
    answer = cluster.client(member=member).request("POST", path, policy)
    assert answer.ok, answer.text


def test_without_the_right_to_note_it_nothing_is_measured_the_metrics_say_so_and_reviews_are_answered(
    one: Cluster,
) -> None:
    """A new image under the manifests of 0.1.0."""
    assert eventually(lambda: recalled(one).rounds.completed is not None)
    role = json.loads(one.kubectl("get", "role", NAME, "-n", NAME, "-o", "json").stdout)
    old = [
        {**rule, "verbs": ["list", "watch", "patch"]}
        if rule.get("resourceNames") == [SOURCES_CONFIG_MAP]
        else rule
        for rule in role["rules"]
    ]
    put_rules(one, old)
    try:
        note(one, metadata={"annotations": {ROUNDS_ANNOTATION: None}})
        assert eventually(lambda: 'netpol_guard_probe_rounds_total{outcome="failed"}' in metrics(one))
        make_review(one)
        assert recalled(one).rounds.completed is None
    finally:
        put_rules(one, role["rules"])
    assert eventually(lambda: recalled(one).rounds.completed is not None)


def put_rules(cluster: Cluster, rules: list[dict[str, Any]]) -> None:
    """Let the guard's Role say this in its own namespace."""
    cluster.kubectl("patch", "role", NAME, "-n", NAME, "--type=merge", "-p", json.dumps({"rules": rules}))


def metrics(cluster: Cluster) -> str:
    """Return what one of the replicas says of itself."""
    path = f"/api/v1/namespaces/{NAME}/services/http:{NAME}:metrics/proxy/metrics"
    return cluster.client().request("GET", path).text


@pytest.mark.parametrize(
    ("families", "source"),
    [
        ((Family.IPV6,), "fd00:98::c"),
        ((Family.IPV6, Family.IPV4), "fd00:98::c"),
        ((Family.IPV4, Family.IPV6), "10.98.0.12"),
    ],
    ids=lambda value: "+".join(item.value for item in value) if isinstance(value, tuple) else "",
)
def test_sources_of_either_family_are_measured_those_in_no_endpointslice_too(
    make_cluster: MakeCluster, tmp_path: Path, families: tuple[Family, ...], source: str
) -> None:
    cluster = guarded(make_cluster(Shape(families=families, api_servers=2, hidden_source=True)), tmp_path)
    found = measure(cluster)
    assert cluster.api_servers[1].sources[0] == source
    assert addresses(found) == {each.sources[0] for each in cluster.api_servers}
    assert [each.reach for each in found.coverage] == [Reach.SINGLE, Reach.SINGLE]
    for each in found.sources:
        assert each.addresses is not None
        (network,) = networks_of(each.addresses)
        assert network.num_addresses == 1


def test_the_guard_measures_by_itself_and_what_it_measured_expires_by_evidence_alone(
    make_cluster: MakeCluster, tmp_path: Path
) -> None:
    """Attacks F25 and F4: nobody ran bootstrap; and somebody waits until the source is forgotten."""
    cluster = guarded(make_cluster(HIGHLY_AVAILABLE), tmp_path)
    cluster.apply(*spark_operator(MANAGED))
    narrow = operator_policy("10.99.0.11", "10.99.0.12", "10.99.0.13")
    wide = operator_policy("10.99.0.11", "10.99.0.12", "10.99.0.13", HIDDEN)
    assert eventually(lambda: recalled(cluster).rounds.completed is not None), noted(cluster)
    assert set(noted(cluster)) >= {"10.99.0.11", "10.99.0.12", HIDDEN}
    members = {f"10.99.0.{number}:6443" for number in (11, 12, 13)}
    assert set(recalled(cluster).rounds.singly) == members
    assert refused(cluster, wide) == ""
    assert eventually(lambda: bool(refused(cluster, narrow, "--dry-run=server")))
    said = refused(cluster, narrow)
    assert "would cut the API server from webhook spark-operator-webhook" in said
    assert f"measured: {HIDDEN} (a probe by the guard on " in said

    # Quiet years: the record is old, and nothing came of it but silence.
    moments = '"firstSeen":"2020-01-01T12:00:00Z","lastSeen":"2020-01-01T12:00:00Z"'
    quiet = f'{moments},"address":"{HIDDEN}"'
    note(cluster, data={HIDDEN: f"{{{quiet}}}", f"seen.{HIDDEN}": None})
    assert eventually(lambda: "(a probe on 2020-01-01)" in refused(cluster, narrow, "--dry-run=server"))
    assert "would cut the API server" in refused(cluster, narrow)

    # Eight complete rounds without it.
    rounds = ",".join(f'"2020-01-{day:02}T12:00:00Z"' for day in range(2, 10))
    note(cluster, data={HIDDEN: f'{{{quiet},"unseen":[{rounds}]}}'})
    assert eventually(lambda: refused(cluster, narrow, "--dry-run=server") == "")
    told = cluster.guard("doctor", "--no-calls").stdout
    assert f"{HIDDEN}, a measured source, is not required any more: it was not seen in 8" in told

    # The next round sees it. One is made as soon as there is no record of the last one.
    note(cluster, metadata={"annotations": {ROUNDS_ANNOTATION: None}})
    assert eventually(lambda: bool(refused(cluster, narrow, "--dry-run=server")))
    assert json.loads(noted(cluster)[HIDDEN])["firstSeen"] == "2020-01-01T12:00:00Z"


def refused(cluster: Cluster, policy: dict[str, Any], *flags: str) -> str:
    """Apply the policy; return what is said where it is refused, "" where it passes."""
    done = cluster.kubectl("apply", "-f", "-", *flags, stdin=json.dumps(policy), check=False)
    return "" if done.returncode == 0 else done.stderr


def test_a_source_in_no_endpointslice_is_measured_required_and_unknown_until_then(
    make_cluster: MakeCluster, tmp_path: Path
) -> None:
    cluster = make_cluster(HIGHLY_AVAILABLE)
    measured_just_now(cluster)
    guarded(cluster, tmp_path)
    cluster.apply(*spark_operator(MANAGED))
    narrow = operator_policy("10.99.0.11", "10.99.0.12", "10.99.0.13")
    assert eventually(lambda: answered(cluster, narrow, member=2)[0])
    # A review from there is told of, and makes nothing required.
    assert eventually(lambda: f"unknown.{HIDDEN}" in noted(cluster))
    assert answered(cluster, narrow)[0]

    give_pod_networks(cluster)
    found = measure(cluster)
    assert addresses(found) == {"10.99.0.11", "10.99.0.12", HIDDEN}
    on_other_nodes = "address 13 of the pod CIDR of control-plane node control-plane-{}"
    assert [each.origin for each in found.derived] == [
        f"{on_other_nodes.format(number)}, as measured of control-plane-3" for number in (1, 2)
    ]
    assert {each.api_server: each.answers == each.probes for each in found.coverage} == {
        "10.99.0.11:6443": True,
        "10.99.0.12:6443": True,
        "10.99.0.13:6443": True,
    }
    (hidden,) = (each for each in found.found if str(each.place) == HIDDEN)
    assert hidden.api_servers == ("10.99.0.13:6443",)
    assert set(hidden.pods) == guard_pods(cluster)

    with cluster.entered():
        remember(connection(cluster), found, by="admin")
    assert eventually(lambda: not answered(cluster, narrow)[0])
    message = answered(cluster, narrow)[1]
    assert "would cut the API server from webhook spark-operator-webhook" in message
    assert f"measured: {HIDDEN} (a probe by admin on " in message
    assert "asking 10.99.0.13:6443)" in message
    wide = operator_policy("10.99.0.11", "10.99.0.12", "10.99.0.13", HIDDEN)
    assert answered(cluster, wide)[0]  # the derived ones are guesses: missing them is a warning
    assert eventually(lambda: f"unknown.{HIDDEN}" not in noted(cluster))


def measured_just_now(cluster: Cluster) -> None:
    """Let the guard believe that it need not measure before tomorrow."""
    annotations = render_rounds(Rounds(datetime.now(UTC)))
    metadata = {"name": SOURCES_CONFIG_MAP, "namespace": NAME, "annotations": annotations}
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAME}})
    # Not applied, or else `kubectl apply` of the manifests would take the annotation away.
    assert cluster.client().request("POST", CONFIG_MAP.rpartition("/")[0], {"metadata": metadata}).ok


def give_pod_networks(cluster: Cluster) -> None:
    """Let the hidden source be in the pod network of its control-plane node, as a tunnel's address is."""
    for number, network in enumerate(("10.98.1.0/24", "10.98.2.0/24", "10.98.0.0/24"), start=1):
        spec = json.dumps({"spec": {"podCIDR": network, "podCIDRs": [network]}})
        cluster.kubectl("patch", "node", f"control-plane-{number}", "-p", spec)


def operator_policy(*sources: str) -> dict[str, Any]:
    """Return a policy for the webhook's pods that lets these sources and the managed namespaces in."""
    managed = {"namespaceSelector": {"matchLabels": {"iomete.com/managed": "true"}}}
    blocks = [{"ipBlock": {"cidr": f"{each}/32"}} for each in sources]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "operator", "namespace": MANAGED},
        "spec": {
            "podSelector": {"matchLabels": {"service": "spark-operator"}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [managed, *blocks]}],
        },
    }


def answered(cluster: Cluster, policy: dict[str, Any], member: int = 0) -> tuple[bool, str]:
    """Return whether the guard lets the policy through, and what it says; nothing is stored."""
    path = f"/apis/networking.k8s.io/v1/namespaces/{MANAGED}/networkpolicies?dryRun=All"
    answer = cluster.client(member=member).request("POST", path, policy)
    return answer.ok, answer.message


def balanced_kubeconfig(cluster: Cluster, shared: str, folder: Path) -> Path:
    """Write a kubeconfig for the load balancer's address, whose certificates are those of its members."""
    written = yaml.safe_load(cluster.kubeconfig().read_text())
    written["clusters"][0]["cluster"].update({"server": f"https://{shared}", "tls-server-name": "kubernetes"})
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(written))
    return path


def test_behind_one_address_all_members_are_measured_by_chance_and_a_note_says_so(
    make_cluster: MakeCluster, tmp_path: Path
) -> None:
    cluster = guarded(make_cluster(HIGHLY_AVAILABLE), tmp_path)
    members = [each.address for each in cluster.api_servers]
    outside = cluster.attach_outside(unreachable=members)
    with balanced(cluster, members, 7443) as shared, outside.namespace.entered():
        kubeconfig = balanced_kubeconfig(cluster, shared, tmp_path)
        found = Prober(configuration(kubeconfig)).measure(PolicyQuestion(MANAGED), TIMEOUTS)
    assert addresses(found) == {"10.99.0.11", "10.99.0.12", HIDDEN}
    (coverage,) = found.coverage
    assert (coverage.api_server, coverage.reach) == (shared, Reach.SHARED)
    assert any(note.startswith(f"{shared} may stand for several API servers") for note in found.notes)
    for member in members:
        unreached = f"API server {member}:6443 cannot be asked by itself: the API server cannot be reached"
        assert any(note.startswith(unreached) for note in found.notes)


def test_credentials_go_to_no_endpoint_whose_certificate_is_not_valid_for_it(
    one: Cluster, tmp_path: Path
) -> None:
    heard: list[bytes] = []
    files = Authority().issue(tmp_path, "impostor", ["10.99.0.1"])
    with impostor(one, files, heard) as port:
        one.apply(
            {
                "apiVersion": "discovery.k8s.io/v1",
                "kind": "EndpointSlice",
                "metadata": {
                    "name": "impostor",
                    "namespace": "default",
                    "labels": {"kubernetes.io/service-name": "kubernetes"},
                },
                "addressType": "IPv4",
                "endpoints": [{"addresses": ["10.99.0.1"]}],
                "ports": [{"name": "https", "port": port}],
            }
        )
        try:
            found = measure(one)
        finally:
            one.kubectl("delete", "endpointslice", "impostor", "-n", "default")
    assert [each.api_server for each in found.coverage] == ["10.99.0.1:6443"]
    (note,) = found.notes
    assert note.startswith(f"API server 10.99.0.1:{port} cannot be asked by itself: the TLS connection")
    assert heard == [b""]


@contextmanager
def impostor(cluster: Cluster, files: ServingCertificate, heard: list[bytes]) -> Iterator[int]:
    """Serve TLS with a certificate of somebody else's authority; yield the port, and note what is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate, files.key)
    with cluster.entered():
        listening = socket.create_server(("10.99.0.1", 0))

    def listen() -> None:
        client, _ = listening.accept()
        with client:
            try:
                with context.wrap_socket(client, server_side=True) as connection:
                    heard.append(connection.recv(1 << 16))
            except OSError:  # the client did not go on
                heard.append(b"")

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    with listening:
        yield int(listening.getsockname()[1])
        thread.join(10)


def test_a_probe_with_kubectl_shows_the_answer_as_a_warning(one: Cluster) -> None:
    nonce = "0123456789abcdef0123"
    annotated = {**operator_policy("10.99.0.1"), "spec": {"podSelector": {}, "ingress": [{}]}}
    annotated["metadata"]["annotations"] = {f"{NAME}.iomete.com/probe": nonce}
    shown = one.kubectl("create", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(annotated)).stderr
    assert f"Warning: netpol-guard probe {nonce}: peer=10.99.0.1 pod=netpol-guard-" in shown


def test_where_cilium_does_not_match_nodes_a_measured_source_is_told_to_be_out_of_reach(one: Cluster) -> None:
    sources = measure(one).sources
    metadata = {"name": "cilium-config", "namespace": "kube-system"}
    cilium = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"ipam": "cluster-pool"}}

    def limit() -> PluginLimit | None:
        with one.entered():
            return plugin_limit(Objects(connection(one), "tests"), sources)

    assert limit() is None
    one.apply(cilium)
    try:
        found = limit()
        assert found is not None
        assert found.sources == sources
        assert "the API server calls from nodes (10.99.0.1)" in found.why
        one.apply({**cilium, "data": {"policy-cidr-match-mode": "nodes"}})
        assert limit() is None
    finally:
        one.kubectl("delete", "configmap", "cilium-config", "-n", "kube-system")


def test_what_was_measured_is_known_as_measured_to_whoever_reads_the_live_state(one: Cluster) -> None:
    def is_known_by_admin() -> bool:
        """A round of the guard may be under way, which is heard as well."""
        note(one, data={"10.99.0.1": None})
        with one.entered():
            memory = remember(connection(one), measure(one), by="admin")
        assert {known.source.provenance for known in memory.measured} == {Provenance.MEASURED}
        return bool(json.loads(noted(one)["10.99.0.1"])["by"] == "admin")

    assert eventually(is_known_by_admin)
