"""Webhooks as they are registered: where the API server calls them, whom it trusts, and what if none answers.

Like ``app.wire.objects.services``: each function takes an object as parsed JSON or YAML, or as JSON text, and
raises ``UnusableObject`` where it has not the shape of its kind.
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
from app.wire.objects.services import ServiceKey

FAIL, IGNORE = "Fail", "Ignore"
_HTTPS = 443
_DEFAULT_TIMEOUT = 10
_CONVERSION_TIMEOUT = 30


class _ServiceReference(msgspec.Struct):
    namespace: str
    name: str
    port: int | None = None
    path: str | None = None


class _ClientConfig(msgspec.Struct, rename="camel"):
    service: _ServiceReference | None = None
    url: str | None = None
    ca_bundle: Any = None


_NO_CLIENT = _ClientConfig()


class _Scope(msgspec.Struct, rename="camel"):
    rules: Any = None
    namespace_selector: Any = None
    object_selector: Any = None
    match_conditions: Any = None
    match_policy: Any = None
    side_effects: Any = None
    timeout_seconds: Any = None
    admission_review_versions: Any = None


class _Webhook(_Scope, rename="camel"):
    name: str = ""
    client_config: _ClientConfig | None = None
    failure_policy: Any = None


class _Configuration(msgspec.Struct):
    kind: str = ""
    metadata: Metadata = NO_METADATA
    webhooks: list[_Webhook] | None = None


class _ConversionWebhook(msgspec.Struct, rename="camel"):
    client_config: _ClientConfig | None = None


class _Conversion(msgspec.Struct):
    strategy: str = ""
    webhook: _ConversionWebhook | None = None


class _DefinitionSpec(msgspec.Struct):
    conversion: _Conversion | None = None


class _Definition(msgspec.Struct):
    metadata: Metadata = NO_METADATA
    spec: _DefinitionSpec | None = None


@dataclass(frozen=True, slots=True)
class WebhookClient:
    """Where the API server calls one webhook: a Service, or a ``url`` (then the Service's members are empty).

    ``configuration`` is kind and name, e.g. ``MutatingWebhookConfiguration/spark-operator-x``; ``port`` is
    the Service's own, not the pods'.
    """

    configuration: str
    webhook: str
    namespace: str = ""
    service: str = ""
    port: int = _HTTPS
    path: str = ""
    url: str = ""

    @property
    def key(self) -> ServiceKey:
        """The Service at which the webhook is served."""
        return self.namespace, self.service


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
        return isinstance(rules, list) and any(map(_is_about_new_pods, rules))


def _is_about_new_pods(rule: object) -> bool:
    if not isinstance(rule, dict):
        return False
    resources, operations = rule.get("resources") or (), rule.get("operations") or ()
    return bool({"pods", "*", "*/*"} & set(resources)) and bool({"CREATE", "*"} & set(operations))


def registrations(source: RawObject, kind: str = "") -> tuple[Registration, ...]:
    """Return the webhooks of a Mutating- or ValidatingWebhookConfiguration, in their order.

    Items of a list carry no ``kind``: whoever listed them says it.
    """
    read = read_object(source, _Configuration, kind or "WebhookConfiguration")
    configuration = f"{read.kind or kind}/{read.metadata.name}"
    found = enumerate(read.webhooks or ())
    return tuple(_registration(configuration, index, webhook) for index, webhook in found)


def _registration(configuration: str, index: int, webhook: _Webhook) -> Registration:
    config, timeout = webhook.client_config or _NO_CLIENT, webhook.timeout_seconds
    scope = {told.encode_name: getattr(webhook, told.name) for told in msgspec.structs.fields(_Scope)}
    return Registration(
        _client(configuration, webhook.name, config),
        index,
        failure_policy=str(webhook.failure_policy or FAIL),
        timeout_seconds=timeout if isinstance(timeout, int) else _DEFAULT_TIMEOUT,
        ca_bundle=decoded(config.ca_bundle),
        scope={name: value for name, value in scope.items() if value is not None},
    )


def _client(configuration: str, webhook: str, config: _ClientConfig) -> WebhookClient:
    service = config.service
    if service is None:
        return WebhookClient(configuration, webhook, url=config.url or "")
    port, path = service.port or _HTTPS, service.path or ""
    return WebhookClient(configuration, webhook, service.namespace, service.name, port, path)


def conversion_registrations(source: RawObject) -> tuple[Registration, ...]:
    """Return a CustomResourceDefinition's conversion webhook, nothing where it has none."""
    read = read_object(source, _Definition, "CustomResourceDefinition")
    conversion = read.spec.conversion if read.spec else None
    if conversion is None or conversion.strategy != "Webhook" or conversion.webhook is None:
        return ()
    config = conversion.webhook.client_config or _NO_CLIENT
    client = _client(f"CustomResourceDefinition/{read.metadata.name}", "conversion", config)
    # A conversion has no failurePolicy: without it the request fails.
    bundle = decoded(config.ca_bundle)
    return (Registration(client, timeout_seconds=_CONVERSION_TIMEOUT, ca_bundle=bundle),)


def decoded(text: object) -> bytes:
    """Return the bytes of a base64 field; what is no base64 comes back as it is, to be complained about."""
    if not isinstance(text, str):
        return b""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return text.encode("utf-8", "replace")
