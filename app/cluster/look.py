"""One look at a cluster: the facts as lists show them now, for commands that come and go."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from app.cluster.errors import HttpRefusal, nonsense
from app.cluster.facts import AGENT_LABELS, NOTHING_REMEMBERED, Facts, agent_of, managed_names
from app.cluster.listing import list_all
from app.cluster.resources import (
    DEFINITIONS,
    NAMESPACES,
    NODES,
    agents,
    configurations,
    remembered,
    service,
    slices,
)
from app.cluster.webhooks import services_of
from app.engine.cluster import MANAGED_LABEL, MANAGED_VALUE
from app.wire.errors import UnusableObject
from app.wire.identity import NAME
from app.wire.namespaces import namespace_of
from app.wire.objects import endpointslice_facts, node_facts, service_facts
from app.wire.remembered import memory_of
from app.wire.webhooks import crd_conversion

if TYPE_CHECKING:
    from collections.abc import Callable

    import msgspec

    from app.cluster.connection import Api
    from app.cluster.deadline import Deadline
    from app.cluster.facts import ServiceKey
    from app.cluster.listing import Collection
    from app.engine.policy import Namespace
    from app.wire.objects import ServiceFacts
    from app.wire.webhooks import WebhookClient

T = TypeVar("T")


def look(
    api: Api, deadline: Deadline, labelled: frozenset[str] = frozenset(), *, guard_namespace: str = NAME
) -> Facts:
    """Return the facts of the cluster at this moment; ``labelled`` namespaces are taken for managed.

    What was measured before is remembered in ``guard_namespace``. What is optional and refused becomes a
    note, as with ``Caches``. Raises ``StateUnreadable`` for the rest.
    """
    return _Look(api, deadline).facts(labelled, guard_namespace)


class _Look:
    """The lists of one look; remembers what was refused."""

    def __init__(self, api: Api, deadline: Deadline) -> None:
        self._api = api
        self._deadline = deadline
        self._unread: list[str] = []

    def facts(self, labelled: frozenset[str], guard_namespace: str) -> Facts:
        found = self._read(NAMESPACES, lambda raw: namespace_of(raw).namespace)
        namespaces = {one.name: _managed(one) if one.name in labelled else one for one in found}
        mutating = self._optional(*configurations("Mutating"))
        clients = self._clients(mutating)
        services: dict[ServiceKey, ServiceFacts] = {}
        hidden: set[ServiceKey] = set()
        endpoints = self._optional(slices("default", "kubernetes"), endpointslice_facts) or ()
        for key in sorted(services_of(clients, managed_names(namespaces))):
            read = self._optional(service(*key), service_facts)
            if read is None:
                hidden.add(key)
            for one in read or ():
                services[key] = one
            endpoints += self._optional(slices(*key), endpointslice_facts) or ()
        nodes = self._optional(NODES, node_facts) or ()
        pods = [one for key in AGENT_LABELS for one in self._optional(agents(key), agent_of) or ()]
        memory = self._optional(remembered(guard_namespace), memory_of) or ()
        return Facts(
            namespaces=namespaces,
            clients=clients,
            services=services,
            hidden=frozenset(hidden),
            slices=tuple(sorted(endpoints, key=lambda one: (one.namespace, one.name))),
            nodes=nodes,
            agents=frozenset(pods),
            memory=next(iter(memory), NOTHING_REMEMBERED),
            default_assumed=mutating is None,
            unread=tuple(self._unread),
        )

    def _clients(self, mutating: tuple[tuple[WebhookClient, ...], ...] | None) -> tuple[WebhookClient, ...]:
        validating = self._optional(*configurations("Validating"))
        conversions = self._optional(DEFINITIONS, crd_conversion) or ()
        named = [one for clients in (*(mutating or ()), *(validating or ())) for one in clients]
        return (*named, *sorted(conversions, key=lambda one: one.configuration))

    def _optional(
        self, collection: Collection, parse: Callable[[msgspec.Raw], T | None]
    ) -> tuple[T, ...] | None:
        """Return the items; None, and a note, where they must not be read or are not served."""
        try:
            return self._read(collection, parse)
        except HttpRefusal as error:
            if not error.is_lasting:
                raise
            self._unread.append(str(error))
            return None

    def _read(self, collection: Collection, parse: Callable[[msgspec.Raw], T | None]) -> tuple[T, ...]:
        listed = list_all(self._api, collection, self._deadline)
        try:
            found = tuple(parse(one) for one in listed.items)
        except UnusableObject as error:
            raise nonsense(collection.wanted("list"), str(error)) from error
        return tuple(one for one in found if one is not None)


def _managed(namespace: Namespace) -> Namespace:
    return replace(namespace, labels={**namespace.labels, MANAGED_LABEL: MANAGED_VALUE})
