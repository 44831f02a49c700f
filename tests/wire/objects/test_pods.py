from __future__ import annotations

import pytest

from app.engine.ports import Protocol
from app.wire.errors import UnusableObject
from app.wire.objects.pods import NamedPort, pod_facts


def test_a_pod_is_known_by_labels_addresses_and_named_ports_sidecars_included() -> None:
    ports = [{"name": "http", "containerPort": 80}, {"containerPort": 81}]
    sidecar = {"ports": [{"name": "dns", "containerPort": 53, "protocol": "UDP"}]}
    pod = pod_facts(
        {
            "metadata": {"name": "p", "namespace": "ns", "labels": {"a": "b"}},
            "spec": {"containers": [{"ports": ports}, {}], "initContainers": [sidecar]},
            "status": {"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]},
        }
    )
    assert (pod.namespace, pod.name, pod.labels) == ("ns", "p", {"a": "b"})
    assert tuple(map(str, pod.addresses)) == ("10.0.0.1", "fd00::1")
    assert pod.addresses == pod.own_addresses
    assert pod.ports == (NamedPort("http", Protocol.TCP, 80), NamedPort("dns", Protocol.UDP, 53))


def test_a_pod_that_does_not_run_yet_has_no_address() -> None:
    assert pod_facts({"metadata": {"name": "p"}, "status": {}}).addresses == ()


def test_a_pod_in_its_hosts_network_says_so() -> None:
    pod = pod_facts(b'{"spec": {"hostNetwork": true}, "status": {"podIP": "10.9.0.1"}}')
    assert (tuple(map(str, pod.addresses)), pod.own_addresses) == (("10.9.0.1",), ())
    assert pod.is_host_network


def test_what_is_no_pod_is_refused_with_the_field() -> None:
    with pytest.raises(UnusableObject, match=r"Pod: spec\.containers"):
        pod_facts({"spec": {"containers": "none"}})
