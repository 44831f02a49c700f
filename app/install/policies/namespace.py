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
from app.install.policies.changes import Change, Doing, NamespacePlan, Phase
from app.install.policies.simulation import Harm, Simulation
from app.install.policies.stored import Role, Stored

_BESIDE = "-netpol-guard"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What an admin wants beside the baselines: whose pods are let in too, and whether to adopt policies."""

    openings: tuple[str, ...] = ()
    adopt: bool = False


class CannotPlan(Exception):  # noqa: N818 - reads as what it is
    """There is no order in which the changes do no harm on the way."""

    def __init__(self, namespace: str, harm: Harm) -> None:
        super().__init__(
            f"namespace {namespace}: to {harm.change.doing.value} {harm.change.policy.name} {harm.words}"
        )


def plan_baselines(
    cluster: Cluster, namespace: str, stored: Sequence[Stored], *, wishes: Wishes, simulation: Simulation
) -> NamespacePlan:
    """Return how both baselines come into ``namespace``. Raises ``CannotPlan``."""
    assigned = _Assignment(cluster, namespace, stored, wishes)
    wanted = _Wanted(assigned.writes(), assigned.stale(), bridges(assigned.operators))
    assigned.note_others()
    return NamespacePlan(namespace, _harmless(wanted, stored, simulation), tuple(assigned.notes))


def plan_removal(
    cluster: Cluster, namespace: str, stored: Sequence[Stored], simulation: Simulation
) -> NamespacePlan:
    """Return how the baselines, and whatever else is ours, leave ``namespace``. Raises ``CannotPlan``."""
    openings = [one for one in stored if one.role is Role.OPENING]
    baselines = [one for one in stored if _is_baseline(one, cluster)]
    managed = [one for one in baselines if _is_managed_half(one.policy, cluster)]
    operators = [one for one in baselines if one not in managed]
    changes = tuple(
        Change(Phase.CHANGE, Doing.REMOVE, one.policy, one.role, "the baselines go", one)
        for one in (*openings, *operators, *managed)
    )
    wanted = _Wanted(changes, (), bridges(one.policy for one in operators))
    notes = tuple(
        f"{one.name} was written by {one.managed_by}, which may bring it back"
        for one in baselines
        if one.role is None and one.managers
    )
    return NamespacePlan(namespace, _harmless(wanted, stored, simulation), notes)


def _is_baseline(one: Stored, cluster: Cluster) -> bool:
    if one.role is not None:
        return one.role is Role.BASELINE
    return recognise(one.policy, cluster) is not None or resembles(one.policy, cluster)


def _is_managed_half(policy: Policy, cluster: Cluster) -> bool:
    found = recognise(policy, cluster)
    return found is not None and found.kind is BaselineKind.MANAGED


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Changes in their order, removals that come last, and the bridges that may stand in meanwhile."""

    changes: tuple[Change, ...]
    last: tuple[Change, ...]
    bridges: tuple[Policy, ...]


def _harmless(wanted: _Wanted, stored: Sequence[Stored], simulation: Simulation) -> tuple[Change, ...]:
    """Return the changes with a bridge around them where it takes one. Raises ``CannotPlan``.

    A single change that does no harm needs none. Several may reach the network plugin in another order than
    they were made in, so they get one, unless only without it nothing is wider on the way.
    """
    before = [one.policy for one in stored]
    old = [one for one in stored if one.role is Role.BRIDGE]
    plain = (*wanted.changes, *wanted.last, *_bridge_ends(old, ()))
    if not plain:
        return ()
    new = tuple(_bridge_changes(wanted.bridges, stored))
    bridged = (*new, *wanted.changes, *wanted.last, *_bridge_ends(old, new))
    candidates = (plain, bridged) if len(wanted.changes) + len(wanted.last) <= 1 else (bridged, plain)
    harms = []
    for candidate in candidates:
        harm = simulation.harm(plain[0].policy.namespace, before, candidate)
        if harm is None:
            return candidate
        harms.append(harm)
    raise CannotPlan(plain[0].policy.namespace, harms[0])


def _bridge_changes(wanted: Sequence[Policy], stored: Sequence[Stored]) -> Iterator[Change]:
    """Yield the bridges that have to be written; one that an interrupted run left may serve."""
    names = {one.name: one for one in stored}
    for bridge in wanted:
        there = names.get(bridge.name)
        if there is not None and there.role is Role.BRIDGE:
            if means_the_same(there.policy, bridge):
                continue
            yield Change(Phase.BRIDGE, Doing.WRITE, bridge, Role.BRIDGE, "stands in meanwhile", there)
        else:
            policy = replace(bridge, name=_free(bridge.name, names))
            yield Change(Phase.BRIDGE, Doing.WRITE, policy, Role.BRIDGE, "stands in meanwhile")


def _bridge_ends(old: Iterable[Stored], new: Iterable[Change]) -> Iterator[Change]:
    """Yield the removal of the bridges that were there, and of those that are written."""
    there = {one.name: one for one in old}
    policies = {**{one.name: one.policy for one in old}, **{one.policy.name: one.policy for one in new}}
    for name, policy in policies.items():
        before = there.get(name)
        yield Change(Phase.LAST, Doing.REMOVE, policy, Role.BRIDGE, "the bridge has served", before)


def _free(name: str, taken: Iterable[str]) -> str:
    """Return ``name``, or the first like it that is not taken."""
    known, number, free = set(taken), 1, name
    while free in known:
        number += 1
        free = f"{name}-{number}"
    return free


class _Assignment:
    """Which stored policy stands for which wanted one, and what has to be written."""

    def __init__(self, cluster: Cluster, namespace: str, stored: Sequence[Stored], wishes: Wishes) -> None:
        self.notes: list[str] = []
        self._cluster = cluster
        self._namespace = namespace
        self._stored = {one.name: one for one in stored}
        self._wishes = wishes
        self._used: set[str] = set()
        self._beside: set[str] = set()
        self._wanted = written_baselines(cluster, namespace)
        self._note_selectors()

    @property
    def operators(self) -> tuple[Policy, ...]:
        """The wanted baselines of the operator's half."""
        return tuple(one for one in self._wanted if one.name != MANAGED_NAME)

    def writes(self) -> tuple[Change, ...]:
        """Return what has to be written, in order."""
        missing = [
            one for one in self._wanted if self._adoptable(one) or not self._stands(one, Role.BASELINE)
        ]
        openings = [opening(self._namespace, one) for one in self._wishes.openings]
        closed = [one for one in openings if not self._stands(one, Role.OPENING)]
        written = [self._written(one, Role.BASELINE) for one in missing]
        return (*written, *(self._written(one, Role.OPENING) for one in closed))

    def stale(self) -> tuple[Change, ...]:
        """Return the removal of baselines of ours that nothing asks for any more."""
        return tuple(
            Change(Phase.LAST, Doing.REMOVE, one.policy, one.role, "no webhook or source asks for it", one)
            for one in self._stored.values()
            if one.role is Role.BASELINE and one.name not in self._used
        )

    def note_others(self) -> None:
        """Name the policies that have no part in this: they are another manager's, and stay."""
        others = [
            f"{one.name} ({one.managed_by})"
            for one in self._stored.values()
            if one.role is None and one.name not in self._used | self._beside
        ]
        if others:
            self.notes.append(f"policies of others stay as they are: {listed(others)}")

    def _note_selectors(self) -> None:
        for selector in operator_selectors(self._cluster, self._namespace):
            if selector == DOCUMENTED_OPERATOR:
                continue
            names = [
                one.name
                for one in self._cluster.webhooks
                if one.namespace == self._namespace and one.selector == selector
            ]
            self.notes.append(
                f"the pods of webhook Service {listed(names)} carry {selector_words(selector)}, not "
                f"{selector_words(DOCUMENTED_OPERATOR)} as documented: the policy follows the Service"
            )

    def _stands(self, wanted: Policy, role: Role) -> bool:
        """Tell whether a stored policy already says what ``wanted`` does, and take it for that."""
        named = sorted(self._stored.values(), key=lambda one: (one.name != wanted.name, one.role is None))
        for one in named:
            if one.role is Role.BRIDGE or one.name in self._used or not means_the_same(one.policy, wanted):
                continue
            self._used.add(one.name)
            if one.role is not role:
                self.notes.append(
                    f"{one.name}, written by {one.managed_by}, already says what {wanted.name} is to say:"
                    " left alone"
                )
            return True
        return False

    def _written(self, wanted: Policy, role: Role) -> Change:
        """Return how ``wanted`` gets written: over an adopted policy, over one of ours, or beside."""
        adopted = self._adoptable(wanted)
        if adopted is not None:
            return self._change(adopted, wanted, Doing.ADOPT, role, f"adopted from {adopted.managed_by}")
        there = self._stored.get(wanted.name)
        beside = self._stored.get(wanted.name + _BESIDE)
        why = "lets required traffic through" if role is Role.BASELINE else "asked for by --allow-namespace"
        for own in (there, beside):
            if own is not None and own.role is role and self._is_free(own):
                doing = Doing.ADOPT if self._wishes.adopt else Doing.WRITE
                return self._change(own, wanted, doing, role, why)
        if there is None:
            policy = replace(wanted, name=_free(wanted.name, {*self._stored, *self._used}))
            self._used.add(policy.name)
            return Change(Phase.CHANGE, Doing.WRITE, policy, role, why)
        return self._written_beside(there, wanted, role)

    def _adoptable(self, wanted: Policy) -> Stored | None:
        """Return the policy of somebody else that is to be taken over for ``wanted``, if that is wished."""
        there = self._stored.get(wanted.name)
        if not self._wishes.adopt or there is None or there.role is not None or not self._is_free(there):
            return None
        return None if means_the_same(there.policy, wanted) else there

    def _is_free(self, one: Stored) -> bool:
        return one.name not in self._used and not one.policy.terminating

    def _change(self, there: Stored, wanted: Policy, doing: Doing, role: Role, why: str) -> Change:  # noqa: PLR0917 - the parts of a change
        self._used.add(there.name)
        return Change(Phase.CHANGE, doing, replace(wanted, name=there.name), role, why, there)

    def _written_beside(self, there: Stored, wanted: Policy, role: Role) -> Change:
        self._beside.add(there.name)
        name = _free(wanted.name + _BESIDE, {*self._stored, *self._used})
        self._used.add(name)
        adding = "" if wanted.name == MANAGED_NAME else f" from {peers_words(wanted.ingress[0].peers)}"
        self.notes.append(
            f"{there.name}, written by {there.managed_by}, says something else and stays as it is;"
            f" {name} beside it lets in what is missing{adding}; --adopt takes it over instead"
        )
        why = f"adds what {there.name} leaves out"
        return Change(Phase.CHANGE, Doing.WRITE, replace(wanted, name=name), role, why)
