from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.integration.decisions.objects import API_SERVER, NAMESPACES, Object, baselines, eventually, path_of
from tests.kube.api import ApiResponse
from tests.kube.control_plane import ControlPlane

CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
POD = {"service": "spark-operator"}


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook that is served from the namespace of a test, as far as the API server knows."""

    control_plane: ControlPlane
    namespace: str

    def serve(self, target_port: int | str, name: str = "operator-webhook") -> None:
        """Create a Service, and a configuration that names it."""
        port = {"name": "https", "port": 443, "targetPort": target_port}
        service = {"metadata": {"name": name}, "spec": {"selector": POD, "ports": [port]}}
        self._create(f"{NAMESPACES}/{self.namespace}/services", service)
        client = {"service": {"namespace": self.namespace, "name": name, "port": 443}}
        # The rules match nothing that exists: this webhook is never called.
        never = {"apiGroups": ["nobody.example.com"], "apiVersions": ["v1"], "operations": ["CREATE"]}
        webhook = {
            "name": f"{self.namespace}.example.com",
            "clientConfig": client,
            "rules": [{**never, "resources": ["nothings"]}],
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "failurePolicy": "Ignore",
        }
        self._create(
            CONFIGURATIONS, {"metadata": {"name": f"{self.namespace}-{name}"}, "webhooks": [webhook]}
        )

    def resolve(self, port: int) -> None:
        """Say that the pods of the Service have the named port there."""
        slice_ = {
            "metadata": {
                "name": "operator-webhook-by-hand",
                "labels": {"kubernetes.io/service-name": "operator-webhook"},
            },
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["10.1.2.3"], "conditions": {"ready": True}}],
            "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
        }
        self._create(f"/apis/discovery.k8s.io/v1/namespaces/{self.namespace}/endpointslices", slice_)

    def forget_configuration(self, name: str = "operator-webhook") -> None:
        """Delete the configuration; the Service stays."""
        self.control_plane.client().request("DELETE", f"{CONFIGURATIONS}/{self.namespace}-{name}")

    def forget_service(self) -> None:
        """Delete the Service."""
        path = f"{NAMESPACES}/{self.namespace}/services/operator-webhook"
        assert self.control_plane.client().request("DELETE", path).ok

    def try_rule(self, rule: Object) -> ApiResponse:
        """Return what comes of a dry run that gives the operator's baseline this one rule."""
        changed = baselines(self.namespace)[0]
        changed["spec"]["ingress"] = [rule]
        return self.control_plane.client("developer").request(
            "PUT", f"{path_of(changed)}?dryRun=All", changed
        )

    def is_required(self, name: str = "operator-webhook") -> bool:
        """Tell whether the API server must be let in to it."""
        refused = self.try_rule({"from": [{"ipBlock": {"cidr": "192.0.2.99/32"}}]})
        return not refused.ok and f"cuts the API server from webhook {name}" in refused.message

    def _create(self, path: str, body: Object) -> None:
        answer = self.control_plane.client().request("POST", path, body)
        assert answer.ok, answer.text


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
