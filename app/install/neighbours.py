"""Namespaces outside the platform that usually talk to it, and that a baseline would cut off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.engine.cluster import MANAGED
from app.engine.policy import Direction
from app.engine.ports import ALL_NUMBERS
from app.engine.regions import ExistingPods, Facts, NamespaceTable, Region
from app.engine.search import Side, Unlimited, find_newly_lost
from app.engine.selectors import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from app.engine.cluster import Cluster
    from app.engine.policy import Policy

_GATEWAYS = ("istio", "ingress", "gateway", "traefik", "kong", "nginx", "haproxy", "envoy", "contour")
_SCRAPERS = ("monitoring", "prometheus", "observability", "metrics", "grafana", "datadog", "victoria")


def purpose(name: str) -> str:
    """Return what the pods of a namespace of this name usually do to others; "" where it says nothing.

    >>> purpose("istio-system")
    'a gateway'
    """
    if any(one in name for one in _GATEWAYS):
        return "a gateway"
    return "scraping metrics" if any(one in name for one in _SCRAPERS) else ""


def cut_off(cluster: Cluster, before: Sequence[Policy], after: Sequence[Policy]) -> Iterator[tuple[str, str]]:
    """Yield the namespaces, with their purpose, whose pods reach every pod before and not afterwards."""
    table = NamespaceTable(cluster.namespaces)
    sides = Side(before, Facts(table)), Side(after, Facts(table))
    for name, namespace in sorted(cluster.namespaces.items()):
        why = purpose(name)
        if not why or namespace.terminating or MANAGED.matches(namespace.labels):
            continue
        region = Region(Direction.INGRESS, EVERYTHING, ExistingPods(frozenset({name})), ALL_NUMBERS)
        if find_newly_lost(region, *sides, Unlimited()) is not None:
            yield name, why


def warnings(found: Iterable[tuple[str, str]], namespaces: str) -> Iterator[str]:
    """Yield a sentence for each namespace that would be cut off from ``namespaces``."""
    for name, why in found:
        yield (
            f"{name} ({why}, by its name) will not reach the pods of {namespaces} any more; "
            f"to let it in: --allow-namespace {name}"
        )
