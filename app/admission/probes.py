"""Answers the nonce probe (``app.model.probe``): a dry run that asks where it came from.

A probe is judged like any other dry run, and the answer to it is one warning more: it is no way around the
guard, which a dry run could not be anyway, and whoever probes gets the real verdict with it. What it tells is
the TCP peer alone; headers of proxies are never read for it.
"""

from __future__ import annotations

from app.admission.ports import ClusterState
from app.admission.rules import NAMESPACES, POLICIES, Replica
from app.deadline import Deadline
from app.model.access import question
from app.model.probe import PROBE_ANNOTATION, PROBE_VERB, ProbeRefusal, Refusal, is_nonce, seen
from app.wire.objects.metadata import annotations_of
from app.wire.review.request import Review

_MALFORMED = (
    f"netpol-guard: the annotation {PROBE_ANNOTATION} is ignored: it must be 16 to 64 letters, digits, - or _"
)


def probe_in(review: Review) -> str | None:
    """Return what the probe annotation of a dry run says, None where there is none."""
    if not review.dry_run or review.object is None:
        return None
    if (review.resource.group, review.resource.resource) not in (POLICIES, NAMESPACES):
        return None
    return annotations_of(review.object).get(PROBE_ANNOTATION)


def _resource(review: Review) -> str:
    return ".".join(part for part in (review.resource.resource, review.resource.group) if part)


class Probes:
    """Answers in the name of one replica; asks ``state`` who may know."""

    def __init__(self, state: ClusterState, replica: Replica) -> None:
        self._state = state
        self._replica = replica

    async def warning(self, review: Review, asked: str, peer: str, deadline: Deadline) -> str:
        """Return the warning that answers the probe ``asked``, which came from the TCP peer ``peer``."""
        if not is_nonce(asked):
            return _MALFORMED
        access = await self._state.access(question(review, PROBE_VERB), deadline)
        if access.allowed:
            return str(seen(asked, peer, self._replica.pod, self._replica.node))
        user = review.user.username
        if access.allowed is None:
            kind, what = Refusal.UNDECIDED, f"whether {user} may use verb {PROBE_VERB} could not be found out"
        else:
            where = f"{_resource(review)} in namespace {review.namespace}"
            kind, what = Refusal.FORBIDDEN, f"{user} may not use verb {PROBE_VERB} on {where}"
        return str(ProbeRefusal(asked, kind, f"{what}. {access.reason}".rstrip(" .")))
