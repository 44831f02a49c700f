"""Changes that take nothing away, whatever else there is: those need no ledger, and no state.

``old -> new`` is harmless in every state if, for every point of a required flow, what ``old`` allows ``new``
allows, and what ``new`` isolates it allows, or ``old`` isolated already. Peers are the pods of every
namespace there could be, managed or not: who takes the label from a namespace may not know of the policy yet.
So nothing that is known of namespaces goes in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from app.engine.budget import Budget
from app.engine.cluster import Cluster, Source
from app.engine.judge import Judge, State, Wanted
from app.engine.policy import Direction, Policy
from app.engine.ports import ALL_NUMBERS
from app.engine.regions import FuturePods, NamespaceTable, Outside, PeerRegion, Region
from app.engine.required_flows import FlowId, Options, RequiredFlow, Severity, required_flows
from app.engine.selectors import EVERYTHING

_ANYWHERE = NamespaceTable({})
_DIRECTIONS = ((FlowId.MANAGED_INGRESS, Direction.INGRESS), (FlowId.MANAGED_EGRESS, Direction.EGRESS))


def blanket(namespace: str) -> Policy:
    """Return a policy that isolates every pod of ``namespace`` in both directions and allows nothing."""
    return Policy(namespace, "(changes under way)", EVERYTHING, frozenset(Direction))


def is_harmless(
    versions: tuple[Policy | None, Policy | None],
    flows: tuple[RequiredFlow, ...],
    options: Options,
    budget: Budget,
) -> bool:
    """Tell whether the change between two versions of a policy (None: absent) is harmless in every state.

    ``flows`` are those of ``stateless_flows``. Raises ``TooComplexError``.
    """
    old, new = versions
    judge = Judge(options, budget)
    before, after = _only(old), _only(new)
    # Beside something that isolates everything, what is open is what the policy allows.
    beside = (blanket("" if (old or new) is None else (old or new).namespace),)  # type: ignore[union-attr]
    return not any(
        judge.compare(
            State((*before, *others), _ANYWHERE),
            State((*after, *others), _ANYWHERE),
            flows,
            wanted=Wanted.NEW,
        ).rejected
        for others in ((), beside)
    )


def _only(policy: Policy | None) -> tuple[Policy, ...]:
    return () if policy is None else (policy,)


def stateless_flows(cluster: Cluster, namespace: str, options: Options) -> tuple[RequiredFlow, ...]:
    """Return the flows that may ever be required of ``namespace``, with peers in whatever namespaces."""
    flows = (
        replace(flow, region=_stateless(flow), severity=Severity.REJECT)
        for flow in required_flows(replace(cluster, namespaces={}), namespace, options, frozenset())
        if flow.id is FlowId.WEBHOOK_INGRESS
    )
    return (*flows, *_managed(namespace))


def _stateless(flow: RequiredFlow) -> Region:
    return replace(flow.region, peer=_source_region(flow.source) if flow.source else flow.region.peer)


def _source_region(source: Source) -> PeerRegion:
    if source.pods is None:
        return Outside(source.addresses) if source.addresses is not None else FuturePods(EVERYTHING)
    return FuturePods(source.pods.namespaces, source.pods.pods)


def _managed(namespace: str) -> Iterator[RequiredFlow]:
    for flow, direction in _DIRECTIONS:
        region = Region(direction, EVERYTHING, FuturePods(EVERYTHING), ALL_NUMBERS)
        yield RequiredFlow(flow, namespace, region, Severity.REJECT)
