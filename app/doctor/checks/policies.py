"""Single policies of a namespace: those that everything hangs on, and those that do nothing."""

from __future__ import annotations

from collections.abc import Iterator

from app.doctor import consequences
from app.doctor.context import Context
from app.doctor.findings import Check, Finding
from app.doctor.repairs import Repair
from app.doctor.verdicts import NamespaceVerdict
from app.engine.baselines import MANAGED_NAME, OPERATOR_NAME, BaselineKind
from app.engine.policy import Policy
from app.engine.required_flows import FlowId
from app.engine.words import flow_words, listed

_POD_FLOWS = (FlowId.MANAGED_INGRESS, FlowId.MANAGED_EGRESS)


def kind_by_name(policy: Policy) -> BaselineKind | None:
    """Return which baseline a policy is called like, whatever it says."""
    if policy.name == MANAGED_NAME:
        return BaselineKind.MANAGED
    return BaselineKind.OPERATOR if policy.name.startswith(OPERATOR_NAME) else None


def hanging_on_one(context: Context, verdict: NamespaceVerdict) -> Iterator[Finding]:
    """Yield the flows that one policy alone keeps open, which is no baseline."""
    lost = {loss.flow.id for loss in verdict.losses}
    for flow in verdict.flows:
        if flow.id not in _POD_FLOWS or flow.is_future or flow.id in lost:
            continue
        if not any(policy.isolates(flow.region.direction) for policy in verdict.policies):
            continue
        each = _each_beside_others(verdict)
        carriers = (policy.name for policy, others in each if context.verdicts.losses(others, (flow,)))
        carrier = next(carriers, None)
        if carrier is not None:
            yield Finding(
                Check.SINGLE_POLICY,
                f"{carrier} alone keeps open what must not be cut: {flow_words(flow)}",
                verdict.namespace,
                evidence=(f"without {carrier} the flow {flow.id.value} is lost",),
                consequence=consequences.of_flow(flow.id),
            )


def without_effect(context: Context, verdict: NamespaceVerdict) -> Iterator[Finding]:
    """Yield the policies that isolate pods without need: others do, and allow all that they allow."""
    for policy, others in _each_beside_others(verdict):
        if policy.name in verdict.baselines or kind_by_name(policy) is not None or policy.terminating:
            continue
        if policy.types and others and context.verdicts.is_without_effect(policy, others):
            yield Finding(
                Check.ISOLATES_WITHOUT_NEED,
                f"{policy.name} of {verdict.namespace} isolates pods that others isolate already, and allows"
                " nothing new",
                verdict.namespace,
                evidence=(f"its rules are contained in those of {listed(other.name for other in others)}",),
                consequence="none; whoever wrote it may believe that it restricts something",
                repair=Repair(
                    "delete it if nobody needs it",
                    f"kubectl delete networkpolicy {policy.name} -n {verdict.namespace}",
                ),
            )


def _each_beside_others(verdict: NamespaceVerdict) -> Iterator[tuple[Policy, tuple[Policy, ...]]]:
    for policy in verdict.policies:
        yield policy, tuple(other for other in verdict.policies if other is not policy)
