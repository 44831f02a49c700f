from __future__ import annotations

from dataclasses import replace

import pytest

from app.cluster.state.facts import Facts
from app.cluster.state.webhook_services import find_webhooks, with_memory
from app.engine.baselines import DOCUMENTED_OPERATOR
from app.engine.cluster import TargetPort, WebhookService
from app.engine.ports import Protocol
from app.engine.selectors import Selector
from app.model.seen_services import SeenService
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


def seen(**changes: object) -> SeenService:
    start = SeenService(KEY, SERVICE.selector, {443: TargetPort(TCP, number=9443)}, (CLIENT,))
    return replace(start, **changes)  # type: ignore[arg-type]  # tests name its members


def with_seen(**changes: object) -> Facts:
    return with_memory(facts(**{"seen": {KEY: seen()}, **changes}))


class TestAServiceThatIsMissing:
    """Its requirement stays, as it was seen last, while something names it."""

    def test_its_pods_and_ports_are_those_that_it_had(self) -> None:
        found = find_webhooks(with_seen(services={}))
        assert found.services == (
            WebhookService(
                *KEY,
                Selector.labels({"app": "hook"}),
                (TargetPort(TCP, number=9443),),
                ("MutatingWebhookConfiguration/hook",),
                is_missing=True,
            ),
        )
        (note,) = found.notes
        assert note.startswith(
            "Service iomete-system/hook, named by MutatingWebhookConfiguration/hook, is missing;"
        )
        assert note.endswith("as it was seen last: to pods with app=hook, TCP 9443")

    def test_a_configuration_that_names_another_port_by_now_means_that_port(self) -> None:
        ports = {
            443: TargetPort(TCP, number=9443),
            8443: TargetPort(TCP, name="more", resolved=frozenset({1})),
        }
        clients = (replace(CLIENT, port=8443),)
        (found,) = find_webhooks(
            with_seen(services={}, clients=clients, seen={KEY: seen(ports=ports)})
        ).services
        assert found.ports == (ports[8443],)

    def test_a_port_that_it_did_not_have_means_all_that_it_had(self) -> None:
        clients = (replace(CLIENT, port=1),)
        (found,) = find_webhooks(with_seen(services={}, clients=clients)).services
        assert found.ports == (TargetPort(TCP, number=9443),)

    def test_when_it_is_back_it_is_what_it_is_now(self) -> None:
        other = replace(SERVICE, selector={"app": "new"}, ports=(replace(PORT, target=8443),))
        after = with_seen(services={KEY: other})
        (found,) = find_webhooks(after).services
        assert (found.selector, found.is_missing) == (Selector.labels({"app": "new"}), False)
        assert found.ports == (TargetPort(TCP, number=8443),)
        assert after.seen[KEY].ports == {443: TargetPort(TCP, number=8443)}

    def test_one_that_was_never_seen_is_noted_alone(self) -> None:
        found = find_webhooks(with_seen(services={}, seen={}))
        assert found.services == ()

    def test_one_that_must_not_be_read_any_more_is_as_it_was_and_not_called_missing(self) -> None:
        (found,) = find_webhooks(with_seen(services={}, hidden=frozenset({KEY}))).services
        assert (found.selector, found.is_missing) == (Selector.labels({"app": "hook"}), False)

    def test_in_a_namespace_that_is_not_managed_it_is_forgotten(self) -> None:
        after = with_seen(services={}, namespaces={KEY[0]: namespace(KEY[0], {})})
        assert (after.seen, find_webhooks(after).services) == ({}, ())


class TestAConfigurationThatIsDeleted:
    """It ends the requirement only with the Service."""

    def test_while_the_service_exists_it_stays_and_is_told_to_be_deleted(self) -> None:
        after = with_seen(clients=())
        (found,) = find_webhooks(after).services
        assert found.configurations == ("MutatingWebhookConfiguration/hook (deleted)",)
        assert found.ports == (TargetPort(TCP, number=9443),)
        assert after.seen == {KEY: seen()}, "that it is deleted is seen, not remembered"

    def test_with_the_service_all_is_forgotten(self) -> None:
        after = with_seen(clients=(), services={})
        assert (after.clients, after.seen) == ((), {})

    def test_one_that_names_the_service_again_takes_the_place_of_the_memory(self) -> None:
        changed = replace(CLIENT, port=8443)
        assert with_seen(clients=(changed,)).clients == (changed,)

    def test_of_one_that_is_called_at_a_url_nothing_is_remembered(self) -> None:
        far = WebhookClient("MutatingWebhookConfiguration/far", "far", url="https://far.example.test")
        assert with_memory(facts(clients=(far,), services={})).seen == {}


def test_while_there_is_no_endpoint_a_named_port_is_what_the_same_name_was_before() -> None:
    named = with_ports(replace(PORT, target="serving"))
    before = seen(ports={443: TargetPort(TCP, name="serving", resolved=frozenset({9443}))})
    (found,) = find_webhooks(with_seen(services=named, seen={KEY: before})).services
    assert found.ports == (before.ports[443],)
    other = seen(ports={443: TargetPort(TCP, name="other", resolved=frozenset({9443}))})
    (found,) = find_webhooks(with_seen(services=named, seen={KEY: other})).services
    assert found.ports == (TargetPort(TCP, name="serving"),)
