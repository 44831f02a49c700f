"""Required flows that are lost, as findings: symptoms of a cause, or by themselves where none is known."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import Enum

from app.doctor import consequences
from app.doctor.context import Context
from app.doctor.findings import Area, Check, Finding, FindingSeverity
from app.engine.judge import Certainty, Loss
from app.engine.policy import Policy
from app.engine.required_flows import FlowId, Severity
from app.engine.sentences import loss_lines, main_losses
from app.engine.words import flow_words
from app.wire.objects.services import ServiceKey


class Condition(Enum):
    """How a flow stands, worst last: all of it passes, it hangs by an ``ipBlock``, or some is lost."""

    NONE = "not needed"
    OPEN = "open"
    AT_RISK = "at risk"
    UNKNOWN = "not known"
    LOST = "lost"

    @property
    def rank(self) -> int:
        """The place in the order of gravity, the worst last."""
        return list(Condition).index(self)

    @property
    def tone(self) -> str:
        """The class of style that a page shows it in."""
        return _TONES[self]


_TONES = {
    Condition.NONE: "none",
    Condition.OPEN: "fine",
    Condition.AT_RISK: "warning",
    Condition.UNKNOWN: "unchecked",
    Condition.LOST: "error",
}


def severity_of(losses: Iterable[Loss]) -> FindingSeverity:
    """Return how grave the gravest loss is: what the guard would reject is an error."""
    grave = any(loss.severity is Severity.REJECT and loss.certainty is Certainty.CUT for loss in losses)
    return FindingSeverity.ERROR if grave else FindingSeverity.WARNING


def condition_of(losses: Collection[Loss]) -> Condition:
    """Return how a flow stands that loses this."""
    if not losses:
        return Condition.OPEN
    return Condition.LOST if severity_of(losses) is FindingSeverity.ERROR else Condition.AT_RISK


def webhook_of(loss: Loss) -> ServiceKey | None:
    """Return the Service of the webhook that is cut off, None where a loss is not about one."""
    webhook = loss.flow.webhook
    return None if webhook is None else (webhook.namespace, webhook.name)


def silence_of(context: Context, losses: Iterable[Loss]) -> str:
    """Return what is noticed when the webhooks that ``losses`` cut off are silent."""
    cut_off = set(map(webhook_of, losses))
    known = context.survey.registrations
    return consequences.of_silence(
        registration
        for registration in known
        if (registration.client.namespace, registration.client.service) in cut_off
    )


def loss_findings(losses: Iterable[Loss], policies: tuple[Policy, ...]) -> tuple[Finding, ...]:
    """Return one finding per kind of flow that is lost, and per webhook."""
    return tuple(_finding(loss, policies) for loss in main_losses(losses))


def _finding(loss: Loss, policies: tuple[Policy, ...]) -> Finding:
    flow = loss.flow
    check, title = _nature(loss)
    _, *details = loss_lines(loss, policies)
    return Finding(
        check,
        title,
        flow.namespace,
        evidence=tuple(" ".join(line.split()) for line in details if not line.strip().startswith("then:")),
        consequence=consequences.of_flow(flow.id),
        own_severity=severity_of((loss,)),
        own_area=Area.WEBHOOKS if flow.id is FlowId.WEBHOOK_INGRESS else None,
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
