"""Before and after: which points of the required flows a change takes away (``docs/design/decisions.md``).

``lost(after) - lost(before)`` decides. A policy is never judged by its own text alone, always the namespace
as it would be after the change.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeAlias

from app.engine.budget import Budget, TooComplexError, demand
from app.engine.cluster import Provenance, TargetPort
from app.engine.intervals import IntervalSet
from app.engine.points import Point, isolating
from app.engine.policy import Direction, Policy
from app.engine.regions import NamespaceTable, Region, Side, World, policy_covers
from app.engine.required_flows import IpBlockMatchesPods, Options, RequiredFlow, Severity
from app.engine.search.find import Comparison, find_newly_lost
from app.engine.search.last_source import find_shut_out
from app.engine.search.witness import ALWAYS, Proviso, proviso_of, simplified
from app.engine.selectors import LabelSet, Operator, Selector

_Target: TypeAlias = "tuple[str, TargetPort | None]"
"""A webhook and one of its ports."""


_ABSENT = LabelSet.of(Operator.DOES_NOT_EXIST)


_RULES_PER_LOOK = 256
"""Rules, which may have to be read first, between two looks at the budget."""


class Age(Enum):
    """Whether the change takes a flow away, or found it lost."""

    NEW = "new"
    OLD = "old"


class Wanted(Enum):
    """Which losses a verdict is to hold."""

    ALL = "all"
    NEW = "new"


class Certainty(Enum):
    """Whether a lost flow is surely cut, or kept open by an ``ipBlock`` that may match pods (rule 13)."""

    CUT = "cut"
    IP_BLOCK_ONLY = "ip-block-only"


@dataclass(frozen=True, slots=True)
class Loss:
    """A required flow that is lost after a change, with a witness and the policies that isolate it."""

    flow: RequiredFlow
    point: Point
    age: Age
    severity: Severity
    certainty: Certainty
    isolating: tuple[Policy, ...]
    proviso: Proviso = ALWAYS


@dataclass(frozen=True, slots=True)
class State:
    """One namespace's policies with the namespaces they are judged against."""

    policies: tuple[Policy, ...]
    table: NamespaceTable

    def side(self, pod_addresses: IntervalSet | None = None) -> Side:
        """Return the state for a search; ``pod_addresses`` where ``ipBlock`` is to match pods."""
        return Side(self.policies, World(self.table, pod_addresses))

    @property
    def staying(self) -> State:
        """The state without the policies that are being deleted; itself where there are none."""
        if not any(policy.terminating for policy in self.policies):
            return self
        return State(tuple(policy for policy in self.policies if not policy.terminating), self.table)

    def to_come(self) -> tuple[State, ...]:
        """Return the states that decide what is open whenever the policies that are being deleted vanish.

        A point that all of them allow is open whichever of those policies are left: if it is lost beside some
        of them, it is lost beside each one that isolates its pod, or beside none where another does.
        """
        staying = self.staying
        if staying is self:
            return (self,)
        going = {
            (policy.pods, policy.types, *map(policy.rules, Direction)): policy
            for policy in self.policies
            if policy.terminating
        }
        return (staying, *(replace(self, policies=(*staying.policies, policy)) for policy in going.values()))


@dataclass(frozen=True, slots=True)
class Verdict:
    """All required flows that are lost after a change: those it takes away, and those lost before."""

    losses: tuple[Loss, ...] = ()

    @property
    def rejected(self) -> tuple[Loss, ...]:
        """What the change takes away and must not."""
        return tuple(loss for loss in self.losses if loss.age is Age.NEW and loss.severity is Severity.REJECT)

    @property
    def warned(self) -> tuple[Loss, ...]:
        """What the change takes away without being rejected for it."""
        return tuple(loss for loss in self.losses if loss.age is Age.NEW and loss.severity is Severity.WARN)

    @property
    def remaining(self) -> tuple[Loss, ...]:
        """What was lost before, and still is."""
        return tuple(loss for loss in self.losses if loss.age is Age.OLD)


NOTHING_LOST = Verdict()


class Judge:
    """Compares two states of one namespace, flow by flow."""

    def __init__(self, options: Options, budget: Budget) -> None:
        self._options = options
        self._budget = budget

    def compare(
        self,
        before: State,
        after: State,
        flows: Sequence[RequiredFlow],
        exposed: Sequence[RequiredFlow] | None = None,
        *,
        wanted: Wanted = Wanted.ALL,
    ) -> Verdict:
        """Return what ``after`` loses of ``flows``.

        ``exposed`` are those of them that are not known to be open in ``after`` anyway; None: all.
        Raises ``TooComplexError`` when the budget does not suffice to know what the change takes away. Where
        it suffices for that alone, what was lost before is left out.
        """
        asked = flows if exposed is None else exposed
        changes = [_Change(before, state, self._options, self._budget) for state in after.to_come()]
        losses = list(_losses(asked, changes, wanted))
        return Verdict(tuple(self._weighed(losses, flows, before, after)))

    def audit(self, state: State, flows: Sequence[RequiredFlow]) -> Verdict:
        """Return what ``state`` loses, as if nothing had been lost before."""
        unrestricted = State((), state.table)
        return self.compare(unrestricted, state, flows)

    def _weighed(
        self, losses: Sequence[Loss], flows: Sequence[RequiredFlow], before: State, after: State
    ) -> Iterator[Loss]:
        """Raise lost guessed sources to a rejection where a pod is let in by no source at all any more."""
        if not any(_is_guess(loss.flow) for loss in losses):
            yield from losses
            return
        cut = _by_target(loss.flow for loss in losses if loss.certainty is Certainty.CUT)
        shut_out: dict[_Target | None, Mapping[str, str] | None] = {}
        for target, known in _by_target(flows).items():
            if len(cut.get(target, ())) == len(known) and any(map(_is_guess, known)):
                shut_out[target] = self._shut_out([flow.region for flow in known], before, after)
        for loss in losses:
            labels = shut_out.get(_target_of(loss.flow)) if _is_guess(loss.flow) else None
            yield loss if labels is None else self._raised(loss, labels, before, after)

    def _shut_out(self, regions: Sequence[Region], before: State, after: State) -> Mapping[str, str] | None:
        found = (
            find_shut_out(regions, before.side(self._pods), state.side(self._pods), self._budget)
            for state in after.to_come()
        )
        return next((labels for labels in found if labels is not None), None)

    def _raised(self, loss: Loss, labels: Mapping[str, str], before: State, after: State) -> Loss:
        """Return ``loss`` as a rejection, with that pod for its example where it is one."""
        keys = {key for state in (before, after) for policy in state.policies for key in policy.pods.keys}
        pod = Selector.of(
            (key, LabelSet.of(Operator.IN, [labels[key]]) if key in labels else _ABSENT)
            for key in {*keys, *labels}
        )
        region = replace(loss.flow.region, subject=loss.flow.region.subject & pod)
        earlier = before.side(self._pods)
        for later in (state.side(self._pods) for state in after.to_come()):
            point = find_newly_lost(region, earlier, later, self._budget)
            if point is not None:
                plain = simplified(region, point, later, earlier, budget=self._budget)
                found = _loss(loss.flow, plain, loss.age, later)
                proviso = proviso_of(region, plain, later, earlier)
                return replace(found, severity=Severity.REJECT, proviso=proviso)
        return replace(loss, severity=Severity.REJECT)

    @property
    def _pods(self) -> IntervalSet | None:
        """The addresses of pods, where ``ipBlock`` may match them."""
        matches = self._options.ip_block_matches_pods
        return None if matches is IpBlockMatchesPods.NO else self._options.pod_addresses


def _losses(asked: Sequence[RequiredFlow], changes: Sequence[_Change], wanted: Wanted) -> Iterator[Loss]:
    """Yield the loss of each flow: what the change takes away is found first, while there is time."""
    new = [_gravest(change.new_loss(flow) for change in changes) for flow in asked]
    is_guess_lost = any(loss is not None and _is_guess(loss.flow) for loss in new)
    for flow, taken in zip(asked, new, strict=True):
        # Whether a guessed source is the last one depends on those that were lost before.
        is_decisive = is_guess_lost and _is_guess(flow)
        loss = taken
        if taken is None and (is_decisive or wanted is Wanted.ALL):
            try:
                loss = _gravest(change.old_loss(flow) for change in changes)
            except TooComplexError:
                if is_decisive:
                    raise
        if loss is not None:
            yield loss


def _gravest(losses: Iterable[Loss | None]) -> Loss | None:
    """Return the loss of one flow that is surely cut, else another; None where there is none."""
    found = [loss for loss in losses if loss is not None]
    return min(found, key=lambda loss: loss.certainty is not Certainty.CUT, default=None)


class _Change:
    """Two states of one namespace, and what the flows that are judged by them share.

    No policy that is being deleted lets anything through in ``after`` that counts.
    """

    def __init__(self, before: State, after: State, options: Options, budget: Budget) -> None:
        self._options = options
        self._before = before
        self._after = after
        self._budget = budget
        self._comparison = Comparison(before.policies, after.policies, budget)
        self._blocks: dict[Direction, bool] = {}
        self._covered: dict[int, bool] = {}

    def new_loss(self, flow: RequiredFlow) -> Loss | None:
        """Return the loss of ``flow`` to the change, None for none. Raises ``TooComplexError``."""
        demand(self._budget)
        if not self._comparison.can_lose(flow.region, self._before.side(), self._after.side()):
            return None
        return self._loss(flow, self._taken_away)

    def old_loss(self, flow: RequiredFlow) -> Loss | None:
        """Return the loss of ``flow`` from before the change; ``new_loss`` found none. Raises alike."""
        return self._loss(flow, self._still_lost)

    def _loss(
        self, flow: RequiredFlow, found: Callable[[RequiredFlow, IntervalSet | None], Loss | None]
    ) -> Loss | None:
        """Return what ``found`` finds; where ``ipBlock`` is to match pods, it is given their addresses."""
        demand(self._budget)
        is_covered = self._covered.get(id(flow))
        if is_covered is None:
            is_covered = self._covered[id(flow)] = self._is_covered(flow.region)
        if is_covered:
            return None
        if not flow.is_pod_to_pod or not self._has_ip_blocks(flow.region.direction):
            return found(flow, None)
        match self._options.ip_block_matches_pods:
            case IpBlockMatchesPods.NO:
                return found(flow, None)
            case IpBlockMatchesPods.YES:
                return found(flow, self._options.pod_addresses)
            case IpBlockMatchesPods.UNKNOWN:
                surely = found(flow, self._options.pod_addresses)
                perhaps = found(flow, None) if surely is None else None
                if perhaps is None:
                    return surely
                return replace(perhaps, severity=Severity.WARN, certainty=Certainty.IP_BLOCK_ONLY)

    def _is_covered(self, region: Region) -> bool:
        """Tell whether no search is needed: nobody is isolated, or one policy alone allows everything."""
        subject = dict(region.subject.terms)
        return not any(
            policy.isolates(region.direction) and policy.pods.overlaps(subject)
            for policy in self._after.policies
        ) or any(True for _ in keepers_of(region, self._after))

    def _has_ip_blocks(self, direction: Direction) -> bool:
        found = self._blocks.get(direction)
        if found is None:
            states = self._before, self._after
            found = self._blocks[direction] = _has_ip_blocks(direction, states, self._budget)
        return found

    def _still_lost(self, flow: RequiredFlow, pod_addresses: IntervalSet | None) -> Loss | None:
        after = self._after.side(pod_addresses)
        lost = self._comparison.lost(flow.region, after)
        return None if lost is None else _loss(flow, lost, Age.OLD, after)

    def _taken_away(self, flow: RequiredFlow, pod_addresses: IntervalSet | None) -> Loss | None:
        before, after = self._before.side(pod_addresses), self._after.side(pod_addresses)
        new = self._comparison.newly_lost(flow.region, before, after)
        if new is None or self._is_lost_without_the_change(flow.region, pod_addresses):
            return None
        plain = simplified(flow.region, new, after, before, budget=self._budget)
        loss = _loss(flow, plain, Age.NEW, after)
        return replace(loss, proviso=proviso_of(flow.region, plain, after, before))

    def _is_lost_without_the_change(self, region: Region, pod_addresses: IntervalSet | None) -> bool:
        """Tell whether only policies that are being deleted kept open what is lost: no change is to blame."""
        staying = self._before.staying
        if staying is self._before:
            return False
        before, after = staying.side(pod_addresses), self._after.side(pod_addresses)
        return find_newly_lost(region, before, after, self._budget) is None


def _loss(flow: RequiredFlow, point: Point, age: Age, after: Side) -> Loss:
    by = tuple(isolating(after.policies, flow.region.direction, point.labels))
    return Loss(flow, point, age, flow.severity, Certainty.CUT, by)


def keepers_of(region: Region, state: State) -> Iterator[Policy]:
    """Yield the policies that, alone, let all of ``region`` through; any of them settles it, if it stays.

    One that is being deleted does not.
    """
    side = state.side()
    return (
        policy
        for policy in side.policies
        if not policy.terminating and policy_covers(policy, region, side.world)
    )


def _has_ip_blocks(direction: Direction, states: Iterable[State], budget: Budget) -> bool:
    for state in states:
        for policy in state.policies:
            for looked_at, rule in enumerate(policy.allowing(direction)):
                if looked_at % _RULES_PER_LOOK == 0:
                    demand(budget)
                if rule.peers is not None and rule.peers.addresses:
                    return True
    return False


def _target_of(flow: RequiredFlow) -> _Target | None:
    return None if flow.webhook is None else (flow.webhook.name, flow.port)


def _by_target(flows: Iterable[RequiredFlow]) -> dict[_Target, list[RequiredFlow]]:
    """Return the flows to each target port of each webhook: one for each source."""
    found: dict[_Target, list[RequiredFlow]] = defaultdict(list)
    for flow in flows:
        target = _target_of(flow)
        if target is not None:
            found[target].append(flow)
    return found


def _is_guess(flow: RequiredFlow) -> bool:
    """Tell whether only the source of ``flow`` is uncertain, not the webhook or its port as well."""
    if flow.webhook is None or flow.source is None or flow.source.provenance is not Provenance.GUESSED:
        return False
    unresolved = flow.port is not None and flow.port.name is not None and not flow.port.resolved
    return not flow.webhook.assumed and not unresolved
