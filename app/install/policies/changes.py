"""Changes to the policies of one namespace, in an order that takes nothing away on the way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from app.engine.policy import Policy
from app.install.policies.stored import Role, Stored, manifest_of, reference_of
from app.model.kinds import Manifest, Reference

PoliciesByName = Mapping[str, Policy]
"""The policies of one namespace by name."""


class ChangePhase(Enum):
    """When a change is made, in all namespaces; ``LAST`` comes after the network plugin's pause."""

    BRIDGE = 1
    CHANGE = 2
    LAST = 3


class Action(Enum):
    """What is done to a policy; ``ADOPT`` takes over fields that another manager owns."""

    WRITE = "write"
    ADOPT = "adopt"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """One policy written or removed. ``policy`` is what stands afterwards, or what is removed.

    ``before`` is what stands there now; a bridge that is removed in the end is not there yet.
    """

    phase: ChangePhase
    action: Action
    policy: Policy
    role: Role | None
    why: str
    before: Stored | None = None

    @property
    def reference(self) -> Reference:
        """The object that is changed."""
        return reference_of(self.policy)

    @property
    def manifest(self) -> Manifest:
        """What is written. Raises ``ValueError`` for a policy that is none of ours."""
        if self.role is None:
            raise ValueError(f"{self.policy.name} is not ours to write")
        return manifest_of(self.policy, self.role)

    @classmethod
    def removal(cls, found: Stored, why: str, phase: ChangePhase = ChangePhase.CHANGE) -> PolicyChange:
        """Return the removal of a policy that stands."""
        return cls(phase, Action.REMOVE, found.policy, found.role, why, found)

    def applied_to(self, state: PoliciesByName) -> PoliciesByName:
        """Return the namespace's policies after the change."""
        others = {name: policy for name, policy in state.items() if name != self.policy.name}
        return others if self.action is Action.REMOVE else {**others, self.policy.name: self.policy}


@dataclass(frozen=True, slots=True)
class NamespacePlan:
    """What is done in one namespace; ``notes`` are for the admin to read."""

    namespace: str
    changes: tuple[PolicyChange, ...] = ()
    notes: tuple[str, ...] = ()


def states_along(
    start: Iterable[Policy], changes: Iterable[PolicyChange]
) -> Iterator[tuple[PolicyChange, PoliciesByName]]:
    """Yield each change with the state of the namespace after it."""
    state: PoliciesByName = {policy.name: policy for policy in start}
    for change in changes:
        state = change.applied_to(state)
        yield change, state


def in_order(plans: Iterable[NamespacePlan]) -> tuple[PolicyChange, ...]:
    """Return the changes of all namespaces phase by phase, so that one pause serves them all."""
    changes = [change for plan in plans for change in plan.changes]
    return tuple(sorted(changes, key=lambda change: change.phase.value))
