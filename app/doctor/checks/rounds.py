"""The rounds of probes by which the guard measures where the API server calls from: made, and what they show.

A measured source expires by complete rounds alone (``app.model.rounds``): told before, and afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from app.doctor import repairs
from app.doctor.context import Context
from app.doctor.findings import Check, Finding, FindingSeverity
from app.doctor.repairs import Repair
from app.engine.cluster import Provenance
from app.model.kinds import CONFIG_MAP
from app.model.measured_sources import EXPIRES_OVER, ROUNDS_TO_EXPIRE, Remembered
from app.model.sources_config_map import stamp
from app.names import NAME, SETTINGS_CONFIG_MAP, SOURCES_CONFIG_MAP

_OVERDUE_AFTER = timedelta(days=3)
_EVIDENCE = f"ConfigMap {NAME}/{SOURCES_CONFIG_MAP}"
_DECLARE = Repair(
    "if it is a member that only rests, declare all sources (apiServer.sources)",
    f"kubectl edit configmap {SETTINGS_CONFIG_MAP} -n {NAME}",
)


def examine_rounds(context: Context) -> Iterator[Finding]:
    """Yield which measured sources expire or expired, and that no round shows it any more."""
    if any(source.provenance is Provenance.DECLARED for source in context.verdicts.cluster.sources):
        return  # what is declared overrides what is measured
    required = {(source.addresses, source.pods) for source in context.verdicts.cluster.sources}
    for known in context.survey.memory.measured:
        if known.is_expired and (known.source.addresses, known.source.pods) not in required:
            yield _expired(known)
        elif known.unseen and not known.is_expired:
            yield _unseen(known)
    if context.can_tell(CONFIG_MAP.resource) and _is_running(context):
        yield from _overdue(context)


def _unseen(known: Remembered) -> Finding:
    return Finding(
        Check.API_SERVER_SOURCE_UNSEEN,
        f"{known.place}, a measured source, was {known.evidence}",
        evidence=(_EVIDENCE, f"last seen {stamp(known.last_seen)}", f"known by {known.source.origin}"),
        consequence=f"after {ROUNDS_TO_EXPIRE} such rounds over at least {EXPIRES_OVER.days} days, and where"
        " nothing else lists it, policies need not let it in any more",
        repair=_DECLARE,
    )


def _expired(known: Remembered) -> Finding:
    return Finding(
        Check.API_SERVER_SOURCE_EXPIRED,
        f"{known.place}, a measured source, is not required any more: it was {known.evidence}",
        evidence=(_EVIDENCE, f"last seen {stamp(known.last_seen)}", f"known by {known.source.origin}"),
        consequence="policies may stop letting it in without a word; a round that sees it requires it again",
        repair=_DECLARE,
    )


def _is_running(context: Context) -> bool:
    return any(
        (each.namespace, each.name) == context.product.service and each.ready
        for each in context.survey.deployments
    )


def _overdue(context: Context) -> Iterator[Finding]:
    rounds = context.survey.memory.rounds
    if rounds.completed is not None:
        last = f"the last complete round of probes was at {stamp(rounds.completed)}"
        if context.survey.moment - rounds.completed <= _OVERDUE_AFTER:
            context.say_fine(f"{last}, {len(context.survey.memory.measured)} source(s) are known by probes")
            return
    else:
        last = "there was no complete round of probes yet"
    yield Finding(
        Check.API_SERVER_NOT_MEASURED,
        f"the guard does not measure where the API server calls from: {last}",
        evidence=rounds.gaps or (f"{_EVIDENCE} says no more; why is in the guard's log",),
        consequence="a new member of the control plane stays unknown, and one that retired stays required",
        repair=Repair(
            "look into the guard's log; with manifests of an older version, install it again",
            repairs.GUARD_AGAIN.command,
        ),
        own_severity=FindingSeverity.NOTE if rounds.completed is None else None,
    )
