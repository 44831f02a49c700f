"""The judge over ``app.engine``: cases as states, and what of them is rejected."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from app.admission.ledger.harmless import blanket, is_harmless, stateless_flows
from app.engine.baselines import missing_baselines, recognise
from app.engine.budget import Unlimited
from app.engine.cluster import MANAGED
from app.engine.judge import Judge, State, Verdict
from app.engine.policy import Namespace
from app.engine.regions import NamespaceTable
from app.engine.requirements import FlowId, Options, managed_flows, required_flows

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from app.admission.ledger.values import Labels, Policies
    from app.admission.ledger.worst_case import Case, Side
    from app.engine.budget import Budget
    from app.engine.cluster import Cluster
    from app.engine.policy import Policy
    from app.engine.requirements import RequiredFlow


@dataclass(frozen=True, slots=True)
class EngineJudge:
    """Judges by the engine; ``facts`` gives sources, webhooks and API servers as they are known now.

    Policies come as they stand, without ``terminating``. Every question raises ``TooComplexError``.
    """

    facts: Callable[[], Cluster]
    options: Options = Options()  # noqa: RUF009 - frozen
    budget: Budget = Unlimited()  # noqa: RUF009 - without state

    def is_managed(self, labels: Labels) -> bool:
        """Tell whether flows of a namespace with these labels are required."""
        return MANAGED.matches(labels)

    def is_harmless(self, namespace: str, old: Policy | None, new: Policy | None) -> bool:
        """Tell whether a change takes nothing away, whatever else there is."""
        if old == new:
            return True
        flows = stateless_flows(self.facts(), namespace, self.options)
        return is_harmless((old, new), flows, self.options, self.budget)

    def loss(self, case: Case[Policy]) -> Verdict | None:
        """Return what is open before and rejected for being lost after, None for nothing."""
        flows = self._flows(case)
        before_table = None if case.before is None else _table(case.before.namespaces)
        judge = Judge(self.options, self.budget)
        for side in case.after:
            table = before_table
            if table is None or case.before is None or case.before.namespaces is not side.namespaces:
                table = _table(side.namespaces)
            after = State(_policies(side, case.namespace), table)
            if case.before is None or before_table is None:
                verdict = judge.audit(after, flows)
            else:
                before = State(_policies(case.before, case.namespace), before_table)
                verdict = judge.compare(before, after, flows)
            if verdict.rejected:
                return verdict
        return None

    def is_pair(self, namespace: str, policies: Policies[Policy]) -> bool:
        """Tell whether both baselines stand."""
        standing = [one.value for one in policies.values() if not one.terminating]
        return not missing_baselines(standing, self.facts(), namespace)

    def assumed(self, namespace: str, policies: Policies[Policy], new: Policy) -> tuple[Policy, ...]:
        """Return what is to be assumed beside ``new``, if that is a baseline: those that are missing."""
        if recognise(new, self.facts()) is None:
            return ()
        standing = (*(one.value for one in policies.values() if not one.terminating), new)
        return missing_baselines(standing, self.facts(), namespace)

    def _flows(self, case: Case[Policy]) -> tuple[RequiredFlow, ...]:
        """Return the flows whose loss may be rejected, to the peers of the case."""
        after = case.after[0].namespaces
        if len(case.peers) == 1 and case.peers == after.keys():
            flows = managed_flows(case.namespace, case.peers)
        else:
            cluster = replace(self.facts(), namespaces=_namespaces(after))
            flows = iter(required_flows(cluster, case.namespace, self.options, case.peers))
        return tuple(one for one in flows if one.id is not FlowId.PLATFORM_EGRESS and not one.is_future)


def _policies(side: Side[Policy], namespace: str) -> tuple[Policy, ...]:
    return (*side.policies, blanket(namespace)) if side.blanket else side.policies


def _namespaces(labels: Mapping[str, Labels]) -> dict[str, Namespace]:
    return {name: Namespace(name, one) for name, one in labels.items()}


def _table(labels: Mapping[str, Labels]) -> NamespaceTable:
    return NamespaceTable(_namespaces(labels))
