"""Webhook registrations in full: what happens when a webhook does not answer, and whom the API server trusts.

Decisions need only where a webhook is served (``app.wire.objects.webhooks``); whoever looks for what is wrong
with it needs the rest. Functions take an object as parsed JSON or YAML, or as JSON text, and raise
``UnusableObject``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from app.wire.objects.metadata import NO_METADATA, Metadata
from app.wire.objects.read import RawObject, read_object
from app.wire.objects.webhooks import WebhookClient, crd_conversion, webhook_clients

FAIL, IGNORE = "Fail", "Ignore"
_DEFAULT_TIMEOUT = 10
_CONVERSION_TIMEOUT = 30
_SCOPE = (
    "rules",
    "namespaceSelector",
    "objectSelector",
    "matchConditions",
    "matchPolicy",
    "sideEffects",
    "timeoutSeconds",
    "admissionReviewVersions",
)


class _Client(msgspec.Struct, rename="camel"):
    ca_bundle: str | None = None


class _Configuration(msgspec.Struct):
    metadata: Metadata = NO_METADATA
    webhooks: list[dict[str, Any]] | None = None


class _ConversionWebhook(msgspec.Struct, rename="camel"):
    client_config: _Client | None = None


class _Conversion(msgspec.Struct):
    webhook: _ConversionWebhook | None = None


class _DefinitionSpec(msgspec.Struct):
    conversion: _Conversion | None = None


class _Definition(msgspec.Struct):
    spec: _DefinitionSpec | None = None


@dataclass(frozen=True, slots=True)
class Registration:
    """One webhook as it is registered: the ``index``-th of its configuration.

    ``ca_bundle`` is PEM, or what else stands there; empty where there is none. ``scope`` holds the fields
    that say for which requests it is called, as they stand in the object.
    """

    client: WebhookClient
    index: int = 0
    failure_policy: str = FAIL
    timeout_seconds: int = _DEFAULT_TIMEOUT
    ca_bundle: bytes = b""
    scope: Mapping[str, object] = field(default_factory=dict)

    @property
    def fails_open(self) -> bool:
        """Whether a request passes when the webhook does not answer."""
        return self.failure_policy == IGNORE

    @property
    def is_called_for_pods(self) -> bool:
        """Whether creating a pod calls it."""
        rules = self.scope.get("rules")
        return isinstance(rules, list) and any(_is_about_new_pods(one) for one in rules)


def _is_about_new_pods(rule: object) -> bool:
    if not isinstance(rule, dict):
        return False
    resources, operations = rule.get("resources") or (), rule.get("operations") or ()
    return bool({"pods", "*", "*/*"} & set(resources)) and bool({"CREATE", "*"} & set(operations))


def registrations(source: RawObject, kind: str = "") -> tuple[Registration, ...]:
    """Return the webhooks of a Mutating- or ValidatingWebhookConfiguration, in their order."""
    clients = webhook_clients(source, kind)
    read = read_object(source, _Configuration, kind or "WebhookConfiguration").webhooks or []
    return tuple(
        _registration(client, index, one)
        for index, (client, one) in enumerate(zip(clients, read, strict=True))
    )


def _registration(client: WebhookClient, index: int, webhook: Mapping[str, Any]) -> Registration:
    timeout = webhook.get("timeoutSeconds")
    config = webhook.get("clientConfig")
    return Registration(
        client,
        index,
        failure_policy=str(webhook.get("failurePolicy") or FAIL),
        timeout_seconds=timeout if isinstance(timeout, int) else _DEFAULT_TIMEOUT,
        ca_bundle=decoded(config.get("caBundle") if isinstance(config, dict) else None),
        scope={name: webhook[name] for name in _SCOPE if webhook.get(name) is not None},
    )


def conversion_registration(source: RawObject) -> Registration | None:
    """Return a CustomResourceDefinition's conversion webhook, or None where it has none."""
    client = crd_conversion(source)
    if client is None:
        return None
    spec = read_object(source, _Definition, "CustomResourceDefinition").spec
    webhook = spec.conversion.webhook if spec and spec.conversion else None
    bundle = webhook.client_config.ca_bundle if webhook and webhook.client_config else None
    # A conversion has no failurePolicy: without it the request fails.
    return Registration(client, timeout_seconds=_CONVERSION_TIMEOUT, ca_bundle=decoded(bundle))


def decoded(text: object) -> bytes:
    """Return the bytes of a base64 field; what is no base64 comes back as it is, to be complained about."""
    if not isinstance(text, str):
        return b""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return text.encode("utf-8", "replace")
