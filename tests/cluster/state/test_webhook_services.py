from __future__ import annotations

from dataclasses import replace

import pytest

from app.cluster.state.webhook_services import find_webhooks, remember
from app.engine.baselines import DOCUMENTED_OPERATOR
from app.engine.cluster import TargetPort, WebhookService
from app.engine.ports import Protocol
from app.engine.selectors import Selector
from app.wire.objects.services import ServiceFacts
from app.wire.objects.webhooks import WebhookClient
from tests.cluster.builders import CLIENT, KEY, PORT, SERVICE, endpointslice, facts, namespace

TCP, UDP = Protocol.TCP, Protocol.UDP


def with_ports(*ports: object) -> dict[tuple[str, str], ServiceFacts]:
    return {KEY: replace(SERVICE, ports=ports)}  # type: ignore[arg-type]  # they are ServicePorts


def test_a_webhook_service_has_the_services_selector_and_target_port() -> None:
    assert find_webhooks(facts()).services == (
        WebhookService(
            *KEY,
            Selector.labels({"app": "hook"}),
            (TargetPort(TCP, number=9443),),
            ("MutatingWebhookConfiguration/hook",),
        ),
    )


def test_the_port_of_the_client_configuration_picks_the_port_of_the_service() -> None:
    other = replace(PORT, name="metrics", port=8080, target=8081)
    services = with_ports(other, PORT)
    assert find_webhooks(facts(services=services)).services[0].ports == (TargetPort(TCP, number=9443),)
    clients = (replace(CLIENT, port=8080),)
    found = find_webhooks(facts(services=services, clients=clients)).services
    assert found[0].ports == (TargetPort(TCP, number=8081),)


def test_several_configurations_of_one_service_add_up() -> None:
    clients = (
        CLIENT,
        replace(CLIENT, webhook="second"),
        replace(CLIENT, configuration="ValidatingWebhookConfiguration/other", port=8443),
        replace(CLIENT, configuration="CustomResourceDefinition/things.example.test"),
    )
    services = with_ports(PORT, replace(PORT, name="more", port=8443, target=9444))
    (found,) = find_webhooks(facts(clients=clients, services=services)).services
    assert found.ports == (TargetPort(TCP, number=9443), TargetPort(TCP, number=9444))
    assert found.configurations == (
        "CustomResourceDefinition/things.example.test",
        "MutatingWebhookConfiguration/hook",
        "ValidatingWebhookConfiguration/other",
    )


def test_a_named_target_port_is_resolved_by_the_name_of_the_services_port() -> None:
    services = with_ports(replace(PORT, target="serving"))
    slices = (
        endpointslice("10.1.0.1", service=KEY, port=9443),
        endpointslice("fd00::1", service=KEY, port=9444),
        endpointslice("10.1.0.2", service=(KEY[0], "other"), port=1),
        endpointslice("10.1.0.3", service=("elsewhere", KEY[1]), port=2),
    )
    (found,) = find_webhooks(facts(services=services, slices=slices)).services
    assert found.ports == (TargetPort(TCP, name="serving", resolved=frozenset({9443, 9444})),)


def test_ports_of_a_slice_with_another_name_or_protocol_do_not_count() -> None:
    services = with_ports(replace(PORT, name="https", target="serving"))
    one = endpointslice("10.1.0.1", service=KEY)
    ports = (
        replace(one.ports[0], name="metrics"),
        replace(one.ports[0], protocol=UDP),
        replace(one.ports[0], number=None),
    )
    (found,) = find_webhooks(facts(services=services, slices=(replace(one, ports=ports),))).services
    assert found.ports == (TargetPort(TCP, name="serving"),)


def test_webhooks_served_from_a_namespace_that_is_not_managed_are_not_judged() -> None:
    found = find_webhooks(facts(namespaces={KEY[0]: namespace(KEY[0], {})}))
    assert (found.services, found.notes) == ((), ())


@pytest.mark.parametrize(
    ("service", "reason"),
    [
        (None, "there is no such Service"),
        (replace(SERVICE, selector={}), "has no selector"),
        (replace(SERVICE, is_external_name=True), "is an ExternalName"),
        (replace(SERVICE, ports=(replace(PORT, port=80),)), "has no TCP port 443"),
        (replace(SERVICE, ports=(replace(PORT, protocol=UDP),)), "has no TCP port 443"),
    ],
)
def test_a_service_whose_pods_or_ports_are_not_known_is_noted_and_not_judged(
    service: ServiceFacts | None, reason: str
) -> None:
    found = find_webhooks(facts(services={} if service is None else {KEY: service}))
    assert found.services == ()
    (note,) = found.notes
    assert note.startswith(
        f"Service iomete-system/hook, named by MutatingWebhookConfiguration/hook: {reason}"
    )


def test_a_webhook_called_at_a_url_is_noted_and_not_judged() -> None:
    clients = (WebhookClient("MutatingWebhookConfiguration/far", "far", url="https://far.example.test"),)
    found = find_webhooks(facts(clients=clients))
    assert found.services == ()
    assert "https://far.example.test" in found.notes[0]


def test_where_configurations_cannot_be_read_the_documented_default_is_assumed_for_all_of_tcp() -> None:
    spaces = {name: namespace(name) for name in ("b", "a")} | {"default": namespace("default", {})}
    found = find_webhooks(facts(namespaces=spaces, clients=(), default_assumed=True)).services
    assert found == tuple(
        WebhookService(name, "spark-operator", DOCUMENTED_OPERATOR, (), assumed=True) for name in ("a", "b")
    )


def test_a_namespace_with_a_webhook_that_is_known_needs_no_assumption() -> None:
    found = find_webhooks(facts(default_assumed=True)).services
    assert [(each.name, each.assumed) for each in found] == [("hook", False)]


def test_where_the_service_must_not_be_read_its_selector_is_assumed() -> None:
    (found,) = find_webhooks(facts(services={}, hidden=frozenset({KEY}))).services
    assert found == WebhookService(*KEY, DOCUMENTED_OPERATOR, (), (CLIENT.configuration,), assumed=True)


def test_deleting_a_configuration_does_not_end_the_requirement_while_the_service_exists() -> None:
    after = remember((CLIENT,), (), exists=lambda key: key == KEY)
    assert [found.configuration for found in after] == ["MutatingWebhookConfiguration/hook (deleted)"]
    assert find_webhooks(facts(clients=after)).services[0].ports == (TargetPort(TCP, number=9443),)
    assert remember(after, (), exists=lambda _: True) == after, "it is not marked twice"


def test_what_was_remembered_ends_with_the_service() -> None:
    assert remember((CLIENT,), (), exists=lambda _: False) == ()


def test_a_configuration_that_names_the_service_again_takes_the_place_of_the_memory() -> None:
    remembered = remember((CLIENT,), (), exists=lambda _: True)
    changed = replace(CLIENT, port=8443)
    assert remember(remembered, (changed,), exists=lambda _: True) == (changed,)


def test_a_url_is_not_remembered() -> None:
    far = WebhookClient("MutatingWebhookConfiguration/far", "far", url="https://far.example.test")
    assert remember((far,), (), exists=lambda _: True) == ()
