"""Where the API server calls webhooks: from webhook configurations and CRDs with a conversion webhook.

Like ``app.wire.objects.services``: each function takes an object as parsed JSON or YAML, or as JSON text, and
raises ``UnusableObject`` where it has not the shape of its kind.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
from msgspec import field

from app.wire.objects.metadata import NO_METADATA, Metadata
from app.wire.objects.read import RawObject, read_object

_HTTPS = 443


class _ServiceReference(msgspec.Struct):
    namespace: str
    name: str
    port: int | None = None
    path: str | None = None


class _ClientConfig(msgspec.Struct):
    service: _ServiceReference | None = None
    url: str | None = None


_NO_CLIENT = _ClientConfig()


class _Webhook(msgspec.Struct):
    name: str = ""
    client: _ClientConfig | None = field(name="clientConfig", default=None)


class _Configuration(msgspec.Struct):
    kind: str = ""
    metadata: Metadata = NO_METADATA
    webhooks: list[_Webhook] | None = None


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


def _client(configuration: str, webhook: str, read: _ClientConfig | None) -> WebhookClient:
    client = read or _NO_CLIENT
    if client.service is None:
        return WebhookClient(configuration, webhook, url=client.url or "")
    service = client.service
    return WebhookClient(
        configuration,
        webhook,
        service.namespace,
        service.name,
        port=service.port or _HTTPS,
        path=service.path or "",
    )


def webhook_clients(source: RawObject, kind: str = "") -> tuple[WebhookClient, ...]:
    """Return where the webhooks of a Mutating- or ValidatingWebhookConfiguration are served, in their order.

    Items of a list carry no ``kind``: whoever listed them says it.
    """
    read = read_object(source, _Configuration, kind or "WebhookConfiguration")
    configuration = f"{read.kind or kind}/{read.metadata.name}"
    return tuple(_client(configuration, one.name, one.client) for one in read.webhooks or ())


class _ConversionWebhook(msgspec.Struct):
    client: _ClientConfig | None = field(name="clientConfig", default=None)


class _Conversion(msgspec.Struct):
    strategy: str = ""
    webhook: _ConversionWebhook | None = None


class _DefinitionSpec(msgspec.Struct):
    conversion: _Conversion | None = None


class _Definition(msgspec.Struct):
    metadata: Metadata = NO_METADATA
    spec: _DefinitionSpec | None = None


def crd_conversion(source: RawObject) -> WebhookClient | None:
    """Return where a CustomResourceDefinition's conversion webhook is served, or None where it has none."""
    read = read_object(source, _Definition, "CustomResourceDefinition")
    conversion = read.spec.conversion if read.spec else None
    if conversion is None or conversion.strategy != "Webhook" or conversion.webhook is None:
        return None
    name = f"CustomResourceDefinition/{read.metadata.name}"
    return _client(name, "conversion", conversion.webhook.client)
