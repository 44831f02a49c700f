"""A folder of manifests as a ``Collected``: the same checks, as far as manifests can tell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from app.cluster.state.folder import documents_in, unusable
from app.cluster.state.manifests import read_state
from app.cluster.state.resources import CILIUM_CONFIG
from app.cluster.survey.collected import Collected, overrides_in
from app.model.kinds import (
    CONFIG_MAP,
    CRD,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    MUTATING,
    NAMESPACE,
    NETWORK_POLICY,
    POD,
    SECRET,
    SERVICE,
    VALIDATING,
)
from app.model.survey import ConfigMapUse, Survey, Unread
from app.names import LEDGER_CONFIG_MAP, WEBHOOK_SERVICES_CONFIG_MAP
from app.wire.errors import UnusableObject
from app.wire.objects.metadata import Metadata, MetadataOnly
from app.wire.objects.pods import PodFacts, pod_facts
from app.wire.objects.read import read_object
from app.wire.objects.services import ServiceFacts, ServiceKey
from app.wire.objects.webhooks import conversion_registrations, registrations
from app.wire.objects.workloads import config_map_data, deployment_facts, secret_certificate
from app.wire.text.documents import Document

T = TypeVar("T")

_FOLDER = "a folder of manifests cannot tell"
_CALLS = Unread("whether the API server really reaches the webhooks", _FOLDER, "run doctor on the cluster")


def collected_in(folder: Path, guard: ServiceKey) -> Collected:
    """Return what the manifests below ``folder`` say. Raises ``StateUnreadable``."""
    documents = documents_in(folder)
    problems = read_state(documents).problems
    if problems:
        raise unusable(folder, *problems)
    collected = collected_from(documents, guard)
    return replace(collected, survey=_doubted(collected.survey, {document.kind for document in documents}))


def _doubted(survey: Survey, kinds: set[str]) -> Survey:
    """Return the survey with kinds of which there is no manifest as not read, so that nobody misses them."""
    silent = {kind: words for kind, words in _TOLD_BY.items() if kind.name not in kinds}
    why = "there is no such manifest in the folder"
    unread = (Unread(words, why, f"export the {kind.name}s, too") for kind, words in silent.items())
    return replace(survey, unread=(*unread, _CALLS), hidden=frozenset(kind.resource for kind in silent))


def collected_from(documents: Sequence[Document], guard: ServiceKey) -> Collected:
    """Return what ``documents`` say as if they were everything; ``read_state`` must have no complaint."""
    state = read_state(documents)
    found: dict[str, list[Any]] = defaultdict(list)
    for document in documents:
        if part := _PARTS.get((document.api_version, document.kind)):
            member, parse = part
            with suppress(UnusableObject):  # what has not the shape of its kind was complained about
                found[member] += parse(document)
    config_maps = dict(found["config_maps"])
    settings = config_maps.get((guard[0], f"{guard[1]}-settings"), {})
    survey = Survey(
        registrations=tuple(found["registrations"]),
        services=state.facts.services,
        slices=state.facts.slices,
        pods=tuple(found["pods"]),
        deployments=tuple(found["deployments"]),
        certificates=_certificates(guard, state.facts.services, found["pods"], dict(found["secrets"])),
        overrides=tuple(found["overrides"]),
        ledger=_use(LEDGER_CONFIG_MAP, guard, config_maps.keys()),
        webhook_services=_use(WEBHOOK_SERVICES_CONFIG_MAP, guard, config_maps.keys()),
        is_live=False,
    )
    cilium = config_maps.get((CILIUM_CONFIG.namespace, CILIUM_CONFIG.name))
    return Collected(state.facts, survey, state.policies, settings.get("settings.yaml", ""), cilium)


_TOLD_BY = {
    SERVICE: "the Services behind webhooks",
    ENDPOINT_SLICE: "the endpoints behind webhooks",
    VALIDATING: "the guard's registration",
}


def _use(name: str, guard: ServiceKey, config_maps: Collection[tuple[str, str]]) -> ConfigMapUse:
    """Return that a ConfigMap is missing where others of the guard's are among the manifests."""
    if (guard[0], name) in config_maps or all(key[0] != guard[0] for key in config_maps):
        return ConfigMapUse.UNKNOWN
    return ConfigMapUse.MISSING


def _certificates(
    guard: ServiceKey,
    services: Mapping[ServiceKey, ServiceFacts],
    pods: Sequence[PodFacts],
    pems: Mapping[tuple[str, str], bytes],
) -> Mapping[ServiceKey, bytes]:
    """Return what Services serve, where the Secrets that their pods mount are among the manifests."""
    pem = pems.get((guard[0], f"{guard[1]}-tls"))
    found = {guard: pem} if pem else {}
    for key, service in services.items():
        mounted = (pod for pod in pods if service.selector and pod.is_selected(key[0], service.selector))
        for secret in (name for pod in mounted for name in pod.secrets):
            if (key[0], secret) in pems:
                found.setdefault(key, pems[key[0], secret])
    return found


def _metadata(document: Document) -> Metadata:
    return read_object(document.object, MetadataOnly, document.kind).metadata


def _keyed(document: Document, value: T) -> list[tuple[tuple[str, str], T]]:
    metadata = _metadata(document)
    return [((metadata.namespace, metadata.name), value)]


_Part = tuple[str, Callable[[Document], Iterable[Any]]]
_REGISTRATIONS: _Part = "registrations", lambda document: registrations(document.object, document.kind)
_OVERRIDES: _Part = "overrides", lambda document: overrides_in(document.kind, [_metadata(document)])

_PARTS: Mapping[tuple[str, str], _Part] = {
    (kind.version, kind.name): part
    for kind, part in (
        (MUTATING, _REGISTRATIONS),
        (VALIDATING, _REGISTRATIONS),
        (CRD, ("registrations", lambda document: conversion_registrations(document.object))),
        (POD, ("pods", lambda document: [pod_facts(document.object)])),
        (DEPLOYMENT, ("deployments", lambda document: [deployment_facts(document.object)])),
        (SECRET, ("secrets", lambda document: _keyed(document, secret_certificate(document.object)))),
        (CONFIG_MAP, ("config_maps", lambda document: _keyed(document, config_map_data(document.object)))),
        (NAMESPACE, _OVERRIDES),
        (NETWORK_POLICY, _OVERRIDES),
    )
}
"""What is taken of each document that ``read_state`` has no use for: what for, and how."""
