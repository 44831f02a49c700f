"""The state of a live cluster as a command needs it: read once, with the policies of some namespaces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import msgspec

from app.cluster.client.connection import Api
from app.cluster.client.errors import HttpRefusal, nonsense
from app.cluster.client.listing import Collection, list_all
from app.cluster.client.server import ClusterServer
from app.cluster.state.facts import (
    AGENT_LABELS,
    NOTHING_REMEMBERED,
    Facts,
    ServiceKey,
    agent_of,
    managed_names,
)
from app.cluster.state.fresh import FEW, FreshReads
from app.cluster.state.resources import (
    DEFINITIONS,
    NAMESPACES,
    NODES,
    agents,
    configurations,
    remembered,
    service,
    slices,
)
from app.cluster.state.snapshot import Snapshot, snapshot_of
from app.cluster.state.webhook_services import services_of
from app.deadline import Deadline
from app.engine.cluster import MANAGED_LABEL, MANAGED_VALUE, Cluster, Source
from app.engine.policy import Namespace, Policy
from app.model.measured_sources import memory_of
from app.names import NAME
from app.wire.errors import UnusableObject
from app.wire.objects.namespaces import namespace_of
from app.wire.objects.nodes import node_facts
from app.wire.objects.services import ServiceFacts, endpointslice_facts, service_facts
from app.wire.objects.webhooks import WebhookClient, crd_conversion

_GREETING_SECONDS = 3.0
"""Whether anybody answers is found out in a moment, rather than after the time-out of a long list."""
_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Reading:
    """A cluster as it was; ``notes`` say what is not known of it, and why."""

    cluster: Cluster
    notes: tuple[str, ...] = ()


def read_once(api: Api, namespaces: Iterable[str] | None, *, declared: tuple[Source, ...] = ()) -> Reading:
    """Return the cluster with the policies of ``namespaces``; None stands for all managed ones.

    Raises ``StateUnreadable``, within a few seconds where the API server cannot be reached.
    """
    ClusterServer(api, _GREETING_SECONDS).version()
    deadline = Deadline.after(_SECONDS)
    facts = read_facts(api, deadline)
    names = facts.managed if namespaces is None else frozenset(namespaces)
    snapshot = snapshot_of(facts, Snapshot(), declared=declared)
    return Reading(snapshot.with_policies(_policies(api, names, deadline)), snapshot.notes)


def _policies(api: Api, names: frozenset[str], deadline: Deadline) -> Mapping[str, tuple[Policy, ...]]:
    """Return the policies of ``names``: of a few one by one, which needs no right to see the others'."""
    fresh = FreshReads(api)
    if len(names) <= FEW:
        return {name: fresh.policies(name, deadline) for name in sorted(names)}
    return fresh.policies_of(sorted(names), deadline)


T = TypeVar("T")


def read_facts(
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
            raise nonsense(collection.purpose("list"), str(error)) from error
        return tuple(one for one in found if one is not None)


def _managed(namespace: Namespace) -> Namespace:
    return replace(namespace, labels={**namespace.labels, MANAGED_LABEL: MANAGED_VALUE})
