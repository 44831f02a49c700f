"""What the facts of a cluster are made of: which objects add to which member, and which lists are read.

Whoever gathers facts (by watches, by reading once, from manifests, for a survey) walks this table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from app.cluster.client.listing import Collection
from app.cluster.state.facts import AGENT_LABELS, KUBERNETES, Facts, agent_of
from app.cluster.state.resources import (
    CILIUM_CONFIG,
    DEFINITIONS,
    NAMESPACES,
    NODES,
    agents,
    cilium,
    configurations,
    remembered,
    seen_services,
    service,
    slices,
)
from app.model.kinds import (
    CONFIG_MAP,
    CRD,
    ENDPOINT_SLICE,
    MUTATING,
    NAMESPACE,
    NODE,
    POD,
    SERVICE,
    VALIDATING,
    Kind,
    Reference,
)
from app.model.measured_sources import NOTHING_REMEMBERED, Memory
from app.model.seen_services import NOTHING_SEEN, SeenServices, seen_services_of
from app.model.sources_config_map import memory_of
from app.wire.objects.metadata import NO_METADATA, Metadata
from app.wire.objects.namespaces import namespace_of
from app.wire.objects.nodes import node_facts
from app.wire.objects.read import RawObject, read_object
from app.wire.objects.services import ServiceKey, endpointslice_facts, service_facts
from app.wire.objects.webhooks import Registration, WebhookClient, conversion_registrations, registrations

T = TypeVar("T")
Parser = Callable[[Any], tuple[Any, ...]]
"""An object -> what it adds to a member of ``Facts``. May raise ``UnusableObject``."""


class _Named(msgspec.Struct):
    metadata: Metadata = NO_METADATA


@dataclass(frozen=True, slots=True)
class Part:
    """What objects of one kind add to: a member of ``Facts``. ``is_optional``: facts can do without them."""

    member: str
    parse: Parser
    is_optional: bool = True


def _single(parse: Callable[[RawObject], T | None]) -> Parser:
    def parsed(source: RawObject) -> tuple[T, ...]:
        value = parse(source)
        return () if value is None else (value,)

    return parsed


def _clients(found: Iterable[Registration]) -> tuple[WebhookClient, ...]:
    return tuple(registration.client for registration in found)


def _config_map(source: RawObject) -> Memory | SeenServices | Reference | None:
    """Return what was measured or seen, or that Cilium is configured; None for another ConfigMap."""
    metadata = read_object(source, _Named, "ConfigMap").metadata
    if (metadata.namespace, metadata.name) == (CILIUM_CONFIG.namespace, CILIUM_CONFIG.name):
        return CILIUM_CONFIG
    return memory_of(source) or seen_services_of(source)


INVENTORY: Mapping[Kind, Part] = {
    NAMESPACE: Part("namespaces", lambda raw: (namespace_of(raw).namespace,), is_optional=False),
    MUTATING: Part("clients", lambda source: _clients(registrations(source, MUTATING.name))),
    VALIDATING: Part("clients", lambda source: _clients(registrations(source, VALIDATING.name))),
    CRD: Part("clients", lambda source: _clients(conversion_registrations(source))),
    SERVICE: Part("services", _single(service_facts)),
    ENDPOINT_SLICE: Part("slices", _single(endpointslice_facts)),
    NODE: Part("nodes", _single(node_facts)),
    POD: Part("agents", _single(agent_of)),
    CONFIG_MAP: Part("config_maps", _single(_config_map)),
}

_FIRST = (NAMESPACES, configurations(MUTATING), configurations(VALIDATING), DEFINITIONS, slices(*KUBERNETES))


def lists_of_service(key: ServiceKey) -> tuple[Collection, ...]:
    """Return the lists that are read for a Service at which webhooks are served."""
    return service(*key), slices(*key)


def lists_of_sources(guard_namespace: str) -> tuple[Collection, ...]:
    """Return the lists that tell where the API server calls from, beside its endpoints."""
    return (NODES, *map(agents, AGENT_LABELS), remembered(guard_namespace), cilium())


def first_lists(guard_namespace: str) -> tuple[Collection, ...]:
    """Return what is read first: which Services are to be read follows from it."""
    return (*_FIRST, seen_services(guard_namespace))


def facts_from(
    members: Mapping[str, Iterable[Any]],
    *,
    hidden: frozenset[ServiceKey] = frozenset(),
    default_assumed: bool = False,
    unread: tuple[str, ...] = (),
) -> Facts:
    """Return the facts that values make, by member; the rest are those that no object tells."""
    by_name = sorted(members.get("slices", ()), key=lambda found: (found.namespace, found.name))
    config_maps = list(members.get("config_maps", ()))
    return Facts(
        namespaces={namespace.name: namespace for namespace in members.get("namespaces", ())},
        clients=tuple(members.get("clients", ())),
        services={found.key: found for found in members.get("services", ())},
        slices=tuple(by_name),
        nodes=tuple(members.get("nodes", ())),
        agents=frozenset(members.get("agents", ())),
        seen=[NOTHING_SEEN, *(found for found in config_maps if isinstance(found, SeenServices))][
            -1
        ].services,
        memory=[NOTHING_REMEMBERED, *(found for found in config_maps if isinstance(found, Memory))][-1],
        has_cilium=CILIUM_CONFIG in config_maps,
        hidden=hidden,
        default_assumed=default_assumed,
        unread=unread,
    )
