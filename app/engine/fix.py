"""A verified repair of a policy that would cut required flows (``docs/design/decisions.md``, The fix).

Candidates are tried in a fixed order; the first that loses nothing that was not lost before is the fix.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from app.engine.baselines import recognise, same_peers, written_baselines
from app.engine.cluster import MANAGED, Cluster
from app.engine.judge import Judge, Loss, State
from app.engine.policy import Direction, Peers, PodPeer, Policy, Rule
from app.engine.ports import PortSet
from app.engine.regions import ExistingPods, FuturePods, Outside
from app.engine.required_flows import FlowId, RequiredFlow


class EditKind(Enum):
    """The ways to mend a policy, in the order in which they are tried."""

    BASELINE = "baseline"
    ADD_PEER = "add-peer"
    ADD_PORT = "add-port"
    ADD_RULE = "add-rule"
    DROP_TYPE = "drop-type"


@dataclass(frozen=True, slots=True)
class Edit:
    """One change to a policy's ``spec``; ``index`` is the rule that ``ADD_PEER`` or ``ADD_PORT`` extends."""

    kind: EditKind
    direction: Direction | None = None
    index: int | None = None
    rule: Rule | None = None


@dataclass(frozen=True, slots=True)
class Fix:
    """The mended policy, and the edits that lead to it."""

    policy: Policy
    edits: tuple[Edit, ...]


@dataclass(frozen=True, slots=True)
class Broken:
    """A change whose after-state loses flows: what ``find_fix`` starts from.

    ``policy`` is the policy as the change would leave it, ``others`` the rest of its namespace.
    """

    policy: Policy
    others: tuple[Policy, ...]
    before: State
    cluster: Cluster
    flows: Sequence[RequiredFlow]
    losses: tuple[Loss, ...]


def find_fix(broken: Broken, judge: Judge) -> Fix | None:
    """Return the first candidate that takes nothing away any more, None if there is none.

    Raises ``TooComplexError``.
    """
    for fix in _candidates(broken):
        after = State((*broken.others, fix.policy), broken.before.table)
        verdict = judge.compare(broken.before, after, broken.flows)
        if not verdict.rejected and not verdict.warned:
            return fix
    return None


def opened(policy: Policy, flow: RequiredFlow) -> Policy:
    """Return ``policy`` with a rule more, so that its pods have all of ``flow``."""
    return _apply(policy, _add_rule(*_needed(flow)))


def _candidates(broken: Broken) -> Iterator[Fix]:
    yield from _documented(broken)
    policy = broken.policy
    needed = tuple(dict.fromkeys(_needed(loss.flow) for loss in broken.losses))
    yield applied(policy, (_extend_rule(policy, *missing) or _add_rule(*missing) for missing in needed))
    yield applied(policy, (_add_rule(*missing) for missing in needed))
    lost = {loss.flow.region.direction for loss in broken.losses}
    if policy.types - lost:
        dropped = [direction for direction in Direction if direction in lost]
        yield applied(policy, (Edit(EditKind.DROP_TYPE, direction) for direction in dropped))


def _documented(broken: Broken) -> Iterator[Fix]:
    """Yield the documented text where the policy is, or was, or is named like, a baseline."""
    earlier = [policy for policy in broken.before.policies if policy.name == broken.policy.name]
    kinds = {found.kind for policy in earlier if (found := recognise(policy, broken.cluster)) is not None}
    for text in written_baselines(broken.cluster, broken.policy.namespace):
        found = recognise(text, broken.cluster)
        if text.name == broken.policy.name or (found is not None and found.kind in kinds):
            yield Fix(replace(text, name=broken.policy.name), (Edit(EditKind.BASELINE),))


def _needed(flow: RequiredFlow) -> tuple[Direction, Rule]:
    """Return the rule that lets all of ``flow`` through."""
    region = flow.region
    names = region.port_names
    if flow.id in (FlowId.MANAGED_INGRESS, FlowId.MANAGED_EGRESS):
        return region.direction, Rule(Peers((PodPeer(MANAGED),)))
    ports = PortSet.of([] if names else [region.ports], names)
    return region.direction, Rule(_needed_peers(flow), ports)


def _needed_peers(flow: RequiredFlow) -> Peers:
    if flow.source is not None and flow.source.pods is not None:
        return Peers((flow.source.pods,))
    match flow.region.peer:
        case Outside(addresses):
            return Peers(addresses=addresses)
        case FuturePods(namespaces, pods):
            return Peers((PodPeer(namespaces, pods),))
        case ExistingPods(names, pods):
            return Peers(tuple(PodPeer.own(name, pods) for name in sorted(names)))


def _add_rule(direction: Direction, rule: Rule) -> Edit:
    return Edit(EditKind.ADD_RULE, direction, rule=rule)


def _extend_rule(policy: Policy, direction: Direction, rule: Rule) -> Edit | None:
    """Return the edit that adds what is missing to the nearest rule: a port for its peers, or a peer.

    Ports are added only where nobody but the peers in need gets them.
    """
    existing = policy.rules(direction)
    for index, candidate in enumerate(existing):
        if rule.peers is not None and candidate.peers is not None and same_peers(candidate.peers, rule.peers):
            return Edit(EditKind.ADD_PORT, direction, index, rule)
    for index, candidate in enumerate(existing):
        if candidate.peers is not None and rule.ports.is_subset(candidate.ports):
            return Edit(EditKind.ADD_PEER, direction, index, rule)
    return None


def applied(policy: Policy, edits: Iterable[Edit]) -> Fix:
    """Return ``policy`` with ``edits`` made, as a fix."""
    done = tuple(edits)
    for edit in done:
        policy = _apply(policy, edit)
    return Fix(policy, done)


def _apply(policy: Policy, edit: Edit) -> Policy:
    direction, rule = edit.direction, edit.rule
    if direction is None:
        return policy
    if edit.kind is EditKind.DROP_TYPE:
        return replace(policy, types=policy.types - {direction})
    rules = policy.ingress if direction is Direction.INGRESS else policy.egress
    if edit.kind is EditKind.ADD_RULE and rule is not None:
        return policy.with_rules(direction, (*rules, rule))
    if edit.index is None or rule is None:
        return policy
    mended = _extended(rules[edit.index], edit.kind, rule)
    return policy.with_rules(direction, (*rules[: edit.index], mended, *rules[edit.index + 1 :]))


def _extended(existing: Rule, kind: EditKind, missing: Rule) -> Rule:
    if kind is EditKind.ADD_PORT:
        numbers, names = (existing.ports.numbers, missing.ports.numbers), existing.ports.names
        return replace(existing, ports=PortSet.of(numbers, names | missing.ports.names))
    old, new = existing.peers or Peers(), missing.peers or Peers()
    return replace(existing, peers=Peers((*old.pods, *new.pods), old.addresses | new.addresses))
