"""What people notice, in IOMETE's words (``docs/design/iomete.md``)."""

from __future__ import annotations

from collections.abc import Iterable

from app.engine.required_flows import FlowId
from app.wire.objects.webhooks import Registration

JOBS_FAIL = (
    "Spark drivers, executors and the control plane lose connections to each other; jobs fail at random"
)
NO_MUTATION = (
    "goes through unmutated: Spark pods come up without their volumes, affinity and tolerations, and nothing"
    " says so"
)
NEXT_POLICY = (
    "nothing is cut today; the first NetworkPolicy that somebody applies here isolates pods, and jobs fail at"
    " random"
)
GUARD_BLIND = (
    "a NetworkPolicy that cuts Spark jobs or the operator's webhook off is admitted, and nobody is told"
)
_LOST = {
    FlowId.WEBHOOK_INGRESS: "the Spark operator's webhook is not reached when pods are created",
    FlowId.MANAGED_INGRESS: JOBS_FAIL,
    FlowId.MANAGED_EGRESS: JOBS_FAIL,
    FlowId.PLATFORM_EGRESS: "names do not resolve, or Spark drivers cannot create executors; jobs hang",
}


def of_flow(flow: FlowId) -> str:
    """Return what is noticed when a required flow is lost."""
    return _LOST[flow]


def of_silence(registrations: Iterable[Registration]) -> str:
    """Return what is noticed when nobody answers for these webhooks."""
    known = tuple(registrations)
    if not known:
        return of_flow(FlowId.WEBHOOK_INGRESS)
    return "; ".join(dict.fromkeys(map(_silence, known)))


def _silence(registration: Registration) -> str:
    what = (
        "pod creation in every managed namespace" if registration.is_called_for_pods else "request it is for"
    )
    if registration.fails_open:
        then = NO_MUTATION if registration.is_called_for_pods else "goes through without it"
        return (
            f"silent, slow failure (failurePolicy: Ignore): every {what} hangs for up to"
            f" {registration.timeout_seconds} s, then {then}"
        )
    if "CustomResourceDefinition/" in registration.client.configuration:
        return "objects of this kind can be neither read nor written in their other versions"
    return f"every {what} is refused (failurePolicy: Fail)"
