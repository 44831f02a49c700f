"""The procedure of ``uninstall``: look, plan, show, ask, do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from app.engine.required_flows import Options
from app.engine.words import listed
from app.install.dry_run import PlanStep
from app.install.execution import RunStep
from app.install.guard.removal import Leaving, is_waited_for, leave, wait_until_gone
from app.install.plan import Plan, plan_removals
from app.install.policies.stored import Inventory
from app.install.ports import Site, Terminal
from app.install.preflight import (
    choose,
    object_permissions,
    permission_problem,
    permissions,
    policy_permissions,
)
from app.install.procedure import agreed, perform, policy_run, refuse, tried
from app.install.words import note_lines
from app.model.access import Permission
from app.model.kinds import NAMESPACE, POD
from app.names import NAME
from app.shipped import guard_manifests

_AFTER = "The labels iomete.com/managed and netpol-guard.iomete.com/mode on namespaces stay: they are yours."


@dataclass(frozen=True, slots=True)
class UninstallRequest:
    """What an admin asked for: the guard, the baselines, or both; ``again`` is the whole command."""

    namespaces: tuple[str, ...] = ()
    guard: bool = False
    baselines: bool = True
    yes: bool = False
    dry_run: bool = False
    pause: float = 10.0
    timeout: float = 180.0
    again: str = "netpol-guard uninstall"


def take_away(site: Site, terminal: Terminal, request: UninstallRequest) -> int:
    """Take away what was asked for, the guard's configuration first; return the exit code.

    Raises ``CannotInstall`` where something is in the way, and nothing was changed then.
    """
    refuse(permission_problem(site.server, _permissions(request)))
    leaving = leave(site.objects, guard_manifests()) if request.guard else Leaving(())
    inventory, plan, names = _baselines(site, request)
    steps = tried(site, replace(plan, steps=(*leaving.steps[:1], *plan.steps, *leaving.steps[1:])))
    notes = {**plan.notes, "": (*leaving.notes, *plan.notes.get("", ()))}
    what = " and ".join(_words(request, names))
    if not steps:
        terminal.show([*note_lines(notes), f"Nothing to remove: there is nothing of {what}."])
        return 0
    if not agreed(terminal, steps, notes, yes=request.yes, dry_run=request.dry_run):
        return 0 if request.dry_run else 2
    if not perform(terminal, _acts(site, inventory, steps, request), request.again):
        return 2
    terminal.show([f"Gone: {what}.", *([_AFTER] if request.guard else [])])
    return 0


def _baselines(site: Site, request: UninstallRequest) -> tuple[Inventory, Plan, tuple[str, ...]]:
    inventory = site.inventory(only=request.namespaces)
    if not request.baselines:
        return inventory, Plan(), ()
    chosen = choose(inventory.cluster, request.namespaces)
    refuse(*chosen.problems)
    plan = plan_removals(inventory, chosen.names, Options())
    notes = {**plan.notes, "": (*chosen.notes, *plan.notes.get("", ()))}
    return inventory, replace(plan, notes=notes), chosen.names


def _words(request: UninstallRequest, names: Sequence[str]) -> list[str]:
    words = ["the guard"] if request.guard else []
    return [*words, f"the baselines of {listed(names) or 'any namespace'}"] if request.baselines else words


def _acts(
    site: Site, inventory: Inventory, steps: Sequence[PlanStep], request: UninstallRequest
) -> list[RunStep]:
    def waiting(step: PlanStep) -> RunStep:
        wait = partial(wait_until_gone, site.objects, site.clock, step, request.timeout)
        return RunStep(f"wait until {step.reference} is gone", wait)

    acts = policy_run(site, inventory.cluster, steps, request.pause)
    awaited = {
        step.title: waiting(step) for step in steps if is_waited_for(step.reference) and not step.change
    }
    return [each for act in acts for each in (act, awaited.get(act.title)) if each is not None]


def _permissions(request: UninstallRequest) -> tuple[Permission, ...]:
    wanted: list[Permission] = []
    if request.baselines:
        wanted += (*permissions(NAMESPACE, ("list",)), *policy_permissions(request.namespaces))
    if request.guard:
        wanted += object_permissions(guard_manifests(), ("get", "delete"))
        wanted += permissions(POD, ("list",), NAME)
    return tuple(wanted)
