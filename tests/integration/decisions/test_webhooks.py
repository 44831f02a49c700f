from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.decisions.objects import API_SERVER, Object, eventually
from tests.integration.decisions.webhooks import Webhook
from tests.kube.control_plane import ControlPlane


@pytest.fixture
def webhook(control_plane: ControlPlane, baselined: str) -> Iterator[Webhook]:
    made = Webhook(control_plane, baselined)
    yield made
    for name in ("operator-webhook", "later-webhook"):
        made.forget_configuration(name)


def _from_api_server(*ports: Object) -> Object:
    return {"from": [{"ipBlock": {"cidr": f"{API_SERVER}/32"}}], "ports": list(ports)}


def _tcp(port: int | str) -> Object:
    return {"protocol": "TCP", "port": port}


def test_the_target_port_counts_and_not_the_port_of_the_service(webhook: Webhook) -> None:
    webhook.serve(9443)
    eventually(webhook.is_required, "the webhook's flow was never required")
    assert not webhook.try_rule(_from_api_server(_tcp(443))).ok
    assert webhook.try_rule(_from_api_server(_tcp(9443))).ok


def test_a_rejection_names_the_source_and_where_it_was_declared(webhook: Webhook) -> None:
    webhook.serve(9443)
    eventually(webhook.is_required, "the webhook's flow was never required")
    refused = webhook.try_rule({"from": [{"ipBlock": {"cidr": "192.0.2.99/32"}}]})
    assert f"declared: {API_SERVER}, in the guard's settings under apiServer.sources" in refused.message


def test_a_named_target_port_is_covered_by_its_name_or_by_the_number_of_its_endpoints(
    webhook: Webhook,
) -> None:
    webhook.serve("webhook")
    webhook.resolve(9443)
    eventually(webhook.is_required, "the webhook's flow was never required")
    assert webhook.try_rule(_from_api_server(_tcp("webhook"))).ok
    assert webhook.try_rule(_from_api_server(_tcp(9443))).ok
    assert not webhook.try_rule(_from_api_server(_tcp("metrics"))).ok
    assert not webhook.try_rule(_from_api_server(_tcp(9444))).ok


def test_a_named_target_port_without_endpoints_is_a_warning(webhook: Webhook) -> None:
    webhook.serve("webhook")

    def is_warned() -> bool:
        answer = webhook.try_rule(_from_api_server(_tcp(9443)))
        return answer.ok and "webhook-ingress" in " ".join(answer.warnings)

    eventually(is_warned, "nobody was warned")
    assert webhook.try_rule(_from_api_server(_tcp("webhook"))).warnings == ()


def test_the_flow_stays_required_while_the_service_is_there_without_its_configuration(
    webhook: Webhook,
) -> None:
    webhook.serve(9443)
    eventually(webhook.is_required, "the webhook's flow was never required")
    webhook.forget_configuration()
    # The guard hears of configurations in order: when it knows of the later one, it knows what is gone.
    webhook.serve(8443, "later-webhook")
    eventually(lambda: webhook.is_required("later-webhook"), "the later webhook's flow was never required")
    assert webhook.is_required()
    webhook.forget_service()
    eventually(lambda: not webhook.is_required(), "the flow stayed required without a Service")
