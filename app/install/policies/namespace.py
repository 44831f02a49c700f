"""Plans the policies of one namespace: both baselines in, or out again.

What already says the same is left alone, whoever wrote it. What others wrote is never overwritten unless the
admin adopts it; a policy of ours stands beside it then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from app.engine.baselines import (
    DOCUMENTED_OPERATOR,
    MANAGED_NAME,
    BaselineKind,
    bridges,
    means_the_same,
    opening,
    operator_selectors,
    recognise,
    resembles,
    written_baselines,
)
from app.engine.cluster import Cluster
from app.engine.policy import Policy
from app.engine.words import listed, peers_words, selector_words
from app.install.policies.changes import Action, ChangePhase, NamespacePlan, PolicyChange
from app.install.policies.simulation import Harm, Simulation
from app.install.policies.stored import Role, Stored

_BESIDE = "-netpol-guard"


@dataclass(frozen=True, slots=True)
class Choices:
    """What an admin wants beside the baselines: whose pods are let in too, and whether to adopt policies."""

    openings: tuple[str, ...] = ()
    adopt: bool = False


class CannotPlan(Exception):  # noqa: N818 - reads as what it is
    """There is no order in which the changes do no harm on the way."""

    def __init__(self, namespace: str, harm: Harm) -> None:
        what = f"to {harm.change.action.value} {harm.change.policy.name} {harm.words}"
        super().__init__(f"namespace {namespace}: {what}")


def plan_baselines(
    cluster: Cluster, namespace: str, stored: Sequence[Stored], *, choices: Choices, simulation: Simulation
) -> NamespacePlan:
    """Return how both baselines come into ``namespace``. Raises ``CannotPlan``."""
    assigned = _Assignment(cluster, namespace, stored, choices)
    wanted = (*assigned.writes(), *assigned.stale())
    assigned.note_others()
    changes = _harmless(wanted, bridges(assigned.operators), stored, simulation)
    return NamespacePlan(namespace, changes, tuple(assigned.notes))


def plan_removal(
    cluster: Cluster, namespace: str, stored: Sequence[Stored], simulation: Simulation
) -> NamespacePlan:
    """Return how the baselines, and whatever else is ours, leave ``namespace``. Raises ``CannotPlan``."""
    openings = [found for found in stored if found.role is Role.OPENING]
    baselines = [found for found in stored if _is_baseline(found, cluster)]
    managed = [found for found in baselines if _is_managed_half(found.policy, cluster)]
    operators = [found for found in baselines if found not in managed]
    leaving = (*openings, *operators, *managed)
    wanted = tuple(PolicyChange.removal(found, "the baselines go") for found in leaving)
    changes = _harmless(wanted, bridges(found.policy for found in operators), stored, simulation)
    notes = tuple(
        f"{found.name} was written by {found.managed_by}, which may bring it back"
        for found in baselines
        if found.role is None and found.managers
    )
    return NamespacePlan(namespace, changes, notes)


def _is_baseline(found: Stored, cluster: Cluster) -> bool:
    if found.role is not None:
        return found.role is Role.BASELINE
    return recognise(found.policy, cluster) is not None or resembles(found.policy, cluster)


def _is_managed_half(policy: Policy, cluster: Cluster) -> bool:
    found = recognise(policy, cluster)
    return found is not None and found.kind is BaselineKind.MANAGED


def _harmless(
    wanted: Sequence[PolicyChange],
    bridging: Iterable[Policy],
    stored: Sequence[Stored],
    simulation: Simulation,
) -> tuple[PolicyChange, ...]:
    """Return ``wanted`` with bridges (``bridging``) around them where it takes them. Raises ``CannotPlan``.

    A single change that does no harm needs none. Several may reach the network plugin in another order than
    they were made in, so they get one, unless only without it nothing is wider on the way.
    """
    before = [found.policy for found in stored]
    old = [found for found in stored if found.role is Role.BRIDGE]
    plain = (*wanted, *_bridge_ends(old, ()))
    if not plain:
        return ()
    new = tuple(_bridge_changes(bridging, stored))
    bridged = (*new, *wanted, *_bridge_ends(old, new))
    candidates = (plain, bridged) if len(wanted) <= 1 else (bridged, plain)
    harms = []
    for candidate in candidates:
        harm = simulation.harm(plain[0].policy.namespace, before, candidate)
        if harm is None:
            return candidate
        harms.append(harm)
    raise CannotPlan(plain[0].policy.namespace, harms[0])


def _bridge_changes(wanted: Iterable[Policy], stored: Sequence[Stored]) -> Iterator[PolicyChange]:
    """Yield the bridges that have to be written; one that an interrupted run left may serve."""
    names = {found.name: found for found in stored}
    for bridge in wanted:
        there = names.get(bridge.name)
        left = there if there is not None and there.role is Role.BRIDGE else None
        if left is None or not means_the_same(left.policy, bridge):
            policy = bridge if left else replace(bridge, name=_free(bridge.name, names))
            why = "stands in meanwhile"
            yield PolicyChange(ChangePhase.BRIDGE, Action.WRITE, policy, Role.BRIDGE, why, left)


def _bridge_ends(old: Iterable[Stored], new: Iterable[PolicyChange]) -> Iterator[PolicyChange]:
    """Yield the removal of the bridges that were there, and of those that are written."""
    there = {bridge.name: bridge for bridge in old}
    standing, written = (bridge.policy for bridge in there.values()), (bridge.policy for bridge in new)
    why = "the bridge has served"
    for name, policy in {policy.name: policy for policy in (*standing, *written)}.items():
        yield PolicyChange(ChangePhase.LAST, Action.REMOVE, policy, Role.BRIDGE, why, there.get(name))


def _free(name: str, taken: Iterable[str]) -> str:
    """Return ``name``, or the first like it that is not taken."""
    known, number, free = set(taken), 1, name
    while free in known:
        number += 1
        free = f"{name}-{number}"
    return free


class _Assignment:
    """Which stored policy stands for which wanted one, and what has to be written."""

    def __init__(self, cluster: Cluster, namespace: str, stored: Sequence[Stored], choices: Choices) -> None:
        self.notes: list[str] = []
        self._cluster = cluster
        self._namespace = namespace
        self._stored = {found.name: found for found in stored}
        self._choices = choices
        self._used: set[str] = set()
        self._beside: set[str] = set()
        self._wanted = written_baselines(cluster, namespace)
        self._note_selectors()

    @property
    def operators(self) -> tuple[Policy, ...]:
        """The wanted baselines of the operator's half."""
        return tuple(policy for policy in self._wanted if policy.name != MANAGED_NAME)

    def writes(self) -> tuple[PolicyChange, ...]:
        """Return what has to be written, in order."""
        missing = [
            policy
            for policy in self._wanted
            if self._adoptable(policy) or not self._stands(policy, Role.BASELINE)
        ]
        openings = [opening(self._namespace, name) for name in self._choices.openings]
        closed = [policy for policy in openings if not self._stands(policy, Role.OPENING)]
        written = [self._written(policy, Role.BASELINE) for policy in missing]
        return (*written, *(self._written(policy, Role.OPENING) for policy in closed))

    def stale(self) -> tuple[PolicyChange, ...]:
        """Return the removal of baselines of ours that nothing asks for any more."""
        return tuple(
            PolicyChange.removal(found, "no webhook or source asks for it", ChangePhase.LAST)
            for found in self._stored.values()
            if found.role is Role.BASELINE and found.name not in self._used
        )

    def note_others(self) -> None:
        """Name the policies that have no part in this: they are another manager's, and stay."""
        others = [
            f"{found.name} ({found.managed_by})"
            for found in self._stored.values()
            if found.role is None and found.name not in self._used | self._beside
        ]
        if others:
            self.notes.append(f"policies of others stay as they are: {listed(others)}")

    def _note_selectors(self) -> None:
        webhooks = [found for found in self._cluster.webhooks if found.namespace == self._namespace]
        for selector in operator_selectors(self._cluster, self._namespace):
            if selector == DOCUMENTED_OPERATOR:
                continue
            names = [webhook.name for webhook in webhooks if webhook.selector == selector]
            self.notes.append(
                f"the pods of webhook Service {listed(names)} carry {selector_words(selector)}, not "
                f"{selector_words(DOCUMENTED_OPERATOR)} as documented: the policy follows the Service"
            )

    def _stands(self, wanted: Policy, role: Role) -> bool:
        """Tell whether a stored policy already says what ``wanted`` does, and take it for that."""
        stored = self._stored.values()
        for found in sorted(stored, key=lambda found: (found.name != wanted.name, found.role is None)):
            is_free = found.role is not Role.BRIDGE and found.name not in self._used
            if not is_free or not means_the_same(found.policy, wanted):
                continue
            self._used.add(found.name)
            if found.role is not role:
                said = f"already says what {wanted.name} is to say: left alone"
                self.notes.append(f"{found.name}, written by {found.managed_by}, {said}")
            return True
        return False

    def _written(self, wanted: Policy, role: Role) -> PolicyChange:
        """Return how ``wanted`` gets written: over an adopted policy, over one of ours, or beside."""
        adopted = self._adoptable(wanted)
        if adopted is not None:
            return self._change(adopted, wanted, Action.ADOPT, role, f"adopted from {adopted.managed_by}")
        there = self._stored.get(wanted.name)
        beside = self._stored.get(wanted.name + _BESIDE)
        why = "lets required traffic through" if role is Role.BASELINE else "asked for by --allow-namespace"
        for own in (there, beside):
            if own is not None and own.role is role and self._is_free(own):
                action = Action.ADOPT if self._choices.adopt else Action.WRITE
                return self._change(own, wanted, action, role, why)
        if there is None:
            policy = replace(wanted, name=_free(wanted.name, {*self._stored, *self._used}))
            self._used.add(policy.name)
            return PolicyChange(ChangePhase.CHANGE, Action.WRITE, policy, role, why)
        return self._written_beside(there, wanted, role)

    def _adoptable(self, wanted: Policy) -> Stored | None:
        """Return the policy of somebody else that is to be taken over for ``wanted``, if that is wished."""
        there = self._stored.get(wanted.name)
        if not self._choices.adopt or there is None or there.role is not None or not self._is_free(there):
            return None
        return None if means_the_same(there.policy, wanted) else there

    def _is_free(self, found: Stored) -> bool:
        return found.name not in self._used and not found.policy.terminating

    def _change(self, there: Stored, wanted: Policy, action: Action, role: Role, why: str) -> PolicyChange:  # noqa: PLR0917 - the parts of a change
        self._used.add(there.name)
        return PolicyChange(ChangePhase.CHANGE, action, replace(wanted, name=there.name), role, why, there)

    def _written_beside(self, there: Stored, wanted: Policy, role: Role) -> PolicyChange:
        self._beside.add(there.name)
        name = _free(wanted.name + _BESIDE, {*self._stored, *self._used})
        self._used.add(name)
        adding = "" if wanted.name == MANAGED_NAME else f" from {peers_words(wanted.ingress[0].peers)}"
        self.notes.append(
            f"{there.name}, written by {there.managed_by}, says something else and stays as it is;"
            f" {name} beside it lets in what is missing{adding}; --adopt takes it over instead"
        )
        why = f"adds what {there.name} leaves out"
        return PolicyChange(ChangePhase.CHANGE, Action.WRITE, replace(wanted, name=name), role, why)
