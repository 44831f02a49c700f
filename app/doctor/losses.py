"""Required flows that are lost, as findings: symptoms of a cause, or by themselves where none is known."""

from __future__ import annotations

from collections.abc import Iterable

from app.doctor import consequences
from app.doctor.findings import Area, Check, Finding, Severity
from app.engine.explain import loss_lines, main_losses
from app.engine.judge import Certainty, Loss
from app.engine.policy import Policy
from app.engine.requirements import FlowId
from app.engine.requirements import Severity as Weight
from app.engine.words import flow_words


def severity_of(losses: Iterable[Loss]) -> Severity:
    """Return how grave the gravest loss is: what the guard would reject is an error."""
    grave = any(one.severity is Weight.REJECT and one.certainty is Certainty.CUT for one in losses)
    return Severity.ERROR if grave else Severity.WARNING


def loss_findings(losses: Iterable[Loss], policies: tuple[Policy, ...]) -> tuple[Finding, ...]:
    """Return one finding per kind of flow that is lost, and per webhook."""
    return tuple(_finding(one, policies) for one in main_losses(losses))


def _finding(loss: Loss, policies: tuple[Policy, ...]) -> Finding:
    flow = loss.flow
    check, title = _nature(loss)
    _, *details = loss_lines(loss, policies)
    evidence = tuple(" ".join(one.split()) for one in details if not one.strip().startswith("then:"))
    return Finding(
        check,
        severity_of((loss,)),
        Area.WEBHOOKS if flow.id is FlowId.WEBHOOK_INGRESS else Area.NAMESPACES,
        f"namespace {flow.namespace}",
        title,
        flow.namespace,
        evidence,
        consequences.of_flow(flow.id),
    )


def _nature(loss: Loss) -> tuple[Check, str]:
    words = f"the policies cut {flow_words(loss.flow)}"
    if loss.certainty is Certainty.IP_BLOCK_ONLY:
        return Check.IP_BLOCK_ONLY, (
            f"only an ipBlock saves it, which not every network plugin applies to pods: {words}"
        )
    if loss.flow.is_future:
        return Check.FUTURE_NAMESPACES_CUT, (
            f"for managed namespaces still to come, as today's are listed by name: {words}"
        )
    if loss.flow.id is FlowId.WEBHOOK_INGRESS:
        return Check.WEBHOOK_CUT_OFF, words
    return Check.FLOW_LOST, words
