"""Manifests as ``kubectl get -o yaml`` prints them -> facts and policies. Pure: documents in, values out.

All or nothing: half a state would give wrong verdicts, so whoever takes this looks at ``problems`` first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.cluster.state.facts import Facts, by_namespace
from app.cluster.state.inventory import INVENTORY, facts_from
from app.engine.policy import Namespace, Policy
from app.model.kinds import MUTATING, NAMESPACE, NETWORK_POLICY, VALIDATING, Kind
from app.wire.errors import UnusableObject
from app.wire.networkpolicy.parse import Validation, parse_policy
from app.wire.objects.namespaces import parse_namespace
from app.wire.text.documents import Document

_NO_CONFIGURATIONS = "no webhook configurations are given: the Spark operator's documented default is assumed"
_KINDS = {(kind.version, kind.name): kind for kind in (*INVENTORY, NETWORK_POLICY)}


@dataclass(frozen=True, slots=True)
class ManifestState:
    """What a set of manifests says; ``problems`` name file, line and column, and what is wrong there."""

    facts: Facts
    policies: Mapping[str, tuple[Policy, ...]]
    problems: tuple[str, ...] = ()


@dataclass(slots=True)
class _Reader:
    """Collects document by document."""

    namespaces: dict[str, Namespace] = field(default_factory=dict)
    policies: dict[tuple[str, str], Policy] = field(default_factory=dict)
    places: dict[tuple[str, str], str] = field(default_factory=dict)
    members: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    problems: list[str] = field(default_factory=list)
    kinds: set[Kind] = field(default_factory=set)

    def take(self, document: Document) -> None:
        """Take the document in; kinds that decide nothing are skipped. Raises ``UnusableObject``."""
        kind = _KINDS.get((document.api_version, document.kind))
        if kind is None:
            return
        self.kinds.add(kind)
        if kind is NAMESPACE:
            self.namespace(document)
        elif kind is NETWORK_POLICY:
            self.policy(document)
        else:
            part = INVENTORY[kind]
            self.members[part.member] += part.parse(document.object)

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
            twice = f"NetworkPolicy {'/'.join(key)} is there twice, also at {self.places[key]}"
            self.problem(document, "metadata.name", twice)
        if parsed.policy is not None and all(key):
            self.policies[key] = parsed.policy
            self.places[key] = _place(document, "metadata.namespace")

    def problem(self, document: Document, path: str, message: str) -> None:
        self.problems.append(f"{_place(document, path)}: {message}")

    def state(self) -> ManifestState:
        for (namespace, name), place in self.places.items():
            if namespace not in self.namespaces:
                why = f"is in namespace {namespace}, for which there is no Namespace object"
                self.problems.append(f"{place}: NetworkPolicy {name} {why}")
        is_assumed = self.kinds.isdisjoint((MUTATING, VALIDATING))
        members = {**self.members, "namespaces": self.namespaces.values()}
        unread = (_NO_CONFIGURATIONS,) if is_assumed else ()
        facts = facts_from(members, default_assumed=is_assumed, unread=unread)
        ordered = (policy for _, policy in sorted(self.policies.items()))
        return ManifestState(facts, by_namespace(self.namespaces, ordered), tuple(self.problems))


def read_state(documents: Iterable[Document]) -> ManifestState:
    """Return what ``documents`` say together; kinds that decide nothing are skipped. Never raises."""
    reader = _Reader()
    for document in documents:
        try:
            reader.take(document)
        except UnusableObject as error:
            reader.problem(document, error.path.partition(": ")[2], str(error))
    return reader.state()


def _place(document: Document, path: str) -> str:
    line, column = document.place(path)
    return f"{document.origin}:{line}:{column}"
