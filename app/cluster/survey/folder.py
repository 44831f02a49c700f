"""A folder of manifests as a ``Collected``: the same checks, as far as manifests can tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from app.cluster.state.cilium import CILIUM_CONFIG
from app.cluster.state.folder import documents_in, unusable
from app.cluster.state.manifests import read_state
from app.cluster.survey.collected import Collected
from app.model.kinds import (
    CONFIG_MAP,
    CRD,
    DEPLOYMENT,
    MUTATING,
    NAMESPACE,
    NETWORK_POLICY,
    POD,
    SECRET,
    VALIDATING,
)
from app.model.survey import OverriddenObject, ServiceKey, Survey, Unread
from app.names import OVERRIDE_ANNOTATION
from app.wire.errors import UnusableObject
from app.wire.objects.metadata import NO_METADATA, Metadata
from app.wire.objects.pods import PodFacts, pod_facts
from app.wire.objects.read import read_object
from app.wire.objects.registrations import Registration, conversion_registration, registrations
from app.wire.objects.services import ServiceFacts
from app.wire.objects.workloads import DeploymentFacts, config_map_data, deployment_facts, secret_certificate
from app.wire.text.documents import Document

_FOLDER = "a folder of manifests cannot tell"
_CALLS = Unread("whether the API server really reaches the webhooks", _FOLDER, "run doctor on the cluster")


def collected_in(folder: Path, guard: ServiceKey) -> Collected:
    """Return what the manifests below ``folder`` say. Raises ``StateUnreadable``."""
    documents = documents_in(folder)
    problems = read_state(documents).problems
    if problems:
        raise unusable(folder, *problems)
    collected = collected_from(documents, guard)
    return replace(collected, survey=_doubted(collected.survey, {one.kind for one in documents}))


def _doubted(survey: Survey, kinds: set[str]) -> Survey:
    """Return the survey with kinds of which there is no manifest as not read, so that nobody misses them."""
    silent = [(kind, words) for kind, words in _TOLD_BY.items() if kind not in kinds]
    unread = [
        Unread(words, "there is no such manifest in the folder", f"export the {kind}s, too")
        for kind, words in silent
    ]
    hidden = frozenset(_RESOURCES[kind] for kind, _ in silent)
    return replace(survey, unread=(*unread, _CALLS), hidden=hidden)


def collected_from(documents: Sequence[Document], guard: ServiceKey) -> Collected:
    """Return what ``documents`` say as if they were everything; ``read_state`` must have no complaint."""
    state = read_state(documents)
    reader = _Reader(guard)
    for one in documents:
        reader.take(one)
    facts = state.facts
    survey = Survey(
        registrations=tuple(reader.registrations),
        services=facts.services,
        slices=facts.slices,
        pods=tuple(reader.pods),
        deployments=tuple(reader.deployments),
        certificates=reader.certificates(facts.services),
        overrides=tuple(reader.overrides),
        is_live=False,
    )
    return Collected(facts, survey, state.policies, reader.settings.get("settings.yaml", ""), reader.cilium)


_TOLD_BY = {
    "Service": "the Services behind webhooks",
    "EndpointSlice": "the endpoints behind webhooks",
    "ValidatingWebhookConfiguration": "the guard's registration",
}
_RESOURCES = {
    "Service": "services",
    "EndpointSlice": "endpointslices",
    "ValidatingWebhookConfiguration": "validatingwebhookconfigurations",
}


@dataclass(slots=True)
class _Reader:
    """Takes from each document what ``read_state`` has no use for."""

    guard: ServiceKey
    registrations: list[Registration] = field(default_factory=list)
    pods: list[PodFacts] = field(default_factory=list)
    deployments: list[DeploymentFacts] = field(default_factory=list)
    overrides: list[OverriddenObject] = field(default_factory=list)
    pems: dict[tuple[str, str], bytes] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    cilium: Mapping[str, str] | None = None

    def take(self, document: Document) -> None:
        """Take the document in, if it is of use; what has not the shape of its kind was complained about."""
        take = _TAKERS.get((document.api_version, document.kind))
        if take is not None:
            with suppress(UnusableObject):
                take(self, document)

    def certificates(self, services: Mapping[ServiceKey, ServiceFacts]) -> Mapping[ServiceKey, bytes]:
        """Return what Services serve, where the Secrets that their pods mount are among the manifests."""
        pem = self.pems.get((self.guard[0], f"{self.guard[1]}-tls"))
        found = {self.guard: pem} if pem else {}
        for key, service in services.items():
            mounted = (
                one for one in self.pods if service.selector and one.is_selected(key[0], service.selector)
            )
            for secret in (name for pod in mounted for name in pod.secrets):
                if (key[0], secret) in self.pems:
                    found.setdefault(key, self.pems[key[0], secret])
        return found

    def configuration(self, document: Document) -> None:
        self.registrations += registrations(document.object, document.kind)

    def definition(self, document: Document) -> None:
        found = conversion_registration(document.object)
        self.registrations += [] if found is None else [found]

    def pod(self, document: Document) -> None:
        self.pods.append(pod_facts(document.object))

    def deployment(self, document: Document) -> None:
        self.deployments.append(deployment_facts(document.object))

    def secret(self, document: Document) -> None:
        metadata = _metadata(document)
        self.pems[metadata.namespace, metadata.name] = secret_certificate(document.object)

    def config_map(self, document: Document) -> None:
        metadata = _metadata(document)
        if (metadata.namespace, metadata.name) == (self.guard[0], f"{self.guard[1]}-settings"):
            self.settings = config_map_data(document.object)
        if (metadata.namespace, metadata.name) == (CILIUM_CONFIG.namespace, CILIUM_CONFIG.name):
            self.cilium = config_map_data(document.object)

    def annotated(self, document: Document) -> None:
        metadata = _metadata(document)
        reason = metadata.annotations.get(OVERRIDE_ANNOTATION)
        if reason is not None:
            self.overrides.append(OverriddenObject(document.kind, metadata.namespace, metadata.name, reason))


class _Object(msgspec.Struct):
    metadata: Metadata = NO_METADATA


def _metadata(document: Document) -> Metadata:
    return read_object(document.object, _Object, document.kind).metadata


_TAKERS: Mapping[tuple[str, str], Callable[[_Reader, Document], None]] = {
    (kind.version, kind.name): take
    for kind, take in (
        (MUTATING, _Reader.configuration),
        (VALIDATING, _Reader.configuration),
        (CRD, _Reader.definition),
        (POD, _Reader.pod),
        (DEPLOYMENT, _Reader.deployment),
        (SECRET, _Reader.secret),
        (CONFIG_MAP, _Reader.config_map),
        (NAMESPACE, _Reader.annotated),
        (NETWORK_POLICY, _Reader.annotated),
    )
}
