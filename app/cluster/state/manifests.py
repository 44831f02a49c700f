"""Manifests as ``kubectl get -o yaml`` prints them -> facts and policies. Pure: documents in, values out.

All or nothing: half a state would give wrong verdicts, so whoever takes this looks at ``problems`` first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from app.cluster.state.facts import NOTHING_REMEMBERED, Agent, Facts, ServiceKey, agent_of
from app.engine.policy import Namespace, Policy
from app.model.measured_sources import Memory, memory_of
from app.wire.errors import UnusableObject
from app.wire.networkpolicy.parse import Validation, parse_policy
from app.wire.objects.namespaces import parse_namespace
from app.wire.objects.nodes import NodeFacts, node_facts
from app.wire.objects.services import EndpointSliceFacts, ServiceFacts, endpointslice_facts, service_facts
from app.wire.objects.webhooks import WebhookClient, crd_conversion, webhook_clients
from app.wire.text.documents import Document

_ADMISSION = "admissionregistration.k8s.io/v1"


@dataclass(frozen=True, slots=True)
class ManifestState:
    """What a set of manifests says; ``problems`` name file, line and column, and what is wrong there."""

    facts: Facts
    policies: Mapping[str, tuple[Policy, ...]]
    problems: tuple[str, ...] = ()


@dataclass(slots=True)
class _Reader:
    """Collects document by document; a method for each kind."""

    namespaces: dict[str, Namespace] = field(default_factory=dict)
    policies: dict[tuple[str, str], Policy] = field(default_factory=dict)
    places: dict[tuple[str, str], str] = field(default_factory=dict)
    services: dict[ServiceKey, ServiceFacts] = field(default_factory=dict)
    slices: list[EndpointSliceFacts] = field(default_factory=list)
    clients: list[WebhookClient] = field(default_factory=list)
    nodes: list[NodeFacts] = field(default_factory=list)
    agents: set[Agent] = field(default_factory=set)
    memory: Memory = NOTHING_REMEMBERED
    problems: list[str] = field(default_factory=list)
    has_configurations: bool = False

    def namespace(self, document: Document) -> None:
        parsed = parse_namespace(document.object)
        for error in parsed.errors:
            self.problem(document, error.path, str(error))
        name = parsed.metadata.name
        if not name:
            self.problem(document, "metadata", "metadata.name: Required value")
        elif name in self.namespaces:
            self.problem(document, "metadata.name", f"Namespace {name} is there twice")
        self.namespaces[name] = parsed.namespace

    def policy(self, document: Document) -> None:
        parsed = parse_policy(document.object, validation=Validation.STORED)
        for error in parsed.errors:
            self.problem(document, error.path, str(error))
        key = (parsed.metadata.namespace, parsed.metadata.name)
        for member, value in zip(("namespace", "name"), key, strict=True):
            if not value:
                self.problem(document, "metadata", f"metadata.{member}: Required value")
        if key in self.policies:
            name = "/".join(key)
            self.problem(
                document, "metadata.name", f"NetworkPolicy {name} is there twice, also at {self.places[key]}"
            )
        if parsed.policy is not None and all(key):
            self.policies[key] = parsed.policy
            self.places[key] = _place(document, "metadata.namespace")

    def service(self, document: Document) -> None:
        found = service_facts(document.object)
        self.services[found.namespace, found.name] = found

    def endpointslice(self, document: Document) -> None:
        self.slices.append(endpointslice_facts(document.object))

    def configuration(self, document: Document) -> None:
        self.has_configurations = True
        self.clients += webhook_clients(document.object, document.kind)

    def definition(self, document: Document) -> None:
        found = crd_conversion(document.object)
        self.clients += [] if found is None else [found]

    def node(self, document: Document) -> None:
        self.nodes.append(node_facts(document.object))

    def pod(self, document: Document) -> None:
        found = agent_of(document.object)
        self.agents |= set() if found is None else {found}

    def config_map(self, document: Document) -> None:
        self.memory = memory_of(document.object) or self.memory

    def problem(self, document: Document, path: str, message: str) -> None:
        self.problems.append(f"{_place(document, path)}: {message}")

    def state(self) -> ManifestState:
        for (namespace, name), place in self.places.items():
            if namespace not in self.namespaces:
                self.problems.append(
                    f"{place}: NetworkPolicy {name} is in namespace {namespace}, "
                    "for which there is no Namespace object"
                )
        facts = Facts(
            namespaces=MappingProxyType(self.namespaces),
            clients=tuple(self.clients),
            services=self.services,
            slices=tuple(self.slices),
            nodes=tuple(self.nodes),
            agents=frozenset(self.agents),
            memory=self.memory,
            default_assumed=not self.has_configurations,
            unread=() if self.has_configurations else (_NO_CONFIGURATIONS,),
        )
        return ManifestState(facts, self.by_namespace(), tuple(self.problems))

    def by_namespace(self) -> Mapping[str, tuple[Policy, ...]]:
        """Return the policies of every namespace; none is told from not read."""
        grouped: dict[str, list[Policy]] = {name: [] for name in self.namespaces}
        for (namespace, _), policy in sorted(self.policies.items()):
            grouped.setdefault(namespace, []).append(policy)
        return MappingProxyType({name: tuple(policies) for name, policies in grouped.items()})


_NO_CONFIGURATIONS = "no webhook configurations are given: the Spark operator's documented default is assumed"

_KINDS: Mapping[tuple[str, str], Callable[[_Reader, Document], None]] = {
    ("v1", "Namespace"): _Reader.namespace,
    ("networking.k8s.io/v1", "NetworkPolicy"): _Reader.policy,
    ("v1", "Service"): _Reader.service,
    ("discovery.k8s.io/v1", "EndpointSlice"): _Reader.endpointslice,
    (_ADMISSION, "MutatingWebhookConfiguration"): _Reader.configuration,
    (_ADMISSION, "ValidatingWebhookConfiguration"): _Reader.configuration,
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): _Reader.definition,
    ("v1", "Node"): _Reader.node,
    ("v1", "Pod"): _Reader.pod,
    ("v1", "ConfigMap"): _Reader.config_map,
}


def read_state(documents: Iterable[Document]) -> ManifestState:
    """Return what ``documents`` say together; kinds that decide nothing are skipped. Never raises."""
    reader = _Reader()
    for document in documents:
        take = _KINDS.get((document.api_version, document.kind))
        if take is None:
            continue
        try:
            take(reader, document)
        except UnusableObject as error:
            reader.problem(document, error.path.partition(": ")[2], str(error))
    return reader.state()


def _place(document: Document, path: str) -> str:
    line, column = document.place(path)
    return f"{document.origin}:{line}:{column}"
