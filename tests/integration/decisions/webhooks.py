"""A webhook that a namespace serves: its Service and configuration, made and taken away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.integration.decisions.objects import NAMESPACES, Object, baselines, path_of
from tests.kube.api import ApiResponse
from tests.kube.control_plane import ControlPlane

CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
POD = {"service": "spark-operator"}


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook that is served from the namespace of a test, as far as the API server knows."""

    control_plane: ControlPlane
    namespace: str

    def serve(
        self, target_port: int | str, name: str = "operator-webhook", pods: Mapping[str, str] = POD
    ) -> None:
        """Create a Service, and a configuration that names it."""
        port = {"name": "https", "port": 443, "targetPort": target_port}
        service = {"metadata": {"name": name}, "spec": {"selector": dict(pods), "ports": [port]}}
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

    def refusal(self) -> str:
        """Return what is said where the baseline lets in somebody else than the API server, "" if nothing."""
        answer = self.try_rule({"from": [{"ipBlock": {"cidr": "192.0.2.99/32"}}]})
        return "" if answer.ok else answer.message

    def is_required(self, name: str = "operator-webhook") -> bool:
        """Tell whether the API server must be let in to it."""
        return f"cuts the API server from webhook {name}" in self.refusal()

    def _create(self, path: str, body: Object) -> None:
        answer = self.control_plane.client().request("POST", path, body)
        assert answer.ok, answer.text
