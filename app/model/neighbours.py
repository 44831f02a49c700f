"""Who outside the managed namespaces has business inside: gateways and scrapers, by their pods' labels."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum


class Business(Enum):
    """What a neighbour does."""

    GATEWAY = "gateway"
    SCRAPER = "scraper"


NEIGHBOURS: Mapping[Business, tuple[Mapping[str, str], ...]] = {
    Business.GATEWAY: (
        {"istio": "ingressgateway"},
        {"app": "istio-ingressgateway"},
        {"app.kubernetes.io/name": "ingress-nginx"},
    ),
    Business.SCRAPER: (
        {"app.kubernetes.io/name": "prometheus"},
        {"app": "prometheus"},
        {"app.kubernetes.io/name": "vmagent"},
    ),
}
"""The labels by which pods of neighbours, and the Services that select them, are found."""


def business_of(selector: Mapping[str, str]) -> Business | None:
    """Return what the pods do that ``selector`` selects, None where that is not known.

    >>> business_of({"istio": "ingressgateway", "app": "istio-ingressgateway"})
    <Business.GATEWAY: 'gateway'>
    """
    for business, known in NEIGHBOURS.items():
        if any(labels.items() <= selector.items() for labels in known):
            return business
    return None
