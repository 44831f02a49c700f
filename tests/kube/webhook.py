"""Register our webhook with the API server of the tests, and know when it is really called.

The API server learns of a new configuration some moments after it has stored it; until then requests pass
unjudged. So whoever registers waits until a request has been seen to reach the webhook, and whoever
unregisters waits until none does, or the next test would meet a webhook that is gone.
"""

from __future__ import annotations

import base64
import copy
import json
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tests.kube.control_plane import ControlPlane

Probe = Callable[[], bool]
"""Sends one harmless request that the webhook judges; whether the webhook was called for it."""

MANAGED_LABEL = "iomete.com/managed"
EFFECTIVE_SECONDS = 120.0
_POLL_SECONDS = 0.1
_CONFIGURATIONS = "/apis/admissionregistration.k8s.io/v1/{}"
_RESOURCES = {
    "ValidatingWebhookConfiguration": "validatingwebhookconfigurations",
    "MutatingWebhookConfiguration": "mutatingwebhookconfigurations",
}


class WebhookNotEffectiveError(RuntimeError):
    """The API server does not call a registered webhook, or still calls one that is no longer registered."""


@contextmanager
def register_webhook(
    control_plane: ControlPlane,
    url: str,
    ca_pem: str,
    configuration: dict[str, Any],
    *,
    probe: Probe | None = None,
) -> Iterator[dict[str, Any]]:
    """Register the configuration with every Service replaced by `url`, and take it away at the end.

    `configuration` is a Validating- or MutatingWebhookConfiguration as the API takes it; the argument stays
    as it is, the value of the `with` is what was registered. The body runs when `probe` says that the webhook
    is called. By default that is a dry-run NetworkPolicy in a managed namespace, and the API server's own
    count of its calls. Raises WebhookNotEffectiveError if no call is seen.
    """
    registered = with_url(configuration, url, ca_pem)
    name = registered["metadata"]["name"]
    path = f"{_CONFIGURATIONS.format(_RESOURCES[registered['kind']])}/{name}"
    with _prober(control_plane, registered, probe) as is_called:
        control_plane.apply(json.dumps(registered))
        try:
            _wait(is_called, f"the API server does not call {name} at {url}")
            yield registered
        finally:
            control_plane.client().request("DELETE", path)
            _wait(lambda: not is_called(), f"the API server still calls {name} at {url}")


def with_url(configuration: dict[str, Any], url: str, ca_pem: str) -> dict[str, Any]:
    """Return a copy of the configuration whose webhooks are called at `url`, each on its Service's path."""
    copied = copy.deepcopy(configuration)
    for webhook in copied["webhooks"]:
        service = webhook["clientConfig"].get("service")
        if service is not None:
            path = service.get("path", "/").lstrip("/")
            webhook["clientConfig"] = {
                "url": f"{url.rstrip('/')}/{path}",
                "caBundle": base64.b64encode(ca_pem.encode()).decode(),
            }
    return copied


def calls(control_plane: ControlPlane, webhooks: set[str]) -> int:
    """Return how often the API server has called webhooks of these names, failed calls included."""
    text = control_plane.client().request("GET", "/metrics").text
    total = 0
    for metric in (
        "apiserver_admission_webhook_request_total",
        "apiserver_admission_webhook_fail_open_count",
    ):
        for labels, value in re.findall(rf"^{metric}\{{([^}}]*)\}} (\S+)$", text, re.MULTILINE):
            found = re.search(r'\bname="([^"]*)"', labels)
            if found is not None and found[1] in webhooks:
                total += int(float(value))
    return total


@contextmanager
def _prober(
    control_plane: ControlPlane, configuration: dict[str, Any], probe: Probe | None
) -> Iterator[Probe]:
    if probe is not None:
        yield probe
        return
    # Made before the webhook is registered, so that it can be made whatever the webhook answers.
    namespace = f"webhook-probe-{secrets.token_hex(4)}"
    client = control_plane.client()
    metadata = {"name": namespace, "labels": {MANAGED_LABEL: "true"}}
    client.request("POST", "/api/v1/namespaces", {"metadata": metadata})
    webhooks = {webhook["name"] for webhook in configuration["webhooks"]}
    policies = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies?dryRun=All"
    policy = {"metadata": {"name": "probe"}, "spec": {"podSelector": {}, "ingress": [{}]}}

    def is_called() -> bool:
        before = calls(control_plane, webhooks)
        client.request("POST", policies, policy)  # whether it is admitted does not matter here
        return calls(control_plane, webhooks) > before

    try:
        yield is_called
    finally:
        with suppress(OSError):
            client.request("DELETE", f"/api/v1/namespaces/{namespace}")


def _wait(is_so: Probe, otherwise: str) -> None:
    deadline = time.monotonic() + EFFECTIVE_SECONDS
    while not is_so():
        if time.monotonic() > deadline:
            message = f"{otherwise} after {EFFECTIVE_SECONDS:.0f} s"
            raise WebhookNotEffectiveError(message)
        time.sleep(_POLL_SECONDS)
