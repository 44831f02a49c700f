"""The whole plan for the policies of a cluster: namespaces to label, policies to write and remove."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from app.engine.cluster import MANAGED_LABEL, MANAGED_VALUE
from app.engine.required_flows import Options
from app.engine.words import listed
from app.install.dry_run import PlanStep, step_of
from app.install.policies.changes import Action, NamespacePlan, in_order, states_along
from app.install.policies.namespace import CannotPlan, Choices, plan_baselines, plan_removal
from app.install.policies.neighbours import Neighbourhood, cut_off_words
from app.install.policies.simulation import Simulation
from app.install.policies.stored import Inventory
from app.model.kinds import NAMESPACE, Reference


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in their order, notes for the admin by namespace ("" for the cluster), and what prevents it."""

    steps: tuple[PlanStep, ...] = ()
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def plan_policies(
    inventory: Inventory, namespaces: Sequence[str], choices: Choices, options: Options
) -> Plan:
    """Return the plan that brings both baselines into ``namespaces``."""
    simulation = Simulation(inventory.cluster, options)

    def plan(name: str) -> NamespacePlan:
        stored = inventory.of(name)
        return plan_baselines(inventory.cluster, name, stored, choices=choices, simulation=simulation)

    planned, problems = _each(namespaces, plan)
    return _plan((*planned, NamespacePlan("", notes=_cut_off(inventory, planned))), problems)


def plan_removals(inventory: Inventory, namespaces: Sequence[str], options: Options) -> Plan:
    """Return the plan that takes the baselines out of ``namespaces``."""
    simulation = Simulation(inventory.cluster, options)
    planned, problems = _each(
        namespaces, lambda name: plan_removal(inventory.cluster, name, inventory.of(name), simulation)
    )
    return _plan(planned, problems)


def label_steps(names: Iterable[str]) -> tuple[PlanStep, ...]:
    """Return the steps that label namespaces as managed; idle where they are."""
    managed, why = {"labels": {MANAGED_LABEL: MANAGED_VALUE}}, "makes it one of the platform's namespaces"
    namespaces = [Reference(NAMESPACE, name) for name in names]
    return tuple(PlanStep(found, Action.WRITE, why, found.manifest(managed)) for found in namespaces)


def _each(
    namespaces: Sequence[str], plan: Callable[[str], NamespacePlan]
) -> tuple[tuple[NamespacePlan, ...], tuple[str, ...]]:
    planned, problems = [], []
    for name in namespaces:
        try:
            planned.append(plan(name))
        except CannotPlan as error:
            problems.append(str(error))
    return tuple(planned), tuple(problems)


def _plan(planned: Sequence[NamespacePlan], problems: tuple[str, ...]) -> Plan:
    notes = {plan.namespace: plan.notes for plan in planned}
    return Plan(tuple(map(step_of, in_order(planned))), notes, problems)


def _cut_off(inventory: Inventory, planned: Iterable[NamespacePlan]) -> tuple[str, ...]:
    """Return a sentence for every neighbour, naming all namespaces that it would be cut off from."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    neighbourhood = Neighbourhood(inventory.cluster, inventory.neighbours)
    for plan in planned:
        before = [found.policy for found in inventory.of(plan.namespace)]
        states = [state for _, state in states_along(before, plan.changes)]
        if states:
            for neighbour in neighbourhood.cut_off(before, tuple(states[-1].values())):
                found[neighbour].append(plan.namespace)
    return tuple(cut_off_words(name, why, listed(names)) for (name, why), names in sorted(found.items()))
