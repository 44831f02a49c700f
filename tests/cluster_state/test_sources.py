from __future__ import annotations

from ipaddress import ip_network

import pytest

from app.cluster.facts import Agent
from app.cluster.sources import HOST_NETWORK_LABEL, api_server_endpoints, declared_source, discover
from app.engine.addresses import network_set, networks_of
from app.engine.cluster import Provenance, Source
from app.engine.policy import PodPeer
from app.engine.selectors import Selector
from tests.cluster_state.builders import endpointslice, facts, namespace, node

AGENTS = frozenset({Agent("k8s-app")})


def shown(sources: tuple[Source, ...]) -> list[tuple[str, str]]:
    """Return CIDRs (or the pods) and origin of each source."""
    return [
        (
            " ".join(map(str, networks_of(one.addresses))) if one.addresses is not None else str(one.pods),
            one.origin,
        )
        for one in sources
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
    assert {one.provenance for one in found} == {Provenance.GUESSED}


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
    assert [(one.pods, one.addresses) for one in found.sources] == [(peer, None)]
    assert any("konnectivity" in note for note in found.notes)


def test_an_openshift_host_network_namespace_is_a_source_by_its_label_and_name() -> None:
    labelled = namespace("openshift-host-network", {HOST_NETWORK_LABEL: ""})
    found = discover(facts(slices=(), namespaces={labelled.name: labelled})).sources
    assert [one.origin for one in found] == ["host network, namespace openshift-host-network"]
    assert found[0].pods is not None
    assert found[0].pods.namespaces.matches(labelled.labels)
    assert not found[0].pods.namespaces.matches(namespace("other", {HOST_NETWORK_LABEL: ""}).labels)
    assert Selector.labels({HOST_NETWORK_LABEL: ""}) != found[0].pods.namespaces


def test_a_host_network_label_with_a_value_is_not_the_one_that_openshift_sets() -> None:
    labelled = namespace("odd", {HOST_NETWORK_LABEL: "yes"})
    assert discover(facts(slices=(), namespaces={"odd": labelled})).sources == ()


def test_what_the_admin_declares_overrides_everything() -> None:
    declared = (declared_source("10.99.0.0/28"),)
    measured = (Source(Provenance.MEASURED, "a probe", addresses=network_set(ip_network("10.244.0.0/32"))),)
    found = discover(facts(agents=AGENTS), declared=declared, measured=measured)
    assert found.sources == declared
    assert found.sources[0].provenance is Provenance.DECLARED


def test_measured_sources_come_first_and_are_not_guessed_again() -> None:
    measured = tuple(
        Source(Provenance.MEASURED, "a probe", addresses=network_set(ip_network(one)))
        for one in ("10.244.0.0/32", "10.20.0.10/32")
    )
    guessed = facts(slices=(endpointslice("10.20.0.10", "10.20.0.11"),))
    found = discover(guessed, measured=measured).sources
    assert [(one.provenance, cidr) for one, (cidr, _) in zip(found, shown(found), strict=True)] == [
        (Provenance.MEASURED, "10.244.0.0/32"),
        (Provenance.MEASURED, "10.20.0.10/32"),
        (Provenance.GUESSED, "10.20.0.11/32"),
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
    assert [(str(next(networks_of(one.addresses))), one.port) for one in found] == [
        ("10.20.0.10/32", 6443),
        ("10.20.0.11/32", 6443),
        ("fd00::a/128", 443),
    ]
