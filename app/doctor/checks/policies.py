"""Single policies of a namespace: those that everything hangs on, and those that do nothing."""

from __future__ import annotations

from collections.abc import Iterator

from app.doctor import consequences, repairs
from app.doctor.context import Context
from app.doctor.findings import Area, Check, Finding, Severity
from app.doctor.verdicts import Verdict
from app.engine.baselines import MANAGED_NAME, OPERATOR_NAME, BaselineKind
from app.engine.policy import Policy
from app.engine.requirements import FlowId, RequiredFlow
from app.engine.words import flow_words, listed

_POD_FLOWS = (FlowId.MANAGED_INGRESS, FlowId.MANAGED_EGRESS)


def kind_by_name(policy: Policy) -> BaselineKind | None:
    """Return which baseline a policy is called like, whatever it says."""
    if policy.name == MANAGED_NAME:
        return BaselineKind.MANAGED
    return BaselineKind.OPERATOR if policy.name.startswith(OPERATOR_NAME) else None


def hanging_on_one(context: Context, verdict: Verdict) -> Iterator[Finding]:
    """Yield the flows that one policy alone keeps open, which is no baseline."""
    lost = {one.flow.id for one in verdict.losses}
    for flow in verdict.flows:
        if flow.id not in _POD_FLOWS or flow.is_future or flow.id in lost:
            continue
        if not any(one.isolates(flow.region.direction) for one in verdict.policies):
            continue
        carrier = next(
            (one for one in verdict.policies if _is_lost_without(context, verdict, one, flow)), None
        )
        if carrier is not None:
            yield _hangs(verdict, flow, carrier)


def _is_lost_without(context: Context, verdict: Verdict, policy: Policy, flow: RequiredFlow) -> bool:
    others = tuple(one for one in verdict.policies if one is not policy)
    return bool(context.verdicts.losses(others, (flow,)))


def _hangs(verdict: Verdict, flow: RequiredFlow, carrier: Policy) -> Finding:
    return Finding(
        Check.SINGLE_POLICY,
        Severity.WARNING,
        Area.NAMESPACES,
        f"namespace {verdict.namespace}",
        f"{carrier.name} alone keeps open what must not be cut: {flow_words(flow)}",
        verdict.namespace,
        (f"without {carrier.name} the flow {flow.id.value} is lost",),
        consequences.of_flow(flow.id),
    )


def without_effect(context: Context, verdict: Verdict) -> Iterator[Finding]:
    """Yield the policies that isolate pods without need: others do, and allow all that they allow."""
    for policy in verdict.policies:
        if policy.name in verdict.baselines or kind_by_name(policy) is not None or policy.terminating:
            continue
        others = tuple(one for one in verdict.policies if one is not policy)
        if policy.types and others and context.verdicts.is_without_effect(policy, others):
            yield _idle(verdict.namespace, policy, others)


def _idle(namespace: str, policy: Policy, others: tuple[Policy, ...]) -> Finding:
    return Finding(
        Check.ISOLATES_WITHOUT_NEED,
        Severity.NOTE,
        Area.NAMESPACES,
        f"namespace {namespace}",
        f"{policy.name} of {namespace} isolates pods that others isolate already, and allows nothing new",
        namespace,
        (f"its rules are contained in those of {listed(one.name for one in others)}",),
        "none; whoever wrote it may believe that it restricts something",
        repairs.advice(
            "delete it if nobody needs it", f"kubectl delete networkpolicy {policy.name} -n {namespace}"
        ),
    )
