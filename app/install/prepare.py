"""The procedure of ``bootstrap``: look, plan, show, ask, do, verify. Here as far as the baselines go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.engine.cluster import Provenance, Source
from app.engine.required_flows import Options
from app.engine.words import flow_words, listed
from app.errors import StateUnreadable
from app.install.guard.manifests import SETTINGS, declared_in
from app.install.plan import Plan, label_steps, plan_policies
from app.install.policies.namespace import Choices
from app.install.policies.simulation import Simulation
from app.install.policies.stored import Inventory
from app.install.ports import Site, Terminal, Tone
from app.install.preflight import (
    Chosen,
    choose,
    opening_problems,
    permission_problem,
    permissions,
    policy_permissions,
    source_problem,
    version_problem,
)
from app.install.procedure import agreed, perform, policy_run, refuse, tried
from app.install.words import note_lines, source_lines
from app.model.access import Permission
from app.model.declared_sources import declared_sources
from app.model.kinds import NAMESPACE
from app.names import SETTINGS_KEY

_UNMEASURED = (
    "where the API server calls from was looked up, not measured: only a guard that it calls can tell;"
    " install it with netpol-guard bootstrap, or name every member with --api-server"
)


@dataclass(frozen=True, slots=True)
class BootstrapRequest:
    """What an admin asked for; ``declared`` are the sources that were named, ``again`` the whole command."""

    namespaces: tuple[str, ...] = ()
    label: bool = False
    declared: tuple[Source, ...] = ()
    openings: tuple[str, ...] = ()
    adopt: bool = False
    yes: bool = False
    dry_run: bool = False
    pause: float = 10.0
    image: str = ""
    wait: bool = True
    timeout: float = 180.0
    again: str = "netpol-guard bootstrap"

    @property
    def labelled(self) -> tuple[str, ...]:
        """The namespaces that are to be labelled where they are not."""
        return self.namespaces if self.label else ()

    @property
    def choices(self) -> Choices:
        """What is wanted beside the baselines."""
        return Choices(self.openings, self.adopt)


@dataclass(frozen=True, slots=True)
class Preparation:
    """What was found before anything is done: the cluster, and the namespaces to work on."""

    inventory: Inventory
    chosen: Chosen
    declared: tuple[Source, ...]
    request: BootstrapRequest

    @property
    def names(self) -> tuple[str, ...]:
        """The namespaces to work on."""
        return self.chosen.names

    def policies(self) -> Plan:
        """Return the plan for the baselines, labels included."""
        plan = plan_policies(self.inventory, self.names, self.request.choices, Options())
        return Plan((*label_steps(self.request.labelled), *plan.steps), plan.notes, plan.problems)

    def notes(self, plan: Plan) -> Mapping[str, Sequence[str]]:
        """Return the notes of ``plan`` with those about the cluster."""
        return {**plan.notes, "": (*self.chosen.notes, *self.inventory.notes, *plan.notes.get("", ()))}


def prepare(site: Site, request: BootstrapRequest, needed: Sequence[Permission]) -> Preparation:
    """Return what is there. Raises ``CannotInstall`` where something is in the way.

    ``needed`` are the permissions for what is to be done beside looking at namespaces and policies.
    """
    refuse(version_problem(site.server.version()))
    refuse(permission_problem(site.server, (*_looking(request), *needed)))
    declared = request.declared or declared_sources(_configured(site), "declared in the guard's settings")
    inventory = site.inventory(declared, labelled=request.labelled, only=request.namespaces)
    chosen = choose(inventory.cluster, request.namespaces)
    problems = (*chosen.problems, *opening_problems(inventory.cluster, request.openings))
    limit = site.plugin_limit(inventory.cluster.sources)
    refuse(*problems, source_problem(inventory.cluster), None if limit is None else str(limit))
    return Preparation(inventory, chosen, declared, request)


def bring_baselines(site: Site, terminal: Terminal, request: BootstrapRequest) -> int:
    """Bring both baselines into the managed namespaces; return the exit code.

    Raises ``CannotInstall`` where something is in the way, and nothing was changed then.
    """
    preparation = prepare(site, request, changing(request))
    terminal.show(source_lines(preparation.inventory.cluster.sources))
    plan = preparation.policies()
    steps = tried(site, plan)
    notes = {**preparation.notes(plan)}
    if any(source.provenance is Provenance.GUESSED for source in preparation.inventory.cluster.sources):
        notes[""] = (*notes[""], _UNMEASURED)
    stand = f"both baselines stand in {listed(preparation.names) or 'no namespace'}"
    if not steps:
        terminal.show([*note_lines(notes), f"Nothing to change: {stand}."])
        return 0
    if not agreed(terminal, steps, notes, yes=request.yes, dry_run=request.dry_run):
        return 0 if request.dry_run else 2
    acts = policy_run(site, preparation.inventory.cluster, steps, request.pause)
    if not perform(terminal, acts, request.again) or not all_pass(site, terminal, preparation):
        return 2
    terminal.show([f"Done: {stand}, and every required flow passes."])
    return 0


def all_pass(site: Site, terminal: Terminal, preparation: Preparation) -> bool:
    """Look again, and tell whether every required flow passes; say which does not."""
    simulation = Simulation(preparation.inventory.cluster, Options())
    now = site.inventory(only=preparation.names)
    lost = [
        loss
        for name in preparation.names
        for loss in simulation.remaining(name, [found.policy for found in now.of(name)])
    ]
    for loss in lost:
        by = listed(dict.fromkeys(policy.name for policy in loss.isolating))
        terminal.show([f"Still cut off: {flow_words(loss.flow)}; isolated by {by}"], Tone.BAD)
    return not lost


def changing(request: BootstrapRequest) -> tuple[Permission, ...]:
    """Return what writing the policies takes, and the labels where they are asked for."""
    writing = policy_permissions(request.namespaces)
    return (*writing, *permissions(NAMESPACE, ("get", "patch"))) if request.label else writing


def _looking(request: BootstrapRequest) -> tuple[Permission, ...]:
    return (*permissions(NAMESPACE, ("list",)), *policy_permissions(request.namespaces, ("list",)))


def _configured(site: Site) -> tuple[str, ...]:
    """Return the sources that the settings of a guard declare: it rejects what leaves one of them out."""
    try:
        found = site.objects.get(SETTINGS) or {}
    except StateUnreadable:
        return ()
    return declared_in((found.get("data") or {}).get(SETTINGS_KEY, ""))
