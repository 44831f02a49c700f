"""What a live cluster is known to hold besides policies, kept up to date by watches.

As little as possible is read: of Services and EndpointSlices only those that a webhook configuration names.
What is optional and refused becomes a note.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from app.cluster.client.connection import Api
from app.cluster.client.listing import Collection
from app.cluster.state.facts import Facts, managed_names
from app.cluster.state.inventory import FIRST, INVENTORY, facts_from, lists_of_service, lists_of_sources
from app.cluster.state.reflector import Phase, Reflector
from app.cluster.state.webhook_services import remember, services_of
from app.model.kinds import MUTATING
from app.wire.objects.services import ServiceKey
from app.wire.objects.webhooks import WebhookClient

_JOIN_SECONDS = 2.0

ListReflector = Reflector[tuple[Any, ...]]
"""A list of the inventory: of each object the values that it adds to the facts."""


class Informers:
    """The reflectors of one cluster, and the facts that they add up to. Safe for threads."""

    def __init__(self, api: Api, guard_namespace: str) -> None:
        """Nothing is read yet; what was measured is remembered in ``guard_namespace``."""
        self._api = api
        self._lock = threading.RLock()
        self._version = 0
        self._built: tuple[int, Facts] = (-1, Facts())
        self._clients: tuple[WebhookClient, ...] = ()
        self._fixed = [self._reflector(found) for found in (*FIRST, *lists_of_sources(guard_namespace))]
        self._namespaces = self._fixed[0]
        self._of_services: dict[ServiceKey, list[ListReflector]] = {}
        self._has_synced = False
        self._is_stopped = False

    def start(self) -> None:
        """Begin to read."""
        for reflector in self._fixed:
            reflector.start()

    def stop(self) -> None:
        """End all watches; waits a moment for their threads."""
        with self._lock:
            self._is_stopped = True
            reflectors = list(self._reflectors())
        for reflector in reflectors:
            reflector.stop()
        for reflector in reflectors:
            reflector.join(_JOIN_SECONDS / len(reflectors))

    def missing(self) -> str | None:
        """Return what has not been read even once, or None; once None, always None."""
        with self._lock:
            if self._has_synced:
                return None
            if self._namespaces.phase is not Phase.SYNCED:
                return self._namespaces.problem or "the namespaces have not been read yet"
            for reflector in self._reflectors():
                if reflector.phase is Phase.WAITING:
                    return reflector.problem or f"{reflector.collection.words}: not read yet"
            # What was just read may not have been told yet: then Services that it names are not read.
            known = len(self._of_services)
            self._take_in()
            if len(self._of_services) != known:
                return "the Services of webhooks have not been read yet"
            self._has_synced = True
            return None

    def facts(self) -> Facts:
        """Return what is known now; the same object until something changes."""
        with self._lock:
            if self._built[0] != self._version:
                self._built = (self._version, self._build())
            return self._built[1]

    def _build(self) -> Facts:
        members: dict[str, list[Any]] = defaultdict(list)
        for reflector in self._reflectors():
            for values in reflector.values:
                members[INVENTORY[reflector.collection.kind].member] += values
        refused = [each for each in self._reflectors() if each.phase is Phase.REFUSED]
        return facts_from(
            {**members, "clients": self._clients},
            hidden=frozenset(key for key, (service, _) in self._of_services.items() if service in refused),
            default_assumed=any(each.collection.kind is MUTATING for each in refused),
            unread=tuple(each.problem for each in self._reflectors() if each.problem is not None),
        )

    def _reflectors(self) -> Iterator[ListReflector]:
        yield from self._fixed
        for pair in self._of_services.values():
            yield from pair

    def _reflector(self, collection: Collection) -> ListReflector:
        parse = INVENTORY[collection.kind].parse
        return Reflector(self._api, collection, parse=lambda raw: parse(raw) or None, changed=self._on_change)

    def _on_change(self) -> None:
        """Take in a reflector's news: which Services are to be watched depends on what others say."""
        with self._lock:
            self._take_in()

    def _take_in(self) -> None:
        self._version += 1
        self._clients = remember(self._clients, tuple(self._named()), exists=self._may_exist)
        self._follow()

    def _named(self) -> Iterator[WebhookClient]:
        for reflector in self._fixed:
            if INVENTORY[reflector.collection.kind].member == "clients":
                for clients in sorted(reflector.values, key=lambda values: values[0].configuration):
                    yield from clients

    def _may_exist(self, key: ServiceKey) -> bool:
        service = next(iter(self._of_services.get(key, ())), None)
        return service is not None and (service.phase is not Phase.SYNCED or bool(service.values))

    def _follow(self) -> None:
        """Watch the Services that are named now, and those alone."""
        if self._is_stopped or self._namespaces.phase is not Phase.SYNCED:
            return
        managed = managed_names({found.name: found for (found,) in self._namespaces.values})
        named = services_of(self._clients, managed)
        for key in self._of_services.keys() - named:
            for reflector in self._of_services.pop(key):
                reflector.stop()
        for key in named - self._of_services.keys():
            self._of_services[key] = [self._reflector(found) for found in lists_of_service(key)]
            for reflector in self._of_services[key]:
                reflector.start()
