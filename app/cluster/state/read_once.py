"""The state of a live cluster as a command needs it: read once, with the policies of some namespaces."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from app.cluster.client.connection import Api
from app.cluster.client.errors import HttpRefusal, nonsense
from app.cluster.client.listing import Collection, list_all
from app.cluster.client.server import ClusterServer
from app.cluster.state.facts import Facts
from app.cluster.state.fresh import FEW, FreshReads
from app.cluster.state.inventory import INVENTORY, facts_from, first_lists, lists_of_service, lists_of_sources
from app.cluster.state.snapshot import Snapshot, snapshot_of
from app.cluster.state.webhook_services import services_of, with_memory
from app.deadline import Deadline
from app.engine.cluster import MANAGED_LABEL, MANAGED_VALUE, Cluster, Source
from app.engine.policy import Namespace, Policy
from app.model.kinds import MUTATING, SERVICE, Kind
from app.names import NAME
from app.wire.errors import UnusableObject
from app.wire.objects.services import ServiceKey

_GREETING_SECONDS = 3.0
"""Whether anybody answers is found out in a moment, rather than after the time-out of a long list."""
_SECONDS = 30.0


def read_once(
    api: Api, namespaces: Iterable[str] | None, *, declared: tuple[Source, ...] = ()
) -> tuple[Cluster, tuple[str, ...]]:
    """Return the cluster with the policies of ``namespaces``, and notes of what is not known of it, and why.

    None stands for all managed namespaces. Raises ``StateUnreadable``, within a few seconds where the API
    server cannot be reached.
    """
    ClusterServer(api, _GREETING_SECONDS).version()
    deadline = Deadline.after(_SECONDS)
    facts = read_facts(api, deadline)
    names = facts.managed if namespaces is None else frozenset(namespaces)
    snapshot = snapshot_of(facts, Snapshot(), declared=declared)
    return snapshot.with_policies(_policies(api, names, deadline)), snapshot.notes


def _policies(api: Api, names: frozenset[str], deadline: Deadline) -> Mapping[str, tuple[Policy, ...]]:
    """Return the policies of ``names``: of a few one by one, which needs no right to see the others'."""
    fresh = FreshReads(api)
    if len(names) <= FEW:
        return {name: fresh.policies(name, deadline) for name in sorted(names)}
    return fresh.policies_of(sorted(names), deadline)


def read_facts(
    api: Api, deadline: Deadline, labelled: frozenset[str] = frozenset(), *, guard_namespace: str = NAME
) -> Facts:
    """Return the facts of the cluster at this moment; ``labelled`` namespaces are taken for managed.

    What was measured before is remembered in ``guard_namespace``. What is optional and refused becomes a
    note, as with ``Informers``. Raises ``StateUnreadable`` for the rest.
    """
    lists = _Lists(api, deadline)
    default_assumed = MUTATING in lists.read(*first_lists(guard_namespace))
    found = lists.members["namespaces"]
    namespaces = {each.name: _managed(each) if each.name in labelled else each for each in found}
    hidden: set[ServiceKey] = set()
    for key in sorted(_called(facts_from({**lists.members, "namespaces": namespaces.values()}))):
        if SERVICE in lists.read(*lists_of_service(key)):
            hidden.add(key)
    lists.read(*lists_of_sources(guard_namespace))
    members, unread = {**lists.members, "namespaces": namespaces.values()}, tuple(lists.unread)
    facts = facts_from(members, hidden=frozenset(hidden), default_assumed=default_assumed, unread=unread)
    return with_memory(facts)


def _called(facts: Facts) -> frozenset[ServiceKey]:
    """Return the Services that the API server calls, or did when they were seen last."""
    earlier = (client for seen in facts.seen.values() for client in seen.clients)
    return services_of((*facts.clients, *earlier), facts.managed)


@dataclass(slots=True)
class _Lists:
    """Lists of the inventory, read one after the other: what they said, and which must not be read."""

    api: Api
    deadline: Deadline
    members: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    unread: list[str] = field(default_factory=list)

    def read(self, *collections: Collection) -> set[Kind]:
        """Return the kinds of those that must not be read or are not served, with a note for each."""
        refused: set[Kind] = set()
        for collection in collections:
            part = INVENTORY[collection.kind]
            try:
                listed = list_all(self.api, collection, self.deadline)
                self.members[part.member] += [value for item in listed.items for value in part.parse(item)]
            except UnusableObject as error:
                raise nonsense(collection.purpose("list"), str(error)) from error
            except HttpRefusal as error:
                if not (part.is_optional and error.is_lasting):
                    raise
                self.unread.append(str(error))
                refused.add(collection.kind)
        return refused


def _managed(namespace: Namespace) -> Namespace:
    return replace(namespace, labels={**namespace.labels, MANAGED_LABEL: MANAGED_VALUE})
