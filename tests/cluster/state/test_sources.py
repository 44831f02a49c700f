from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network

import pytest

from app.cluster.state.facts import Agent
from app.cluster.state.sources import HOST_NETWORK_LABEL, api_server_endpoints, discover
from app.engine.addresses import address_of, network_set, networks_of
from app.engine.cluster import Provenance, Source
from app.engine.policy import PodPeer
from app.engine.selectors import Selector
from app.model.declared_sources import declared_source
from app.model.measured_sources import Memory, Remembered
from app.model.measurement import CallerPlace
from app.wire.objects.nodes import NodeFacts
from tests.cluster.builders import endpointslice, facts, namespace, node

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
AGENTS = frozenset({Agent("k8s-app")})


def shown(sources: tuple[Source, ...]) -> list[tuple[str, str]]:
    """Return CIDRs (or the pods) and origin of each source."""
    return [
        (
            " ".join(map(str, networks_of(source.addresses)))
            if source.addresses is not None
            else str(source.pods),
            source.origin,
        )
        for source in sources
    ]


def test_every_endpoint_of_default_kubernetes_is_a_guessed_source_of_its_own() -> None:
    found = discover(
        facts(slices=(endpointslice("10.20.0.11", "10.20.0.10"), endpointslice("fd00::a")))
    ).sources
    assert shown(found) == [
        ("10.20.0.10/32", "EndpointSlice default/kubernetes"),
        ("10.20.0.11/32", "EndpointSlice default/kubernetes"),
        ("fd00::a/128", "EndpointSlice default/kubernetes"),
    ]
    assert {each.provenance for each in found} == {Provenance.GUESSED}


def test_endpoints_of_other_services_and_host_names_are_no_sources() -> None:
    others = (
        endpointslice("10.0.0.1", service=("default", "web")),
        endpointslice("10.0.0.2", service=("kube-system", "kubernetes")),
        endpointslice("api.example.test"),
    )
    assert discover(facts(slices=others)).sources == ()


def test_internal_addresses_of_control_plane_nodes_add_up_with_the_endpoints() -> None:
    nodes = (node("cp-1", "10.20.0.10", "fd00::10"), node("worker", "10.20.0.99", control_plane=False))
    assert shown(discover(facts(nodes=nodes)).sources) == [
        ("10.20.0.10/32", "EndpointSlice default/kubernetes and control-plane node cp-1"),
        ("fd00::10/128", "control-plane node cp-1"),
    ]


def test_with_konnectivity_agents_the_agents_are_sources_and_the_endpoints_are_not() -> None:
    found = discover(facts(agents=AGENTS))
    peer = PodPeer.own("kube-system", Selector.labels({"k8s-app": "konnectivity-agent"}))
    assert [(source.pods, source.addresses) for source in found.sources] == [(peer, None)]
    assert any("konnectivity" in note for note in found.notes)


def test_an_openshift_host_network_namespace_is_a_source_by_its_label_and_name() -> None:
    labelled = namespace("openshift-host-network", {HOST_NETWORK_LABEL: ""})
    found = discover(facts(slices=(), namespaces={labelled.name: labelled})).sources
    assert [each.origin for each in found] == ["host network, namespace openshift-host-network"]
    assert found[0].pods is not None
    assert found[0].pods.namespaces.matches(labelled.labels)
    assert not found[0].pods.namespaces.matches(namespace("other", {HOST_NETWORK_LABEL: ""}).labels)
    assert Selector.labels({HOST_NETWORK_LABEL: ""}) != found[0].pods.namespaces


def test_a_host_network_label_with_a_value_is_not_the_one_that_openshift_sets() -> None:
    labelled = namespace("odd", {HOST_NETWORK_LABEL: "yes"})
    assert discover(facts(slices=(), namespaces={"odd": labelled})).sources == ()


def remembered(address: str, seen: datetime = NOW) -> Remembered:
    parsed = address_of(address)
    assert parsed is not None
    return Remembered(CallerPlace(parsed), seen, seen, "admin", ("10.20.0.1:6443",))


def memory(*addresses: str, seen: datetime = NOW) -> Memory:
    return Memory(tuple(remembered(address, seen) for address in addresses))


def test_what_the_admin_declares_overrides_everything() -> None:
    declared = (declared_source("10.99.0.0/28"),)
    found = discover(facts(agents=AGENTS, memory=memory("10.244.0.0")), declared=declared)
    assert found.sources == declared
    assert found.sources[0].provenance is Provenance.DECLARED


def test_measured_sources_come_first_and_are_not_guessed_again() -> None:
    known = facts(
        slices=(endpointslice("10.20.0.10", "10.20.0.11"),), memory=memory("10.9.9.9", "10.20.0.10")
    )
    found = discover(known).sources
    assert [(each.provenance, cidr) for each, (cidr, _) in zip(found, shown(found), strict=True)] == [
        (Provenance.MEASURED, "10.9.9.9/32"),
        (Provenance.MEASURED, "10.20.0.10/32"),
        (Provenance.GUESSED, "10.20.0.11/32"),
    ]
    assert found[0].origin == "a probe by admin on 2026-11-25, asking 10.20.0.1:6443"


def unseen(text: str, rounds: int) -> Memory:
    """Return one measured address that so many daily rounds did not see."""
    (known,) = memory(text).measured
    return Memory((replace(known, unseen=tuple(NOW + timedelta(days=each) for each in range(rounds))),))


def test_a_measured_source_that_some_rounds_did_not_see_is_required_and_a_note_says_how_far_it_is() -> None:
    found = discover(facts(memory=unseen("10.9.9.9", 7)))
    assert [source.provenance for source in found.sources] == [Provenance.MEASURED, Provenance.GUESSED]
    (note,) = found.notes
    assert note == (
        "10.9.9.9, which was measured (a probe by admin on 2026-11-25, asking 10.20.0.1:6443), was not seen"
        " in 7 complete rounds of probes from 2026-11-25 to 2026-12-01: after 7 of them over at least 7 days"
        " it is not required any more"
    )


def test_an_expired_source_that_nothing_lists_is_not_required_and_a_note_says_so() -> None:
    found = discover(facts(memory=unseen("10.9.9.9", 8)))
    assert [source.provenance for source in found.sources] == [Provenance.GUESSED]
    (note,) = found.notes
    assert note.endswith("to 2026-12-02, and nothing else lists it: it is not required any more")


def test_an_expired_source_that_is_listed_too_stays_required() -> None:
    found = discover(facts(slices=(endpointslice("10.20.0.10"),), memory=unseen("10.20.0.10", 8)))
    assert [source.provenance for source in found.sources] == [Provenance.MEASURED]
    (note,) = found.notes
    assert note.endswith("it is required, as something else lists it")


def test_an_entry_that_was_not_understood_is_noted() -> None:
    assert discover(facts(memory=Memory(notes=("entry x is skipped",)))).notes == ("entry x is skipped",)


def guesses(*nodes: NodeFacts, measured: str = "") -> list[tuple[str, str]]:
    known = facts(slices=(), nodes=nodes, memory=memory(measured) if measured else Memory())
    return shown(
        tuple(source for source in discover(known).sources if source.provenance is Provenance.GUESSED)
    )


def test_a_measured_address_in_a_pod_cidr_is_derived_for_every_node_of_the_control_plane() -> None:
    nodes = (
        replace(node("cp-1"), pod_cidrs=("10.42.0.0/24", "fd42::/64")),
        replace(node("cp-2"), pod_cidrs=("10.42.1.0/24", "fd42:0:0:1::/64")),
        replace(node("worker", control_plane=False), pod_cidrs=("10.42.2.0/24",)),
    )
    assert guesses(*nodes, measured="10.42.0.1") == [
        ("10.42.1.1/32", "address 1 of the pod CIDR of control-plane node cp-2, as measured of cp-1")
    ]
    assert guesses(*nodes, measured="fd42::1") == [
        ("fd42:0:0:1::1/128", "address 1 of the pod CIDR of control-plane node cp-2, as measured of cp-1")
    ]
    assert guesses(*nodes, measured="10.9.9.9") == []


def test_what_is_derived_lies_within_the_pod_cidr_of_its_node() -> None:
    nodes = (
        replace(node("cp-1"), pod_cidrs=("10.42.0.0/24",)),
        replace(node("cp-2"), pod_cidrs=("10.42.1.0/30", "nonsense")),
    )
    assert guesses(*nodes, measured="10.42.0.200") == []


CALICO = "projectcalico.org/IPv4VXLANTunnelAddr"


def test_tunnel_addresses_that_the_network_plugin_wrote_on_control_plane_nodes_are_guessed() -> None:
    nodes = (
        replace(node("cp-1"), tunnels={CALICO: "10.244.86.128"}),
        replace(node("cp-2"), tunnels={CALICO: "not an address"}),
        replace(node("worker", control_plane=False), tunnels={CALICO: "10.244.7.0"}),
    )
    assert guesses(*nodes) == [("10.244.86.128/32", f"{CALICO} of control-plane node cp-1")]


def test_a_measured_tunnel_address_of_an_unlabelled_node_is_derived_by_its_annotation() -> None:
    nodes = (
        replace(node("server", control_plane=False), tunnels={CALICO: "10.244.7.0"}),
        replace(node("cp-2"), tunnels={CALICO: "10.244.86.128"}),
    )
    assert (
        "10.244.86.128/32",
        f"{CALICO} of control-plane node cp-2",
    ) in guesses(*nodes, measured="10.244.7.0")


def test_k3s_servers_call_from_the_first_addresses_of_their_pod_cidr() -> None:
    servers = replace(node("one"), pod_cidrs=("10.42.0.0/24",), version="v1.37.2+k3s1")
    assert guesses(servers) == [
        ("10.42.0.0/32", "address 0 of the pod CIDR of k3s server one"),
        ("10.42.0.1/32", "address 1 of the pod CIDR of k3s server one"),
    ]
    assert guesses(replace(servers, version="v1.37.2")) == []
    assert guesses(replace(servers, is_control_plane=False)) == []


def test_many_konnectivity_agents_are_one_source() -> None:
    agents = frozenset({Agent("app", (ip_address("10.1.0.4"),)), Agent("app", (ip_address("10.1.0.5"),))})
    assert [source.origin for source in discover(facts(agents=agents)).sources] == [
        "pods app=konnectivity-agent in kube-system"
    ]


def test_knowing_no_source_at_all_is_noted() -> None:
    assert any("no source" in note for note in discover(facts(slices=())).notes)
    assert discover(facts()).notes == ()


def test_the_order_in_which_facts_were_read_does_not_matter() -> None:
    one, other = node("cp-1", "10.20.0.1"), node("cp-2", "10.20.0.2")
    assert discover(facts(nodes=(one, other))) == discover(facts(nodes=(other, one)))


@pytest.mark.parametrize(
    ("text", "cidr"),
    [
        ("10.20.0.10", "10.20.0.10/32"),
        (" 10.0.0.0/8 ", "10.0.0.0/8"),
        ("fd00::1", "fd00::1/128"),
        ("10.0.0.7/8", "10.0.0.0/8"),
    ],
)
def test_a_declared_source_is_an_address_or_a_cidr(text: str, cidr: str) -> None:
    assert declared_source(text).addresses == network_set(ip_network(cidr))


@pytest.mark.parametrize("text", ["", "kubernetes.example.test", "10.0.0.0/33", "10.0.0"])
def test_anything_else_is_no_declared_source(text: str) -> None:
    with pytest.raises(ValueError, match="IPv4 or IPv6"):
        declared_source(text)


def test_pods_reach_the_api_server_at_all_its_endpoints_with_or_without_konnectivity() -> None:
    slices = (endpointslice("10.20.0.10", "10.20.0.11"), endpointslice("fd00::a", port=443))
    found = api_server_endpoints(facts(slices=slices, agents=AGENTS).slices)
    assert [(str(next(networks_of(each.addresses))), each.port) for each in found] == [
        ("10.20.0.10/32", 6443),
        ("10.20.0.11/32", 6443),
        ("fd00::a/128", 443),
    ]
