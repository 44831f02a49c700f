"""The judge over ``app.engine``: cases as states, and what of them is rejected."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from app.admission.ledger.harmless import blanket, is_harmless, stateless_flows
from app.admission.ledger.worst_case import Case, Namespaces, Side
from app.engine.baselines import missing_baselines, recognise
from app.engine.budget import Budget, Unlimited
from app.engine.cluster import MANAGED, Cluster
from app.engine.judge import Judge, State, Verdict, Wanted
from app.engine.policy import Namespace, Policy
from app.engine.regions import NamespaceTable
from app.engine.required_flows import FlowId, Options, RequiredFlow, managed_flows, required_flows
from app.model.snapshot import Labels, Policies

_MOST_TABLES = 8
_MOST_FLOWS = 256
Flows: TypeAlias = "tuple[RequiredFlow, ...]"
_DEFAULTS = Options()


class Tables:
    """The tables of namespaces, by identity: they are the same object while nothing changes."""

    def __init__(self) -> None:
        # The namespaces are held, so that their identity cannot be another's.
        self._known: dict[int, tuple[Namespaces, NamespaceTable]] = {}

    def __reduce__(self) -> tuple[type[Tables], tuple[()]]:
        """Be sent to another process without what is remembered."""
        return Tables, ()

    def of(self, namespaces: Namespaces) -> NamespaceTable:
        """Return the table of ``namespaces``."""
        found = self._known.get(id(namespaces))
        if found is None:
            if len(self._known) >= _MOST_TABLES:
                self._known.clear()
            table = NamespaceTable({name: Namespace(name, labels) for name, labels in namespaces.items()})
            found = self._known[id(namespaces)] = (namespaces, table)
        return found[1]


def loss_in(
    case: Case[Policy], known: tuple[Flows, Tables], options: Options, budget: Budget
) -> Verdict | None:
    """Return what is open before and rejected for being lost after, None for nothing.

    ``known`` are the flows that are required in ``case``, and the tables that were made. Raises
    ``TooComplexError``.
    """
    flows, tables = known
    judge = Judge(options, budget)
    for side in case.after:
        after = _state(side, case.namespace, tables)
        if case.before is None:
            verdict = judge.audit(after, flows)
        else:
            before = _state(case.before, case.namespace, tables)
            verdict = judge.compare(before, after, flows, wanted=Wanted.NEW)
        if verdict.rejected:
            return verdict
    return None


def _state(side: Side[Policy], namespace: str, tables: Tables) -> State:
    policies = (*side.policies, blanket(namespace)) if side.blanket else side.policies
    return State(policies, tables.of(side.namespaces))


class EngineJudge:
    """Judges by the engine. Policies come as they stand, without ``terminating``.

    ``facts`` gives sources, webhooks, API servers and what the network plugin does as they are known now,
    ``budget`` that of the review under way. Every question raises ``TooComplexError``.
    """

    def __init__(
        self,
        facts: Callable[[], Cluster],
        options: Options = _DEFAULTS,
        budget: Callable[[], Budget] = Unlimited,
    ) -> None:
        """Nothing is remembered yet."""
        self._facts = facts
        self._options = options
        self._budget = budget
        self._tables = Tables()
        # By identity: facts are the same object while nothing changes. The object is held.
        self._known: dict[tuple[int, int, str], tuple[object, Flows]] = {}

    def is_managed(self, labels: Labels) -> bool:
        """Tell whether flows of a namespace with these labels are required."""
        return MANAGED.matches(labels)

    async def is_harmless(self, namespace: str, old: Policy | None, new: Policy | None) -> bool:
        """Tell whether a change takes nothing away, whatever else there is."""
        return self.harmless_within(namespace, (old, new), self._budget())

    def harmless_within(
        self, namespace: str, versions: tuple[Policy | None, Policy | None], budget: Budget
    ) -> bool:
        """Tell whether a change takes nothing away, whatever else there is, within ``budget``."""
        old, new = versions
        if old == new:
            return True
        facts = self._facts()
        key = (id(facts), 0, namespace)
        flows = self._remembered(key, facts, lambda: stateless_flows(facts, namespace, self._options))
        return is_harmless((old, new), flows, self._options.known_by(facts), budget)

    async def loss(self, case: Case[Policy]) -> Verdict | None:
        """Return what is open before and rejected for being lost after, None for nothing."""
        return self.question(case)(self._budget())

    def question(self, case: Case[Policy]) -> Callable[[Budget], Verdict | None]:
        """Return the question for the loss in ``case``, a value that any process can answer."""
        options = self._options.known_by(self._facts())
        return partial(loss_in, case, (self._flows(case), self._tables), options)

    def is_pair(self, namespace: str, policies: Policies[Policy]) -> bool:
        """Tell whether both baselines stand."""
        standing = [stored.value for stored in policies.values() if not stored.terminating]
        return not missing_baselines(standing, self._facts(), namespace)

    def assumed(self, namespace: str, policies: Policies[Policy], new: Policy) -> tuple[Policy, ...]:
        """Return what is to be assumed beside ``new``, if that is a baseline: those that are missing."""
        if recognise(new, self._facts()) is None:
            return ()
        standing = (*(stored.value for stored in policies.values() if not stored.terminating), new)
        return missing_baselines(standing, self._facts(), namespace)

    def _flows(self, case: Case[Policy]) -> Flows:
        """Return the flows whose loss may be rejected, to the peers of the case."""
        after, facts = case.after[0].namespaces, self._facts()
        if case.is_of_labels:
            return _rejecting(managed_flows(case.namespace, case.peers))
        cluster = replace(facts, namespaces=self._tables.of(after).namespaces)
        return self._remembered(
            (id(facts), id(case.peers), case.namespace),
            (facts, case.peers),
            lambda: _rejecting(required_flows(cluster, case.namespace, self._options, case.peers)),
        )

    def _remembered(self, key: tuple[int, int, str], held: object, make: Callable[[], Flows]) -> Flows:
        """Return flows that are made once for the same objects, which are held so that they stay the same."""
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MOST_FLOWS:
                self._known.clear()
            found = self._known[key] = (held, make())
        return found[1]


def _rejecting(flows: Iterable[RequiredFlow]) -> Flows:
    return tuple(flow for flow in flows if flow.id is not FlowId.PLATFORM_EGRESS and not flow.is_future)
