from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress

import pytest
from hypothesis import given

from app.engine.ports import Protocol
from app.engine.selectors import NAMESPACE_NAME_LABEL
from app.wire.errors import UnusableObject
from app.wire.objects.lists import read_list
from app.wire.objects.namespaces import ParsedNamespace, namespace_of, parse_namespace
from app.wire.objects.nodes import node_facts
from app.wire.objects.services import (
    EndpointFacts,
    EndpointPort,
    ServicePort,
    endpointslice_facts,
    service_facts,
)
from app.wire.objects.webhooks import WebhookClient, conversion_registrations, registrations
from app.wire.review.request import policy_of
from tests.wire.api_server_cases import Json, policy
from tests.wire.strategies import ANYTHING


def metadata(**more: object) -> Json:
    return {"name": "x", "namespace": "ns", "creationTimestamp": None, **more}


# ---------------------------------------------------------------------------------------- Service
SERVICE: Mapping[str, object] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": metadata(),
    "spec": {
        "type": "ClusterIP",
        "selector": {"app": "webhook"},
        "ports": [
            {"name": "https", "port": 443, "targetPort": "webhook"},
            {"port": 8080, "protocol": "UDP", "targetPort": 9443},
            {"port": 80},
        ],
    },
}


def test_a_service_names_its_pods_and_their_ports() -> None:
    facts = service_facts(SERVICE)
    assert (facts.namespace, facts.name, facts.selector) == ("ns", "x", {"app": "webhook"})
    assert facts.ports == (
        ServicePort("https", 443, Protocol.TCP, "webhook"),
        ServicePort("", 8080, Protocol.UDP, 9443),
        ServicePort("", 80, Protocol.TCP, 80),
    )


def test_json_text_is_read_like_an_object() -> None:
    assert service_facts(json.dumps(SERVICE).encode()) == service_facts(SERVICE)


@pytest.mark.parametrize("spec", [None, {}, {"selector": None, "ports": None}])
def test_a_service_without_selector_has_an_empty_one(spec: object) -> None:
    facts = service_facts({"metadata": metadata(), "spec": spec})
    assert (facts.selector, facts.ports, facts.is_external_name) == ({}, (), False)


def test_an_external_name_is_known_as_one() -> None:
    spec = {"type": "ExternalName", "externalName": "example.com"}
    assert service_facts({"metadata": metadata(), "spec": spec}).is_external_name


# ----------------------------------------------------------------------------------- EndpointSlice
def test_an_endpointslice_resolves_ports_and_lists_addresses() -> None:
    facts = endpointslice_facts(
        {
            "metadata": metadata(labels={"kubernetes.io/service-name": "webhook"}),
            "addressType": "IPv4",
            "endpoints": [
                {"addresses": ["10.0.0.1"], "conditions": {"ready": True}},
                {"addresses": ["10.0.0.2"], "conditions": {"ready": False}},
                {"addresses": ["10.0.0.3"]},
            ],
            "ports": [{"name": "https", "port": 9443, "protocol": "TCP"}, {"port": None}],
        }
    )
    assert (facts.service, facts.address_type) == ("webhook", "IPv4")
    assert facts.addresses == ("10.0.0.1", "10.0.0.2", "10.0.0.3")
    assert [endpoint.ready for endpoint in facts.endpoints] == [True, False, True]
    assert facts.endpoints[0] == EndpointFacts(("10.0.0.1",), ready=True)
    assert facts.ports == (
        EndpointPort("https", Protocol.TCP, 9443),
        EndpointPort("", Protocol.TCP, None),
    )


@pytest.mark.parametrize(
    ("conditions", "may_answer"),
    [
        ({"ready": True}, True),
        (None, True),
        ({"ready": False}, False),
        ({"ready": False, "serving": True, "terminating": True}, True),
        ({"ready": False, "serving": False, "terminating": True}, True),
    ],
)
def test_a_pod_may_answer_until_it_is_gone(conditions: dict[str, bool] | None, *, may_answer: bool) -> None:
    target = {"kind": "Pod", "name": "guard-1"}
    endpoint = {"addresses": ["10.0.0.1"], "conditions": conditions, "targetRef": target}
    facts = endpointslice_facts({"metadata": metadata(), "endpoints": [endpoint], "ports": None})
    assert [(found.pod, found.may_answer) for found in facts.endpoints] == [("guard-1", may_answer)]


def test_an_endpointslice_without_endpoints_is_empty() -> None:
    facts = endpointslice_facts({"metadata": metadata(), "endpoints": None, "ports": None})
    assert (facts.addresses, facts.ports, facts.service) == ((), (), "")


# ------------------------------------------------------------------------- webhook configurations
CONFIGURATION: Mapping[str, object] = {
    "kind": "MutatingWebhookConfiguration",
    "metadata": {"name": "spark-operator-iomete"},
    "webhooks": [
        {
            "name": "mutate.example.com",
            "clientConfig": {"service": {"namespace": "ns", "name": "webhook", "path": "/mutate"}},
        },
        {"name": "other", "clientConfig": {"service": {"namespace": "a", "name": "b", "port": 8443}}},
        {"name": "outside", "clientConfig": {"url": "https://example.com/hook"}},
    ],
}


def clients_of(source: Mapping[str, object], kind: str = "") -> tuple[WebhookClient, ...]:
    return tuple(found.client for found in registrations(source, kind))


def conversion_of(source: Mapping[str, object]) -> WebhookClient | None:
    found = conversion_registrations(source)
    return found[0].client if found else None


def test_a_webhook_configuration_names_the_services_that_serve_it() -> None:
    name = "MutatingWebhookConfiguration/spark-operator-iomete"
    assert clients_of(CONFIGURATION) == (
        WebhookClient(name, "mutate.example.com", "ns", "webhook", 443, "/mutate"),
        WebhookClient(name, "other", "a", "b", 8443),
        WebhookClient(name, "outside", url="https://example.com/hook"),
    )


def test_an_item_of_a_list_has_the_kind_that_was_listed() -> None:
    item = {key: found for key, found in CONFIGURATION.items() if key != "kind"}
    assert clients_of(item, "MutatingWebhookConfiguration") == clients_of(CONFIGURATION)


@pytest.mark.parametrize("webhooks", [None, []])
def test_a_configuration_may_be_empty(webhooks: object) -> None:
    assert clients_of({**CONFIGURATION, "webhooks": webhooks}) == ()


def definition(conversion: object) -> Json:
    return {"metadata": {"name": "things.example.com"}, "spec": {"conversion": conversion}}


def test_a_crd_with_a_conversion_webhook_names_its_service() -> None:
    client = {"service": {"namespace": "ns", "name": "convert", "path": "/convert", "port": 8443}}
    found = conversion_of(definition({"strategy": "Webhook", "webhook": {"clientConfig": client}}))
    assert found == WebhookClient(
        "CustomResourceDefinition/things.example.com", "conversion", "ns", "convert", 8443, "/convert"
    )


@pytest.mark.parametrize("conversion", [None, {"strategy": "None"}, {"strategy": "Webhook", "webhook": None}])
def test_a_crd_without_one_names_nothing(conversion: object) -> None:
    assert conversion_of(definition(conversion)) is None
    assert conversion_of({"metadata": {"name": "x"}}) is None


# ------------------------------------------------------------------------------------------- Node
def test_a_node_lists_internal_addresses_and_pod_networks() -> None:
    facts = node_facts(
        {
            "metadata": {"name": "n", "labels": {"node-role.kubernetes.io/control-plane": ""}},
            "spec": {"podCIDR": "10.42.0.0/24", "podCIDRs": ["10.42.0.0/24", "fd00::/64"]},
            "status": {
                "addresses": [
                    {"type": "Hostname", "address": "n"},
                    {"type": "InternalIP", "address": "192.168.0.1"},
                    {"type": "ExternalIP", "address": "1.2.3.4"},
                    {"type": "InternalIP", "address": "fd00::1"},
                ]
            },
        }
    )
    assert (facts.name, facts.is_control_plane) == ("n", True)
    assert facts.addresses == ("192.168.0.1", "fd00::1")
    assert facts.pod_cidrs == ("10.42.0.0/24", "fd00::/64")


def test_a_worker_is_no_control_plane() -> None:
    facts = node_facts({"metadata": {"name": "n"}, "spec": {"podCIDR": "10.42.1.0/24"}})
    assert (facts.is_control_plane, facts.addresses, facts.pod_cidrs) == (False, (), ("10.42.1.0/24",))


# ---------------------------------------------------------------------------------------- Namespace
def from_object(obj: Json) -> ParsedNamespace:
    return parse_namespace(obj)


def from_text(obj: Json) -> ParsedNamespace:
    return namespace_of(json.dumps(obj).encode())


@pytest.mark.parametrize("read", [from_object, from_text])
class TestNamespaces:
    """Both ways of reading a Namespace, held to the same sentences."""

    def test_labels_come_with_the_name_label(self, read: Callable[[Json], ParsedNamespace]) -> None:
        parsed = read({"kind": "Namespace", "metadata": {"name": "a", "labels": {"x": "y"}}})
        assert parsed.namespace.labels == {"x": "y", NAMESPACE_NAME_LABEL: "a"}
        assert (parsed.namespace.name, parsed.namespace.terminating, parsed.errors) == ("a", False, ())

    def test_a_deletion_timestamp_makes_it_terminating(self, read: Callable[[Json], ParsedNamespace]) -> None:
        given = {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z", "labels": None}
        assert read({"metadata": given}).namespace.terminating

    def test_annotations_come_along(self, read: Callable[[Json], ParsedNamespace]) -> None:
        parsed = read({"metadata": {"name": "a", "annotations": {"k": "v"}}})
        assert parsed.metadata.annotations == {"k": "v"}

    def test_labels_of_the_wrong_type_are_an_error(self, read: Callable[[Json], ParsedNamespace]) -> None:
        parsed = read({"metadata": {"name": "a", "labels": {"x": True}}})
        assert [error.path for error in parsed.errors] == ["metadata.labels[x]"]
        assert parsed.namespace.name == "a"

    def test_another_kind_is_an_error(self, read: Callable[[Json], ParsedNamespace]) -> None:
        assert [error.path for error in read({"kind": "Pod", "metadata": {"name": "a"}}).errors] == ["kind"]


@given(ANYTHING)
def test_no_namespace_whatsoever_makes_the_reader_fail(obj: object) -> None:
    parsed = namespace_of(json.dumps(obj).encode())
    assert parsed.namespace.name == parsed.metadata.name


# ------------------------------------------------------------------------------------- lists, misuse
def test_a_page_of_a_list_is_read_item_by_item() -> None:
    body = {"metadata": {"resourceVersion": "7", "continue": "abc"}, "items": [policy(), policy(egress=[{}])]}
    page = read_list(json.dumps(body).encode())
    assert (page.resource_version, page.continue_token) == ("7", "abc")
    first, second = (policy_of(item).policy for item in page.items)
    assert first is not None
    assert second is not None
    assert len(second.types) == 2


def test_the_last_page_may_be_empty() -> None:
    page = read_list(b'{"metadata":{"resourceVersion":"7"},"items":null}')
    assert (page.items, page.continue_token) == ((), "")


@pytest.mark.parametrize("body", [b"", b"[]", b'{"items":{}}', b"\xff"])
def test_what_is_no_list_is_refused(body: bytes) -> None:
    with pytest.raises(UnusableObject, match="List"):
        read_list(body)


READERS = [service_facts, endpointslice_facts, registrations, conversion_registrations, node_facts]


@pytest.mark.parametrize(
    ("read", "obj", "place"),
    [
        (service_facts, {"spec": {"ports": [{"port": "x"}]}}, "Service: spec.ports[0].port"),
        (service_facts, {"spec": {"ports": [{"port": 1, "protocol": "ICMP"}]}}, "spec.ports[0].protocol"),
        (endpointslice_facts, {"endpoints": [1]}, "EndpointSlice: endpoints[0]"),
        (registrations, {"webhooks": {}}, "WebhookConfiguration: webhooks"),
        (conversion_registrations, {"spec": []}, "CustomResourceDefinition: spec"),
        (node_facts, {"status": {"addresses": [{}]}}, "Node: status.addresses[0]"),
    ],
)
def test_an_object_of_another_shape_is_refused_with_its_kind_and_path(
    read: Callable[[object], object], obj: object, place: str
) -> None:
    for source in (obj, json.dumps(obj).encode()):
        with pytest.raises(UnusableObject) as caught:
            read(source)
        assert place in str(caught.value)


@pytest.mark.parametrize("read", READERS)
@given(obj=ANYTHING)
def test_no_object_whatsoever_raises_anything_else(read: Callable[[object], object], obj: object) -> None:
    with suppress(UnusableObject):
        read(json.dumps(obj).encode())
