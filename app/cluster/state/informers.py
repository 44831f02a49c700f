"""What a live cluster is known to hold besides policies, kept up to date by watches.

As little as possible is read: of Services and EndpointSlices only those that a webhook configuration names.
What is optional and refused becomes a note.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from app.cluster.client.connection import Api
from app.cluster.client.listing import Collection
from app.cluster.state.facts import Facts, managed_names
from app.cluster.state.inventory import INVENTORY, facts_from, first_lists, lists_of_service, lists_of_sources
from app.cluster.state.reflector import Phase, Reflector
from app.cluster.state.webhook_services import remember, seen_now, services_of
from app.model.kinds import MUTATING
from app.model.seen_services import NOTHING_SEEN, Seen, SeenService, SeenServices
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
        self._seen: Seen = {}
        self._over: Seen = {}
        lists = (*first_lists(guard_namespace), *lists_of_sources(guard_namespace))
        self._fixed = [self._reflector(found) for found in lists]
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
            known = set(self._of_services)
            self._take_in()
            if self._of_services.keys() != known:
                return "the Services of webhooks have not been read yet"
            self._has_synced = True
            return None

    def facts(self) -> Facts:
        """Return what is known now; the same object until something changes."""
        with self._lock:
            if self._built[0] != self._version:
                self._built = (self._version, self._build())
            return self._built[1]

    def seen(self) -> Seen:
        """Return what is known of the Services of webhooks, whether or not they are there."""
        with self._lock:
            return self._seen

    def kept(self) -> SeenServices | None:
        """Return what the ConfigMap says that keeps it across restarts, None where there is none."""
        found = (value for reflector in self._fixed for values in reflector.values for value in values)
        return next((value for value in found if isinstance(value, SeenServices)), None)

    def _build(self) -> Facts:
        members: dict[str, list[Any]] = defaultdict(list)
        for reflector in self._reflectors():
            for values in reflector.values:
                members[INVENTORY[reflector.collection.kind].member] += values
        refused = [each for each in self._reflectors() if each.phase is Phase.REFUSED]
        facts = facts_from(
            {**members, "clients": self._clients},
            hidden=frozenset(key for key, (service, _) in self._of_services.items() if service in refused),
            default_assumed=any(each.collection.kind is MUTATING for each in refused),
            unread=tuple(each.problem for each in self._reflectors() if each.problem is not None),
        )
        return replace(facts, seen=self._seen)

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
        kept = (self.kept() or NOTHING_SEEN).services
        known = {**{key: seen for key, seen in kept.items() if self._over.get(key) != seen}, **self._seen}
        self._clients = remember(known, tuple(self._named()), is_over=self._is_over)
        named = {client.key for client in self._clients}
        # Nothing names it and it is missing: that is so although the ConfigMap may still say it.
        self._over = {key: seen for key, seen in kept.items() if key not in named}
        self._follow()
        followed = (self._seen_of(key, known.get(key)) for key in self._of_services)
        self._seen = {seen.key: seen for seen in followed if seen is not None}

    def _named(self) -> Iterator[WebhookClient]:
        for reflector in self._fixed:
            if INVENTORY[reflector.collection.kind].member == "clients":
                for clients in sorted(reflector.values, key=lambda values: values[0].configuration):
                    yield from clients

    def _is_over(self, client: WebhookClient) -> bool:
        """Tell whether a configuration that was not found is known to be gone, with its Service."""
        kind = client.configuration.partition("/")[0]
        configurations = [each for each in self._fixed if each.collection.kind.name == kind]
        service = next(iter(self._of_services.get(client.key, ())), None)
        is_known = all(each.phase is Phase.SYNCED for each in configurations)
        return is_known and service is not None and service.phase is Phase.SYNCED and not service.values

    def _seen_of(self, key: ServiceKey, before: SeenService | None) -> SeenService | None:
        service, slices = self._of_services[key]
        found = next((value for values in service.values for value in values), None)
        known = [value for values in slices.values for value in values]
        return seen_now(key, self._clients, (found, known), before)

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
