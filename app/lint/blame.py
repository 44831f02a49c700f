"""Which policies of a namespace cost which required flows, and what mends each of them.

A policy is at fault where it isolates pods that then lose a flow. One lost flow can have many such policies,
so each is asked by itself, for its own pods: only policies that can select such pods, too, matter then.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from app.engine.budget import TooComplexError
from app.engine.cluster import Cluster
from app.engine.fix import Broken, Fix, find_fix, opened
from app.engine.judge import Age, Judge, Loss, State
from app.engine.points import allowing
from app.engine.policy import Policy
from app.engine.required_flows import RequiredFlow
from app.lint.overlap import Neighbours


@dataclass(frozen=True, slots=True)
class Charge:
    """A policy that costs a flow, with one point of it as witness."""

    name: str
    loss: Loss


@dataclass(frozen=True, slots=True)
class NamespaceChange:
    """One namespace before and after a change, with the flows it must leave open.

    ``suspects`` are the policies that the change brings: others are not to blame for it. ``neighbours`` are
    those of the state before, and those of the state after.
    """

    cluster: Cluster
    before: State
    after: State
    flows: Sequence[RequiredFlow]
    suspects: Collection[str]
    neighbours: tuple[Neighbours, Neighbours]

    def around(self, policy: Policy, now: Mapping[str, Policy]) -> tuple[State, State]:
        """Return both states, with only the policies that can select pods of ``policy``.

        ``now`` are the policies of the state after, by name, some of them mended.
        """
        before, after = (neighbours.of(policy) for neighbours in self.neighbours)
        mended = tuple(now[other.name] for other in after)
        return State(before, self.before.table), State(mended, self.after.table)


@dataclass(frozen=True, slots=True)
class Charges:
    """All that was found; ``unfinished`` are the flows for which there may be more policies to blame."""

    found: tuple[Charge, ...]
    unfinished: tuple[RequiredFlow, ...] = ()

    @property
    def by_policy(self) -> Mapping[str, list[Loss]]:
        """What each policy costs, by its name."""
        losses: dict[str, list[Loss]] = defaultdict(list)
        for charge in self.found:
            losses[charge.name].append(charge.loss)
        return losses


def charges(case: NamespaceChange, judge: Judge) -> Charges:
    """Return every policy that costs a flow, flow by flow.

    Raises ``TooComplexError`` where it cannot even be told which flows are lost.
    """
    verdict = judge.compare(case.before, case.after, case.flows)
    found: list[Charge] = []
    unfinished: list[RequiredFlow] = []
    for loss in verdict.losses:
        if loss.age is Age.OLD:
            continue
        named, is_complete = _of_flow(loss, case, judge)
        found += named or (Charge(_culprit(loss, case), loss),)
        unfinished += () if is_complete else (loss.flow,)
    return Charges(tuple(found), tuple(unfinished))


def _of_flow(first: Loss, case: NamespaceChange, judge: Judge) -> tuple[list[Charge], bool]:
    """Return the policies of the change whose own pods lose the flow of ``first``, and whether these are all.

    Pods of a policy that was named before do not count again: it is taken for mended.
    """
    found: list[Charge] = []
    now = {standing.name: standing for standing in case.after.policies}
    for name in case.suspects:
        policy = now[name]
        if not policy.isolates(first.flow.region.direction):
            continue
        before, after = case.around(policy, now)
        try:
            losses = judge.compare(before, after, (_narrowed(first.flow, policy),)).losses
        except TooComplexError:
            return found, False
        loss = next((candidate for candidate in losses if candidate.age is Age.NEW), None)
        if loss is not None:
            found.append(Charge(name, replace(loss, flow=first.flow, severity=first.severity)))
            now[name] = opened(policy, first.flow)
    return found, True


def _narrowed(flow: RequiredFlow, policy: Policy) -> RequiredFlow:
    """Return the part of ``flow`` that is about the pods of ``policy``."""
    return replace(flow, region=replace(flow.region, subject=flow.region.subject & policy.pods))


def _culprit(loss: Loss, case: NamespaceChange) -> str:
    """Return a policy of the change that isolates nobody but no longer allows either; none is empty."""
    direction = loss.flow.region.direction
    allowed = (ref.policy.name for ref in allowing(case.before.policies, direction, loss.point))
    return next((name for name in (*allowed, *case.suspects) if name in case.suspects), "")


def fixes(case: NamespaceChange, charged: Charges, judge: Judge) -> Mapping[str, Fix]:
    """Return a fix for each charged policy that has one.

    Each gives its own policy's pods all that they lost. All together lose nothing that was not lost before,
    but for the flows of policies that have none; where that is not so, nothing is returned.
    """
    losses = charged.by_policy
    policies = {standing.name: standing for standing in case.after.policies}
    mended: dict[str, Fix] = {}
    for name, lost in losses.items():
        if name in policies and (fix := _fix(name, lost, policies, (case, judge))) is not None:
            mended[name], policies[name] = fix, fix.policy
    unmended = [loss.flow for name, lost in losses.items() if name not in mended for loss in lost]
    left_open = {id(flow) for flow in (*unmended, *charged.unfinished)}
    return mended if _holds(tuple(policies.values()), left_open, case, judge) else {}


def _fix(
    name: str, lost: Sequence[Loss], policies: Mapping[str, Policy], context: tuple[NamespaceChange, Judge]
) -> Fix | None:
    policy, (case, judge) = policies[name], context
    before, after = case.before, State(tuple(policies.values()), case.after.table)
    flows = tuple(loss.flow for loss in lost)
    if all(policy.name in (isolating.name for isolating in loss.isolating) for loss in lost):
        before, after = case.around(policy, policies)
        flows = tuple(_narrowed(flow, policy) for flow in flows)
    others = tuple(other for other in after.policies if other is not policy)
    broken = Broken(policy, others, before, case.cluster, flows, tuple(lost))
    try:
        return find_fix(broken, judge)
    except TooComplexError:
        return None


def _holds(
    policies: tuple[Policy, ...], left_open: Collection[int], case: NamespaceChange, judge: Judge
) -> bool:
    """Tell whether ``policies`` lose nothing but the flows in ``left_open``, by identity."""
    try:
        losses = judge.compare(case.before, State(policies, case.after.table), case.flows).losses
    except TooComplexError:
        return False
    return all(id(loss.flow) in left_open for loss in losses if loss.age is Age.NEW)
