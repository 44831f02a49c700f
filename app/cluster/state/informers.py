"""What a live cluster is known to hold besides policies, kept up to date by watches.

As little as possible is read: of Services and EndpointSlices only those that a webhook configuration names.
What is optional and refused becomes a note.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from app.cluster.client.connection import Api
from app.cluster.client.listing import Collection
from app.cluster.state.facts import (
    AGENT_LABELS,
    NOTHING_REMEMBERED,
    Agent,
    Facts,
    ServiceKey,
    agent_of,
    managed_names,
)
from app.cluster.state.reflector import Phase, Reflector
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
from app.cluster.state.webhook_services import remember, services_of
from app.engine.policy import Namespace
from app.model.measured_sources import Memory, memory_of
from app.wire.objects.namespaces import namespace_of
from app.wire.objects.nodes import NodeFacts, node_facts
from app.wire.objects.services import EndpointSliceFacts, ServiceFacts, endpointslice_facts, service_facts
from app.wire.objects.webhooks import WebhookClient, crd_conversion

_JOIN_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class _ServiceFeeds:
    """One webhook Service and its EndpointSlices."""

    service: Reflector[ServiceFacts]
    slices: Reflector[EndpointSliceFacts]

    def __iter__(self) -> Iterator[Reflector[Any]]:
        return iter((self.service, self.slices))


class Informers:
    """The feeds of one cluster, and the facts that they add up to. Safe for threads."""

    def __init__(self, api: Api, guard_namespace: str) -> None:
        """Nothing is read yet; what was measured is remembered in ``guard_namespace``."""
        self._api = api
        self._lock = threading.RLock()
        self._version = 0
        self._built: tuple[int, Facts] = (-1, Facts())
        self._clients: tuple[WebhookClient, ...] = ()
        self._service_feeds: dict[ServiceKey, _ServiceFeeds] = {}
        self._has_synced = False
        self._is_stopped = False
        self._namespaces: Reflector[Namespace] = self._feed(
            NAMESPACES, lambda raw: namespace_of(raw).namespace
        )
        self._mutating: Reflector[tuple[WebhookClient, ...]] = self._feed(*configurations("Mutating"))
        self._validating: Reflector[tuple[WebhookClient, ...]] = self._feed(*configurations("Validating"))
        self._conversions: Reflector[WebhookClient] = self._feed(DEFINITIONS, crd_conversion)
        self._slices: Reflector[EndpointSliceFacts] = self._feed(
            slices("default", "kubernetes"), endpointslice_facts
        )
        self._nodes: Reflector[NodeFacts] = self._feed(NODES, node_facts)
        self._memory: Reflector[Memory] = self._feed(remembered(guard_namespace), memory_of)
        self._agents: list[Reflector[Agent]] = [self._feed(agents(key), agent_of) for key in AGENT_LABELS]

    def start(self) -> None:
        """Begin to read."""
        for feed in self._fixed_feeds():
            feed.start()

    def stop(self) -> None:
        """End all watches; waits a moment for their threads."""
        with self._lock:
            self._is_stopped = True
            feeds = list(self._feeds())
        for feed in feeds:
            feed.stop()
        for feed in feeds:
            feed.join(_JOIN_SECONDS / len(feeds))

    def missing(self) -> str | None:
        """Return what has not been read even once, or None; once None, always None."""
        with self._lock:
            if self._has_synced:
                return None
            if self._namespaces.phase is not Phase.SYNCED:
                return self._namespaces.problem or "the namespaces have not been read yet"
            for feed in self._feeds():
                if feed.phase is Phase.WAITING:
                    return feed.problem or f"{feed.collection.words}: not read yet"
            # What a feed has just read it may not have told yet: then Services that it names are not read.
            known = len(self._service_feeds)
            self._take_in()
            if len(self._service_feeds) != known:
                return "the Services of webhooks have not been read yet"
            self._has_synced = True
            return None

    def facts(self) -> Facts:
        """Return what is known now; the same object until something changes."""
        with self._lock:
            version, built = self._built
            if version != self._version:
                built = self._build()
                self._built = (self._version, built)
            return built

    def _build(self) -> Facts:
        services = (one for pair in self._service_feeds.values() for one in pair.service.values)
        slices = [*self._slices.values]
        for pair in self._service_feeds.values():
            slices += pair.slices.values
        return Facts(
            namespaces={one.name: one for one in self._namespaces.values},
            clients=self._clients,
            services={(one.namespace, one.name): one for one in services},
            hidden=frozenset(
                key for key, pair in self._service_feeds.items() if pair.service.phase is Phase.REFUSED
            ),
            slices=tuple(sorted(slices, key=lambda one: (one.namespace, one.name))),
            nodes=self._nodes.values,
            agents=frozenset(one for feed in self._agents for one in feed.values),
            memory=next(iter(self._memory.values), NOTHING_REMEMBERED),
            default_assumed=self._mutating.phase is Phase.REFUSED,
            unread=tuple(feed.problem for feed in self._feeds() if feed.problem is not None),
        )

    def _fixed_feeds(self) -> Iterator[Reflector[Any]]:
        yield self._namespaces
        yield self._mutating
        yield self._validating
        yield self._conversions
        yield self._slices
        yield self._nodes
        yield self._memory
        yield from self._agents

    def _feeds(self) -> Iterator[Reflector[Any]]:
        yield from self._fixed_feeds()
        for pair in self._service_feeds.values():
            yield from pair

    def _feed(self, collection: Collection, parse: Callable[[msgspec.Raw], Any]) -> Reflector[Any]:
        return Reflector(self._api, collection, parse=parse, changed=self._on_change)

    def _on_change(self) -> None:
        """Take in a feed's news: which Services are to be watched depends on what others say."""
        with self._lock:
            self._take_in()

    def _take_in(self) -> None:
        self._version += 1
        self._clients = remember(self._clients, tuple(self._named()), exists=self._may_exist)
        self._follow()

    def _named(self) -> Iterator[WebhookClient]:
        for feed in (self._mutating, self._validating):
            for clients in sorted(feed.values, key=_configuration):
                yield from clients
        yield from sorted(self._conversions.values, key=lambda one: one.configuration)

    def _may_exist(self, key: ServiceKey) -> bool:
        pair = self._service_feeds.get(key)
        return pair is not None and (pair.service.phase is not Phase.SYNCED or bool(pair.service.values))

    def _follow(self) -> None:
        """Watch the Services that are named now, and those alone."""
        if self._is_stopped or self._namespaces.phase is not Phase.SYNCED:
            return
        managed = managed_names({one.name: one for one in self._namespaces.values})
        wanted = services_of(self._clients, managed)
        for key in self._service_feeds.keys() - wanted:
            for feed in self._service_feeds.pop(key):
                feed.stop()
        for key in wanted - self._service_feeds.keys():
            pair = _ServiceFeeds(
                self._feed(service(*key), service_facts), self._feed(slices(*key), endpointslice_facts)
            )
            self._service_feeds[key] = pair
            for feed in pair:
                feed.start()


def _configuration(clients: tuple[WebhookClient, ...]) -> str:
    return clients[0].configuration
