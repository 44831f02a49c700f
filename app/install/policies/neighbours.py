"""Namespaces outside the platform that usually talk to it, and that a baseline would cut off."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from app.engine.budget import Unlimited
from app.engine.cluster import MANAGED, Cluster
from app.engine.policy import Direction, Policy
from app.engine.ports import ALL_NUMBERS
from app.engine.regions import ExistingPods, NamespaceTable, Region, Side, World
from app.engine.search.find import find_newly_lost
from app.engine.selectors import EVERYTHING
from app.model.neighbours import Business, business_of
from app.wire.objects.services import ServiceFacts

_BY_NAME = {
    Business.GATEWAY: ("istio", "ingress", "gateway", "traefik", "kong", "haproxy", "envoy", "contour"),
    Business.SCRAPER: ("monitoring", "prometheus", "observability", "datadog", "victoria"),
}
"""Parts of the names of namespaces whose pods usually do that business."""


def neighbours(cluster: Cluster, services: Iterable[ServiceFacts]) -> Mapping[str, str]:
    """Return the unmanaged namespaces that have business inside, with how that is known."""
    found = {
        name: why
        for name, namespace in sorted(cluster.namespaces.items())
        if not namespace.terminating and not MANAGED.matches(namespace.labels) and (why := _by_name(name))
    }
    for service in services:
        there = cluster.namespaces.get(service.namespace)
        business = business_of(service.selector)
        if business is None or there is None or there.terminating or MANAGED.matches(there.labels):
            continue
        found[service.namespace] = f"a {business.value}: Service {service.name}"
    return found


def _by_name(name: str) -> str:
    known = (business for business, parts in _BY_NAME.items() if any(part in name for part in parts))
    business = next(known, None)
    return "" if business is None else f"a {business.value}, by its name"


class Neighbourhood:
    """Tells which neighbours a change cuts off from a namespace."""

    def __init__(self, cluster: Cluster, known: Mapping[str, str]) -> None:
        """``known`` are the neighbours, as ``neighbours`` returns them."""
        self._known = known
        self._facts = World(NamespaceTable(cluster.namespaces))

    def cut_off(self, before: Sequence[Policy], after: Sequence[Policy]) -> Iterator[tuple[str, str]]:
        """Yield the neighbours, and how they are known, that reach more pods before than afterwards."""
        sides = Side(before, self._facts), Side(after, self._facts)
        for name, why in self._known.items():
            region = Region(Direction.INGRESS, EVERYTHING, ExistingPods(frozenset({name})), ALL_NUMBERS)
            if find_newly_lost(region, *sides, Unlimited()) is not None:
                yield name, why


def cut_off_words(name: str, why: str, namespaces: str) -> str:
    """Return a sentence for a neighbour that would be cut off from ``namespaces``."""
    return (
        f"{name} ({why}) will not reach all pods of {namespaces} any more;"
        f" to let it in: --allow-namespace {name}"
    )
