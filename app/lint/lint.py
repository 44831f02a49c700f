"""What is wrong with a set of manifests: invalid fields, and required flows that they would cut.

By default the manifests are the whole policy set of their namespaces; with a base state they are a change to
it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from app.engine.baselines import documented_webhook, missing_baselines
from app.engine.budget import Budget, TooComplexError
from app.engine.cluster import Cluster
from app.engine.fix import Fix
from app.engine.judge import Judge, Loss, State
from app.engine.policy import Policy
from app.engine.regions import NamespaceTable
from app.engine.required_flows import FlowId, Options, Severity, guarded_namespaces, required_flows
from app.engine.sentences import loss_lines, main_losses
from app.lint.blame import Charge, Charges, NamespaceChange, charges, fixes
from app.lint.findings import Level, LintFinding, LintReport, LintRule
from app.lint.given import GivenObjects, read_given
from app.lint.overlap import Neighbours
from app.wire.networkpolicy.parse import DEFAULT_NAMESPACE
from app.wire.text.documents import Document

_COMPARED = 100


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What is taken for given about the cluster that the manifests go to.

    ``base`` is the state that they change; None where they are the whole policy set of their namespaces.
    ``cluster`` then says what else is known, such as the API server's sources.
    """

    base: Cluster | None = None
    cluster: Cluster = field(default_factory=Cluster)
    baselines: bool = False
    namespace: str = DEFAULT_NAMESPACE

    @property
    def known(self) -> Cluster:
        """What is known of the cluster before the manifests."""
        return self.base or self.cluster


@dataclass(frozen=True, slots=True)
class Work:
    """What an admin decided about the requirements, and a budget for the judgement of each namespace."""

    options: Options
    budget: Callable[[], Budget]


def lint(documents: Iterable[Document], assumptions: Assumptions, work: Work) -> LintReport:
    """Return the findings for ``documents``; other kinds than NetworkPolicy and Namespace are counted."""
    known = tuple(documents)
    given = read_given(known, assumptions.namespace)
    change = _Change(given, assumptions)
    findings = list(given.findings)
    for name in change.judged:
        findings += _Namespace(name, change).findings(work)
    findings.sort(key=lambda finding: (finding.origin, finding.place, finding.level is Level.WARNING))
    origins = tuple(dict.fromkeys(document.origin for document in known))
    return LintReport(tuple(findings), origins, given.read, given.skipped, tuple(change.notes()))


class _Change:
    """The manifests as a change: the cluster after it, and which namespaces it can harm."""

    def __init__(self, given: GivenObjects, assumptions: Assumptions) -> None:
        known = assumptions.known
        self.given = given
        self.assumptions = assumptions
        self.cluster = given.applied_to(known)
        if assumptions.base is None:
            webhooks = map(documented_webhook, sorted(guarded_namespaces(self.cluster)))
            self.cluster = replace(self.cluster, webhooks=tuple(webhooks))
        self.guarded = guarded_namespaces(known) | guarded_namespaces(self.cluster)
        self.before = NamespaceTable({**self.cluster.namespaces, **known.namespaces})
        self.after = NamespaceTable(self.cluster.namespaces)
        self.relabelled = tuple(
            name
            for name, namespace in given.namespaces.items()
            if name in known.namespaces and known.namespaces[name].labels != namespace.labels
        )

    @property
    def judged(self) -> tuple[str, ...]:
        """The namespaces to judge: those of the policies; all where labels change that others select by."""
        names = self.guarded if self.relabelled else self.given.policies.keys() & self.guarded
        return tuple(sorted(names))

    def documents(self, namespace: str) -> Mapping[str, Document]:
        """Return the documents of the policies of ``namespace``; under "" that of a changed label."""
        found = {member.policy.name: member.document for member in self.given.policies.get(namespace, ())}
        if self.relabelled:
            found[""] = self.given.namespace_documents[self.relabelled[0]]
        return found

    def notes(self) -> Iterator[str]:
        """Yield what was not judged, or only under an assumption."""
        names, base = self.given.policies.keys(), self.assumptions.base
        if names - self.guarded:
            yield f"not judged, as IOMETE does not manage it: {', '.join(sorted(names - self.guarded))}"
        if base is None and not self.cluster.sources and self.judged:
            yield "webhooks not judged, as the API server's addresses are not known: give --api-server"
        unknown = sorted(names - self.assumptions.known.namespaces.keys() - self.given.namespaces.keys())
        if base is not None and unknown:
            yield f"judged as if managed, as there is no such namespace yet: {', '.join(unknown)}"


class _Namespace:
    """The judgement of one namespace."""

    def __init__(self, name: str, change: _Change) -> None:
        self._name = name
        self._change = change
        self._documents = change.documents(name)
        assumptions = change.assumptions
        after = change.cluster.policies.get(name, ())
        self._before = State(assumptions.known.policies.get(name, ()), change.before)
        self._bare = State(after, change.after)
        self._beside_baselines = State(self._with_baselines(after), change.after)
        self._is_whole_set = assumptions.base is None and not assumptions.baselines

    def _with_baselines(self, policies: tuple[Policy, ...]) -> tuple[Policy, ...]:
        """Return ``policies`` and the missing baselines, unless a policy stands in their place by name."""
        taken = {policy.name for policy in policies}
        missing = missing_baselines(policies, self._change.cluster, self._name)
        return (*policies, *(policy for policy in missing if policy.name not in taken))

    def findings(self, work: Work) -> Iterator[LintFinding]:
        """Yield the required flows that the change cuts, or that it was too much work to tell."""
        judge = Judge(work.options.known_by(self._change.cluster), work.budget())
        with_baselines = self._change.assumptions.baselines
        case = self._case(self._beside_baselines if with_baselines else self._bare, work.options)
        try:
            charged = charges(case, judge)
        except TooComplexError:
            yield self._too_complex(f"the policies of {self._name} are too complex to verify")
            return
        if charged.unfinished:
            why = "more policies may be to blame for the lost flows: too complex to verify"
            yield self._too_complex(f"namespace {self._name}: {why}")
        mended = fixes(case, charged, judge)
        assumed = self._assumed(charged, work, judge) if self._is_whole_set else frozenset()
        for name, losses in charged.by_policy.items():
            for loss in main_losses(losses):
                finding = self._finding(name, loss, mended.get(name))
                yield replace(finding, is_assumed=(name, loss.flow.id) in assumed)

    def _too_complex(self, message: str) -> LintFinding:
        document = next(iter(self._documents.values()))
        return LintFinding(Level.ERROR, LintRule.TOO_COMPLEX, document, "spec", message)

    def _case(self, after: State, options: Options) -> NamespaceChange:
        flows = required_flows(self._change.cluster, self._name, options, self._change.guarded)
        suspects = tuple(name for name in self._documents if name)
        neighbours = Neighbours(self._before.policies), Neighbours(after.policies)
        return NamespaceChange(self._change.cluster, self._before, after, flows, suspects, neighbours)

    def _assumed(self, charged: Charges, work: Work, judge: Judge) -> frozenset[tuple[str, FlowId]]:
        """Return what is only so because the files are taken for all policies of the namespace."""
        try:
            real = charges(self._case(self._beside_baselines, work.options), judge)
        except TooComplexError:
            return frozenset()
        return frozenset(map(_key, charged.found)) - frozenset(map(_key, real.found))

    def _finding(self, name: str, loss: Loss, fix: Fix | None) -> LintFinding:
        first, *details = loss_lines(loss, self._comparable(loss))
        if not name:
            details.append("  note:    the labels in the file are taken for all that the namespace will have")
        level = Level.ERROR if loss.severity is Severity.REJECT else Level.WARNING
        path = f"spec.{loss.flow.region.direction.field}" if name else "metadata.labels"
        rule = LintRule(loss.flow.id.value)
        message = first.removeprefix(f"{rule.value}: ")
        return LintFinding(level, rule, self._documents[name], path, message, tuple(details), fix)

    def _comparable(self, loss: Loss) -> tuple[Policy, ...]:
        """Return the policies among which the closest rule is looked for; of very many those that isolate."""
        return self._bare.policies if len(self._bare.policies) <= _COMPARED else loss.isolating


def _key(charge: Charge) -> tuple[str, FlowId]:
    return charge.name, charge.loss.flow.id
