"""The policies and namespaces that manifests give, each with the document that it stands in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from app.engine.cluster import MANAGED_LABEL, MANAGED_VALUE, Cluster
from app.engine.policy import Namespace, Policy
from app.lint.findings import Level, LintFinding, LintRule
from app.wire.errors import FieldError
from app.wire.networkpolicy.parse import Validation, parse_policy
from app.wire.objects.namespaces import parse_namespace
from app.wire.text.documents import Document

_GROUPS = frozenset({"networking.k8s.io", "extensions"})
"""Where NetworkPolicies are and were; plugins have kinds of the same name in groups of their own."""


@dataclass(frozen=True, slots=True)
class GivenPolicy:
    """A policy, and the document that it was read from."""

    policy: Policy
    document: Document


@dataclass(frozen=True, slots=True)
class GivenObjects:
    """What manifests say: valid policies by namespace, namespaces, and what is wrong in the rest."""

    policies: Mapping[str, tuple[GivenPolicy, ...]] = field(default_factory=dict)
    namespaces: Mapping[str, Namespace] = field(default_factory=dict)
    namespace_documents: Mapping[str, Document] = field(default_factory=dict)
    findings: tuple[LintFinding, ...] = ()
    read: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)

    def applied_to(self, cluster: Cluster, mentioned: Iterable[str] = ()) -> Cluster:
        """Return ``cluster`` with what is given in it.

        A namespace of the policies, or among ``mentioned``, that nobody describes is taken for managed.
        """
        names = (*self.policies, *mentioned)
        assumed = {name: Namespace.of(name, {MANAGED_LABEL: MANAGED_VALUE}) for name in names}
        policies = dict(cluster.policies)
        for name, given in self.policies.items():
            replaced = {member.policy.name for member in given}
            standing = (policy for policy in policies.get(name, ()) if policy.name not in replaced)
            policies[name] = (*standing, *(member.policy for member in given))
        namespaces = {**assumed, **cluster.namespaces, **self.namespaces}
        return replace(cluster, namespaces=namespaces, policies=policies)


def read_given(documents: Iterable[Document], namespace: str) -> GivenObjects:
    """Return what ``documents`` give; ``namespace`` is that of policies that name none."""
    reader = _Reader(namespace)
    for document in documents:
        reader.take(document)
    return reader.given()


class _Reader:
    """Collects document by document."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._policies: dict[tuple[str, str], GivenPolicy] = {}
        self._namespaces: dict[str, Namespace] = {}
        self._namespace_documents: dict[str, Document] = {}
        self._findings: list[LintFinding] = []
        self._read = 0
        self._skipped: Counter[str] = Counter()

    def take(self, document: Document) -> None:
        """Take one document in; other kinds are only counted."""
        group, slash, _ = document.api_version.partition("/")
        if document.kind == "NetworkPolicy" and (not slash or group in _GROUPS):
            self._policy(document)
        elif document.kind == "Namespace" and not slash:
            self._namespace_object(document)
        else:
            self._skipped[document.kind or "objects without kind"] += 1

    def given(self) -> GivenObjects:
        """Return what was taken in."""
        grouped: dict[str, list[GivenPolicy]] = {}
        for (namespace, _), given in self._policies.items():
            grouped.setdefault(namespace, []).append(given)
        policies = {name: tuple(found) for name, found in grouped.items()}
        findings, skipped = tuple(self._findings), dict(sorted(self._skipped.items()))
        return GivenObjects(
            policies, self._namespaces, self._namespace_documents, findings, self._read, skipped
        )

    def _namespace_object(self, document: Document) -> None:
        parsed = parse_namespace(document.object)
        self._findings += _said(Level.ERROR, LintRule.INVALID, document, parsed.errors)
        self._namespaces[parsed.namespace.name] = parsed.namespace
        self._namespace_documents[parsed.namespace.name] = document

    def _policy(self, document: Document) -> None:
        self._read += 1
        parsed = parse_policy(document.object, validation=Validation.NEW, namespace=self._namespace)
        self._findings += _said(Level.ERROR, LintRule.INVALID, document, parsed.errors)
        self._findings += _said(Level.WARNING, LintRule.UNKNOWN_FIELD, document, parsed.unknown_fields)
        if parsed.policy is None or parsed.errors:
            return
        policy = parsed.policy
        if not policy.name:  # generateName makes a new one each time; no name has a star
            policy = replace(policy, name=f"{parsed.metadata.generate_name}*{self._read}")
        key = (policy.namespace, policy.name)
        earlier = self._policies.pop(key, None)
        if earlier is not None:
            self._findings.append(_duplicate(earlier.document, document, "/".join(key)))
        self._policies[key] = GivenPolicy(policy, document)


def _said(
    level: Level, rule: LintRule, document: Document, errors: Iterable[FieldError]
) -> Iterator[LintFinding]:
    for error in errors:
        yield LintFinding(level, rule, document, error.path, str(error))


def _duplicate(earlier: Document, later: Document, name: str) -> LintFinding:
    path = "metadata.name"
    line, _ = later.place(path)
    message = f"NetworkPolicy {name} is given again at {later.origin}:{line}; only that one would count"
    return LintFinding(Level.WARNING, LintRule.DUPLICATE, earlier, path, message)
