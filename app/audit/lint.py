"""What is wrong with a set of manifests: invalid fields, and required flows that they would cut.

By default the manifests are the whole policy set of their namespaces; with a base state they are a change to
it. Everything comes back as findings with a place in a file, for whatever format shows them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING

from app.engine.baselines import missing_baselines
from app.engine.cluster import MANAGED_LABEL, MANAGED_VALUE, Cluster
from app.engine.explain import loss_lines, main_losses
from app.engine.fix import Broken, Fix, find_fix
from app.engine.judge import Judge, State
from app.engine.policy import Namespace, Policy
from app.engine.regions import NamespaceTable
from app.engine.requirements import Options, guarded_namespaces, required_flows
from app.engine.search import TooComplexError
from app.wire.namespaces import parse_namespace
from app.wire.networkpolicy import DEFAULT_NAMESPACE, Validation, parse_policy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from app.engine.judge import Loss, Verdict
    from app.engine.requirements import RequiredFlow
    from app.engine.search import Budget
    from app.wire.manifests import Document


class Level(Enum):
    """How grave a finding is."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: where (file, line and column from 1), what, and how to mend it."""

    level: Level
    rule: str
    origin: str
    line: int
    column: int
    message: str
    details: tuple[str, ...] = ()
    fix: Fix | None = None


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is taken for given about the cluster that the manifests go to.

    ``base`` is the state that they change; None where they are the whole policy set of their namespaces.
    """

    base: Cluster | None = None
    cluster: Cluster = field(default_factory=Cluster)
    baselines: bool = False
    namespace: str = DEFAULT_NAMESPACE


@dataclass(frozen=True, slots=True)
class _Read:
    """A policy with the document that it stands in."""

    policy: Policy
    document: Document


def lint(
    documents: Iterable[Document], assumptions: Assumptions, options: Options, budget: Budget
) -> tuple[Finding, ...]:
    """Return the findings for ``documents``; other kinds than NetworkPolicy and Namespace are skipped."""
    known = tuple(documents)
    findings: list[Finding] = []
    read: list[_Read] = []
    for document in known:
        if document.kind == "NetworkPolicy":
            policy, found = _policy(document, assumptions.namespace)
            findings += found
            if policy is not None:
                read.append(_Read(policy, document))
    cluster = _cluster(known, read, assumptions)
    for namespace in sorted({one.policy.namespace for one in read}):
        findings += _Namespace(namespace, read, cluster, assumptions).findings(options, budget)
    return tuple(sorted(findings, key=lambda one: (one.origin, one.line, one.column)))


def _policy(document: Document, namespace: str) -> tuple[Policy | None, list[Finding]]:
    parsed = parse_policy(document.object, validation=Validation.NEW, namespace=namespace)
    errors = [_finding(Level.ERROR, "invalid", document, (one.path, str(one))) for one in parsed.errors]
    unknown = [
        _finding(Level.WARNING, "unknown-field", document, (one.path, str(one)))
        for one in parsed.unknown_fields
    ]
    return (None if errors else parsed.policy), [*errors, *unknown]


def _finding(level: Level, rule: str, document: Document, said: tuple[str, str]) -> Finding:
    path, message = said
    line, column = document.place(path)
    return Finding(level, rule, document.origin, line, column, message)


def _cluster(documents: Sequence[Document], read: Sequence[_Read], assumptions: Assumptions) -> Cluster:
    """Return the cluster to judge in; namespaces that nobody describes are taken for managed."""
    base = assumptions.base or assumptions.cluster
    namespaces = dict(base.namespaces)
    for document in documents:
        if document.kind == "Namespace":
            found = parse_namespace(document.object).namespace
            namespaces[found.name] = found
    for one in read:
        name = one.policy.namespace
        namespaces.setdefault(name, Namespace.of(name, {MANAGED_LABEL: MANAGED_VALUE}))
    return replace(base, namespaces=namespaces)


class _Namespace:
    """The judgement of one namespace of the manifests."""

    def __init__(self, name: str, read: Sequence[_Read], cluster: Cluster, assumptions: Assumptions) -> None:
        self._name = name
        self._cluster = cluster
        self._documents = {one.policy.name: one.document for one in read if one.policy.namespace == name}
        given = {one.policy.name: one.policy for one in read if one.policy.namespace == name}
        standing = () if assumptions.base is None else assumptions.base.policies.get(name, ())
        table = NamespaceTable(cluster.namespaces)
        after = (*(one for one in standing if one.name not in given), *given.values())
        if assumptions.baselines:
            after = (*after, *missing_baselines(after, cluster, name))
        self._before = State(standing, table)
        self._after = State(after, table)
        self._is_whole_set = assumptions.base is None

    def findings(self, options: Options, budget: Budget) -> list[Finding]:
        """Return the required flows that the manifests cut, or that the search ran out of time."""
        guarded = guarded_namespaces(self._cluster)
        if self._name not in guarded:
            return []
        flows = required_flows(self._cluster, self._name, options, guarded)
        judge = Judge(options, budget)
        try:
            verdict = judge.compare(self._before, self._after, flows)
            return self._by_policy(verdict, flows, judge)
        except TooComplexError:
            document = next(iter(self._documents.values()))
            return [_finding(Level.ERROR, "too-complex", document, ("spec", "too complex to verify"))]

    def _by_policy(self, verdict: Verdict, flows: Sequence[RequiredFlow], judge: Judge) -> list[Finding]:
        """Return one finding for each lost flow, at the policy that isolates, with that policy's fix."""
        grouped: Mapping[str, list[Loss]] = defaultdict(list)
        for loss in (*verdict.rejected, *verdict.warned):
            blamed = next((one.name for one in loss.isolating if one.name in self._documents), None)
            grouped[blamed or next(iter(self._documents))].append(loss)
        found = []
        for name, losses in grouped.items():
            fix = self._fix(name, tuple(losses), flows, judge)
            found += [self._loss(name, loss, fix) for loss in main_losses(losses)]
        return found

    def _fix(
        self, name: str, losses: tuple[Loss, ...], flows: Sequence[RequiredFlow], judge: Judge
    ) -> Fix | None:
        policy = next(one for one in self._after.policies if one.name == name)
        others = tuple(one for one in self._after.policies if one is not policy)
        return find_fix(Broken(policy, others, self._before, self._cluster, flows, losses), judge)

    def _loss(self, name: str, loss: Loss, fix: Fix | None) -> Finding:
        document = self._documents[name]
        first, *details = loss_lines(loss, self._after.policies)
        if self._is_whole_set:
            details.append(
                "  note:    judged as the only policies of their namespace; --assume-baselines adds the "
                "baselines"
            )
        line, column = document.place(f"spec.{loss.flow.region.direction.field}")
        level = Level.ERROR if loss.severity.value == "reject" else Level.WARNING
        return Finding(level, loss.flow.id.value, document.origin, line, column, first, tuple(details), fix)
