"""What follows from where calls were seen to come from."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.cluster.probe.address_owners import AddressOwners
from app.cluster.probe.conclude import conclude
from app.engine.addresses import Address, address_of, networks_of
from app.engine.cluster import Provenance, Source
from app.model.measurement import Coverage, Measurement, Observation, Reach
from app.wire.objects.pods import PodFacts, pod_facts
from tests.cluster.builders import node

FIRST, SECOND = "10.20.0.10:6443", "10.20.0.11:6443"
NOTHING_AROUND = AddressOwners()
SINGLE = Coverage(FIRST, Reach.SINGLE, 21, 21, pods=("guard-1",))


def address(text: str) -> Address:
    parsed = address_of(text)
    assert parsed is not None
    return parsed


def saw(peer: str, api_server: str = FIRST, pod: str = "guard-1", times: int = 1) -> Observation:
    return Observation(address(peer), api_server, pod, "worker-1", times)


def concluded(
    *observations: Observation, around: AddressOwners = NOTHING_AROUND, coverage: Coverage = SINGLE
) -> Measurement:
    return conclude(observations, (coverage,), around)


def pod(name: str, peer: str, namespace: str = "kube-system", **labels: str) -> PodFacts:
    return PodFacts(namespace, name, labels, addresses=(address(peer),))


def cidr(source: Source) -> str:
    return " ".join(map(str, networks_of(source.addresses))) if source.addresses is not None else "pods"


def test_an_address_becomes_a_measured_source_that_names_the_api_servers_it_was_seen_for() -> None:
    found = concluded(saw("10.99.0.1", FIRST), saw("10.99.0.1", SECOND), saw("fd00::1", SECOND))
    assert [(cidr(source), source.provenance, source.origin) for source in found.sources] == [
        (
            "10.99.0.1/32",
            Provenance.MEASURED,
            f"a probe just now, asking {FIRST} and {SECOND}",
        ),
        ("fd00::1/128", Provenance.MEASURED, f"a probe just now, asking {SECOND}"),
    ]
    assert found.notes == ()


def test_the_evidence_says_how_often_and_by_which_pods_it_was_seen() -> None:
    (found,) = concluded(saw("10.99.0.1", times=5), saw("10.99.0.1", pod="guard-2", times=7)).found
    assert (found.times, found.pods, found.api_servers) == (12, ("guard-1", "guard-2"), (FIRST,))
    assert found.seers == ("guard-1 on worker-1", "guard-2 on worker-1")


def test_the_pods_of_a_known_proxy_become_a_source_by_label_never_their_addresses() -> None:
    around = AddressOwners(
        pods=(
            pod("konnectivity-agent-a", "10.244.1.7", **{"k8s-app": "konnectivity-agent"}),
            pod("konnectivity-agent-b", "10.244.2.9", **{"k8s-app": "konnectivity-agent"}),
        )
    )
    found = concluded(saw("10.244.1.7"), saw("10.244.2.9"), around=around)
    (source,) = found.sources
    assert source.addresses is None
    assert source.pods is not None
    assert source.pods.pods.matches({"k8s-app": "konnectivity-agent"})
    assert not source.pods.pods.matches({"k8s-app": "other"})
    assert source.pods.namespaces.matches({"kubernetes.io/metadata.name": "kube-system"})
    assert "through the konnectivity agents" in found.notes[0]


def test_the_address_of_another_pod_is_no_source_and_a_note_says_what_to_do() -> None:
    around = AddressOwners(pods=(pod("envoy-1", "10.244.1.7", "edge", app="konnectivity-agent"),))
    found = concluded(saw("10.244.1.7"), around=around)
    assert found.sources == ()
    assert "pod edge/envoy-1, which is no known proxy" in found.notes[0]
    assert "apiServer.sources" in found.notes[0]


def test_the_guards_own_address_means_that_a_proxy_hides_the_caller() -> None:
    around = AddressOwners(pods=(pod("guard-1", "10.244.1.7", "guards"),), guard_namespace="guards")
    found = concluded(saw("10.244.1.7"), around=around)
    assert found.sources == ()
    assert "Take the guard out of the mesh" in found.notes[0]


def test_a_tunnel_address_is_derived_for_every_control_plane_node_never_as_the_whole_pod_cidr() -> None:
    nodes = tuple(replace(node(f"cp-{n}"), pod_cidrs=(f"10.244.{n}.0/24",)) for n in range(3))
    found = concluded(saw("10.244.1.0"), around=AddressOwners(nodes))
    assert [(cidr(source), source.provenance) for source in found.sources] == [
        ("10.244.1.0/32", Provenance.MEASURED),
        ("10.244.0.0/32", Provenance.GUESSED),
        ("10.244.2.0/32", Provenance.GUESSED),
    ]


def test_a_pod_in_a_pod_cidr_is_no_tunnel() -> None:
    nodes = tuple(replace(node(f"cp-{n}"), pod_cidrs=(f"10.244.{n}.0/24",)) for n in range(3))
    around = AddressOwners(nodes, (pod("konnectivity-agent", "10.244.1.7", app="konnectivity-agent"),))
    assert [cidr(source) for source in concluded(saw("10.244.1.7"), around=around).sources] == ["pods"]


def test_the_address_of_a_worker_node_is_a_source_with_a_note_that_others_may_follow() -> None:
    around = AddressOwners((node("worker-9", "10.20.0.99", control_plane=False), node("cp", "10.20.0.10")))
    found = concluded(saw("10.20.0.99"), saw("10.20.0.10"), around=around)
    assert [cidr(source) for source in found.sources] == ["10.20.0.10/32", "10.20.0.99/32"]
    assert len(found.notes) == 1
    assert found.notes[0].startswith("10.20.0.99 is the address of node worker-9")


def test_behind_one_address_it_is_a_matter_of_statistics_and_a_note_says_so() -> None:
    shared = Coverage("api.example.test:443", Reach.SHARED, 21, 21)
    (note,) = concluded(saw("10.99.0.1"), coverage=shared).notes
    assert note == (
        "api.example.test:443 may stand for several API servers, which answer by chance: one that does"
        " so every third time stayed unseen in 21 probes with a probability of 0.02 %, one that does so"
        " every tenth time of 11 %"
    )


@pytest.mark.parametrize(
    ("coverage", "said"),
    [
        (Coverage(FIRST, Reach.SINGLE, 5, 5, hidden=5), "mesh sidecar, hides the caller"),
        (
            Coverage(FIRST, Reach.SINGLE, 5, 3, trouble="no guard answered"),
            f"2 of 5 probes at {FIRST}: no guard answered",
        ),
    ],
)
def test_what_was_hidden_or_not_answered_is_told(coverage: Coverage, said: str) -> None:
    assert any(said in note for note in concluded(coverage=coverage).notes)


def guard(name: str, *, is_ready: bool = True) -> PodFacts:
    labels = {"app.kubernetes.io/name": "netpol-guard"}
    return PodFacts("guards", name, labels, is_ready=is_ready)


def test_a_ready_guard_pod_that_no_call_came_to_is_told() -> None:
    pods = (guard("guard-1"), guard("guard-2"), guard("guard-3", is_ready=False))
    around = AddressOwners(pods=pods, guard_namespace="guards")
    (note,) = concluded(saw("10.99.0.1"), around=around).notes
    assert note.startswith(f"none of 21 calls of API server {FIRST} came to pod guard-2")


def test_in_a_dual_stack_cluster_the_family_that_was_not_measured_is_told() -> None:
    around = AddressOwners((replace(node("n"), pod_cidrs=("10.244.1.0/24", "fd42::/64")),))
    (note,) = concluded(saw("10.99.0.1"), around=around).notes
    assert note.startswith("calls over IPv6 were not measured, as the guard's Service is called over IPv4")
    assert concluded(saw("10.99.0.1"), saw("fd00::1"), around=around).notes == ()


def test_on_eks_a_note_says_that_addresses_do_not_last() -> None:
    worker = replace(node("n", control_plane=False), version="v1.37.2-eks-0a1b2c3")
    assert "replaced on upgrades" in concluded(around=AddressOwners((worker,))).notes[0]


def test_a_pod_in_the_hosts_network_or_that_has_ended_has_no_address_of_its_own() -> None:
    status = {"phase": "Running", "podIPs": [{"ip": "10.244.1.7"}, {"ip": "fd00::7"}]}
    raw = {"metadata": {"namespace": "kube-system", "name": "p"}, "spec": {}, "status": status}
    assert pod_facts(raw).own_addresses == (address("10.244.1.7"), address("fd00::7"))
    assert pod_facts({**raw, "spec": {"hostNetwork": True}}).own_addresses == ()
    assert pod_facts({**raw, "status": {**status, "phase": "Succeeded"}}).own_addresses == ()


def test_an_address_that_tells_nothing_of_the_caller_is_said_to_be_without_a_place() -> None:
    proxy = AddressOwners(pods=(pod("gateway", "10.244.1.9", "mesh"),))
    found = concluded(saw("10.99.0.1"), saw("10.244.1.9"), around=proxy)
    assert found.unplaced == (address("10.244.1.9"),)
    assert [str(observed.place) for observed in found.found] == ["10.99.0.1"]
    assert concluded(saw("10.99.0.1")).unplaced == ()
