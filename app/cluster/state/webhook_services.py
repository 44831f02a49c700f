"""Which Services of managed namespaces the API server must reach, and at which ports of their pods.

The truth is in the cluster (``docs/design/iomete.md``): webhook configuration -> Service -> its selector and
target port. Where one of the two is missing, what was seen last stands in for it. Pure: facts in, engine
values out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from app.cluster.state.facts import Facts
from app.engine.baselines import DOCUMENTED_OPERATOR, documented_webhook
from app.engine.cluster import TargetPort, WebhookService
from app.engine.ports import Protocol
from app.engine.selectors import Selector
from app.engine.words import missing_words
from app.model.seen_services import Seen, SeenService
from app.wire.objects.services import EndpointSliceFacts, ServiceFacts, ServiceKey, ServicePort
from app.wire.objects.webhooks import WebhookClient

DELETED = " (deleted)"


@dataclass(frozen=True, slots=True)
class Webhooks:
    """The webhook Services to be judged; ``notes`` tell of webhooks that are not, and why."""

    services: tuple[WebhookService, ...]
    notes: tuple[str, ...]


def remember(
    seen: Seen, now: tuple[WebhookClient, ...], *, is_over: Callable[[WebhookClient], bool]
) -> tuple[WebhookClient, ...]:
    """Return ``now``, and who named a Service in ``seen`` that nothing names any more.

    Not those of which ``is_over`` tells that the Service is gone, too.

    Deleting a webhook configuration does not end the requirement (``docs/design/decisions.md``): otherwise it
    would be the way to cut the webhook off. What is remembered is marked as deleted.
    """
    named = {client.key for client in now}
    lost = (
        client
        for key, service in sorted(seen.items())
        if key not in named
        for client in service.clients
        if not is_over(client)
    )
    return (*now, *(replace(old, configuration=old.configuration + DELETED) for old in lost))


def seen_now(
    key: ServiceKey,
    clients: Iterable[WebhookClient],
    found: tuple[ServiceFacts | None, Iterable[EndpointSliceFacts]],
    before: SeenService | None,
) -> SeenService | None:
    """Return what is to be known of a Service from now on: what was ``found``, else what was so ``before``.

    ``clients`` name it now. None where it was never there, or its pods and ports are not known.
    """
    service, slices = found
    named = tuple(
        replace(client, configuration=client.configuration.removesuffix(DELETED))
        for client in clients
        if client.key == key
    )
    if service is None:
        return None if before is None else replace(before, clients=named)
    earlier = {} if before is None else before.ports
    ports = {
        port.port: _target(port, slices, earlier.get(port.port))
        for port in service.ports
        if port.protocol is Protocol.TCP
    }
    if _unknown(service) is not None or not ports:
        return None
    return SeenService(key, service.selector, ports, named)


def with_memory(facts: Facts) -> Facts:
    """Return ``facts`` with what ``facts.seen`` adds to them: who named a Service before, and what it was.

    For whoever reads everything at once; watches tell bit by bit.
    """
    there = facts.services.keys() | facts.hidden
    clients = remember(facts.seen, facts.clients, is_over=lambda client: client.key not in there)
    found = (
        seen_now(key, clients, (facts.services.get(key), facts.slices_of((key,))), facts.seen.get(key))
        for key in services_of(clients, facts.managed)
    )
    return replace(facts, clients=clients, seen={seen.key: seen for seen in found if seen is not None})


def services_of(clients: Iterable[WebhookClient], managed: frozenset[str]) -> frozenset[ServiceKey]:
    """Return the Services of managed namespaces that ``clients`` name."""
    return frozenset(client.key for client in clients if client.service and client.namespace in managed)


def find_webhooks(facts: Facts) -> Webhooks:
    """Return the webhook Services of the managed namespaces.

    Not judged, but noted: a Service without selector (nobody knows its pods), an ``ExternalName``, a ``url``,
    a Service that is not there and never was, or has no such port.
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
    notes += map(missing_words, (webhook for webhook in found if webhook.is_missing))
    if facts.default_assumed:
        told = {webhook.namespace for webhook in found}
        found += [documented_webhook(name) for name in sorted(managed - told)]
    return Webhooks(tuple(found), tuple(notes))


def _service(key: ServiceKey, clients: tuple[WebhookClient, ...], facts: Facts) -> WebhookService | str:
    """Return the webhook Service, or why there is nothing to judge.

    One that is missing is judged as it was seen last. Where it must not be read and was never seen, the
    documented selector is assumed for it.
    """
    namespace, name = key
    configurations = tuple(sorted({client.configuration for client in clients}))
    service, seen = facts.services.get(key), facts.seen.get(key)
    numbers = sorted({client.port for client in clients})
    if service is None and seen is not None:
        targets = tuple(seen.ports[number] for number in numbers if number in seen.ports)
        selector, ports = Selector.labels(seen.selector), targets or tuple(seen.ports.values())
        is_missing = key not in facts.hidden
        return WebhookService(namespace, name, selector, ports, configurations, is_missing=is_missing)
    if service is None and key in facts.hidden:
        return WebhookService(namespace, name, DOCUMENTED_OPERATOR, (), configurations, assumed=True)
    if (why := _unknown(service)) is None and service is not None:
        slices, earlier = facts.slices_of((key,)), {} if seen is None else seen.ports
        tcp = (port for port in service.ports if port.port in numbers and port.protocol is Protocol.TCP)
        targets = tuple(dict.fromkeys(_target(port, slices, earlier.get(port.port)) for port in tcp))
        if targets:
            selector = Selector.labels(service.selector)
            return WebhookService(namespace, name, selector, targets, configurations)
        why = f"has no TCP port {' or '.join(map(str, numbers))}"
    return f"Service {namespace}/{name}, named by {', '.join(configurations)}: {why}"


def _unknown(service: ServiceFacts | None) -> str | None:
    """Return why the pods of a Service are not known, None where they are."""
    if service is None:
        return "there is no such Service"
    if service.is_external_name:
        return "is an ExternalName, so its pods are not known"
    return None if service.selector else "has no selector, so its pods are not known"


def _target(
    port: ServicePort, slices: Iterable[EndpointSliceFacts], earlier: TargetPort | None
) -> TargetPort:
    """Return the pods' port: NetworkPolicy sees the connection after Service translation (rule 20).

    EndpointSlices carry the *Service* port's name, next to the number that the target's name resolved to.
    While there is no endpoint it is what the same name resolved to ``earlier``.
    """
    if isinstance(port.target, int):
        return TargetPort(Protocol.TCP, number=port.target)
    resolved = frozenset(
        endpoint.number
        for each in slices
        for endpoint in each.ports
        if endpoint.name == port.name and endpoint.protocol is Protocol.TCP and endpoint.number is not None
    )
    if not resolved and earlier is not None and earlier.name == port.target:
        return earlier
    return TargetPort(Protocol.TCP, name=port.target, resolved=resolved)
