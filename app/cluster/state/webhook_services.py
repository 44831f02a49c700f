"""Which Services of managed namespaces the API server must reach, and at which ports of their pods.

The truth is in the cluster (``docs/design/iomete.md``): webhook configuration -> Service -> its selector and
target port. Pure: facts in, engine values out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from app.cluster.state.facts import Facts
from app.engine.baselines import DOCUMENTED_OPERATOR, documented_webhook
from app.engine.cluster import TargetPort, WebhookService
from app.engine.ports import Protocol
from app.engine.selectors import Selector
from app.wire.objects.services import EndpointSliceFacts, ServiceKey, ServicePort
from app.wire.objects.webhooks import WebhookClient

DELETED = " (deleted)"


@dataclass(frozen=True, slots=True)
class Webhooks:
    """The webhook Services to be judged; ``notes`` tell of webhooks that are not, and why."""

    services: tuple[WebhookService, ...]
    notes: tuple[str, ...]


def remember(
    before: Iterable[WebhookClient], now: tuple[WebhookClient, ...], *, exists: Callable[[ServiceKey], bool]
) -> tuple[WebhookClient, ...]:
    """Return ``now`` and those of ``before`` that nothing names any more while their Service exists.

    Deleting a webhook configuration does not end the requirement (``docs/design/decisions.md``): otherwise it
    would be the way to cut the webhook off. What is remembered is marked as deleted.
    """
    named = {client.key for client in now}
    lost = (client for client in before if client.service and client.key not in named and exists(client.key))
    return (
        *now,
        *(replace(old, configuration=old.configuration.removesuffix(DELETED) + DELETED) for old in lost),
    )


def services_of(clients: Iterable[WebhookClient], managed: frozenset[str]) -> frozenset[ServiceKey]:
    """Return the Services of managed namespaces that ``clients`` name."""
    return frozenset(client.key for client in clients if client.service and client.namespace in managed)


def find_webhooks(facts: Facts) -> Webhooks:
    """Return the webhook Services of the managed namespaces.

    Not judged, but noted: a Service without selector (nobody knows its pods), an ``ExternalName``, a ``url``,
    a Service that is not there or has no such port.
    """
    managed = facts.managed
    found: list[WebhookService] = []
    notes = [
        f"{client.configuration}, webhook {client.webhook}: is called at a URL, {client.url}, and not judged"
        for client in facts.clients
        if client.url
    ]
    for key in sorted(services_of(facts.clients, managed)):
        clients = tuple(client for client in facts.clients if client.key == key)
        judged = _service(key, clients, facts)
        if isinstance(judged, WebhookService):
            found.append(judged)
        else:
            notes.append(judged)
    if facts.default_assumed:
        told = {webhook.namespace for webhook in found}
        found += [documented_webhook(name) for name in sorted(managed - told)]
    return Webhooks(tuple(found), tuple(notes))


def _service(key: ServiceKey, clients: tuple[WebhookClient, ...], facts: Facts) -> WebhookService | str:
    """Return the webhook Service, or why there is nothing to judge.

    Where the Service must not be read, the documented selector is assumed for it.
    """
    namespace, name = key
    configurations = tuple(sorted({client.configuration for client in clients}))
    what = f"Service {namespace}/{name}, named by {', '.join(configurations)}"
    service = facts.services.get(key)
    if service is None and key in facts.hidden:
        return WebhookService(namespace, name, DOCUMENTED_OPERATOR, (), configurations, assumed=True)
    if service is None:
        return f"{what}: there is no such Service"
    if service.is_external_name:
        return f"{what}: is an ExternalName, so its pods are not known"
    if not service.selector:
        return f"{what}: has no selector, so its pods are not known"
    slices = facts.slices_of((key,))
    numbers = sorted({client.port for client in clients})
    tcp = (port for port in service.ports if port.port in numbers and port.protocol is Protocol.TCP)
    targets = dict.fromkeys(_target(port, slices) for port in tcp)
    if not targets:
        return f"{what}: has no TCP port {' or '.join(map(str, numbers))}"
    return WebhookService(namespace, name, Selector.labels(service.selector), tuple(targets), configurations)


def _target(port: ServicePort, slices: tuple[EndpointSliceFacts, ...]) -> TargetPort:
    """Return the pods' port: NetworkPolicy sees the connection after Service translation (rule 20).

    EndpointSlices carry the *Service* port's name, next to the number that the target's name resolved to.
    """
    if isinstance(port.target, int):
        return TargetPort(Protocol.TCP, number=port.target)
    resolved = frozenset(
        endpoint.number
        for each in slices
        for endpoint in each.ports
        if endpoint.name == port.name and endpoint.protocol is Protocol.TCP and endpoint.number is not None
    )
    return TargetPort(Protocol.TCP, name=port.target, resolved=resolved)
