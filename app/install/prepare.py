"""The procedure of ``bootstrap``: look, plan, show, ask, do, verify. Here as far as the baselines go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import typer

from app.cli.site import Tools
from app.cli.terminal import agreed, show, show_notes, sources_of
from app.cluster.state.cilium import plugin_limit
from app.engine.cluster import Provenance, Source
from app.engine.requirements import Options
from app.engine.words import flow_words, listed
from app.errors import StateUnreadable
from app.install.guard.manifests import SETTINGS, declared_in
from app.install.plan import Plan, Stock, label_steps, plan_policies
from app.install.policies.namespace import Wishes
from app.install.policies.simulation import Simulation
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
from app.install.procedure import perform, policy_acts, refuse, rehearsed
from app.install.words import source_lines
from app.model.access import Permission
from app.model.kinds import NAMESPACE, NETWORK_POLICY
from app.names import SETTINGS_KEY

_UNMEASURED = (
    "where the API server calls from was looked up, not measured: only a guard that it calls can tell;"
    " install it with netpol-guard bootstrap, or name every member with --api-server"
)


@dataclass(frozen=True, slots=True)
class Request:
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
    def wishes(self) -> Wishes:
        """What is wanted beside the baselines."""
        return Wishes(self.openings, self.adopt)


@dataclass(frozen=True, slots=True)
class Ground:
    """What was found before anything is done: the cluster, and the namespaces to work on."""

    stock: Stock
    chosen: Chosen
    declared: tuple[Source, ...]
    request: Request

    @property
    def names(self) -> tuple[str, ...]:
        """The namespaces to work on."""
        return self.chosen.names

    def policies(self) -> Plan:
        """Return the plan for the baselines, labels included."""
        plan = plan_policies(self.stock, self.names, self.request.wishes, Options())
        return Plan((*label_steps(self.request.labelled), *plan.steps), plan.notes, plan.problems)

    def notes(self, plan: Plan) -> Mapping[str, Sequence[str]]:
        """Return the notes of ``plan`` with those about the cluster."""
        return {**plan.notes, "": (*self.chosen.notes, *self.stock.notes, *plan.notes.get("", ()))}


def prepare(tools: Tools, request: Request, needed: Sequence[Permission]) -> Ground:
    """Return what is there. Raises ``CannotInstall`` where something is in the way.

    ``needed`` are the permissions for what is to be done beside looking at namespaces and policies.
    """
    refuse(version_problem(tools.server.version()))
    refuse(permission_problem(tools.server, (*_looking(request), *needed)))
    declared = request.declared or sources_of(_configured(tools), "declared in the guard's settings")
    stock = tools.stock(declared, labelled=request.labelled, only=request.namespaces)
    chosen = choose(stock.cluster, request.namespaces)
    limit = plugin_limit(tools.objects, stock.cluster.sources)
    refuse(
        *chosen.problems,
        *opening_problems(stock.cluster, request.openings),
        source_problem(stock.cluster),
        *([] if limit is None else [str(limit)]),
    )
    return Ground(stock, chosen, declared, request)


def bring_baselines(tools: Tools, request: Request) -> int:
    """Bring both baselines into the managed namespaces; return the exit code.

    Raises ``CannotInstall`` where something is in the way, and nothing was changed then.
    """
    ground = prepare(tools, request, changing(request))
    show(source_lines(ground.stock.cluster.sources))
    plan = ground.policies()
    steps = rehearsed(tools, plan)
    notes = {**ground.notes(plan)}
    notes[""] = (*notes[""], *_unmeasured(ground.stock.cluster.sources))
    if not steps:
        show_notes(notes)
        typer.echo(f"Nothing to change: both baselines stand in {listed(ground.names) or 'no namespace'}.")
        return 0
    if not agreed(steps, notes, yes=request.yes, dry_run=request.dry_run):
        return 0 if request.dry_run else 2
    if not perform(policy_acts(tools, ground.stock.cluster, steps, request.pause), request.again):
        return 2
    if not all_pass(tools, ground):
        return 2
    typer.echo(f"Done: both baselines stand in {listed(ground.names)}, and every required flow passes.")
    return 0


def all_pass(tools: Tools, ground: Ground) -> bool:
    """Look again, and tell whether every required flow passes; say which does not."""
    simulation = Simulation(ground.stock.cluster, Options())
    now = tools.stock(only=ground.names)
    lost = [
        loss
        for name in ground.names
        for loss in simulation.remaining(name, [one.policy for one in now.of(name)])
    ]
    for loss in lost:
        by = listed(dict.fromkeys(one.name for one in loss.isolating))
        typer.secho(f"Still cut off: {flow_words(loss.flow)}; isolated by {by}", fg=typer.colors.RED)
    return not lost


def changing(request: Request) -> tuple[Permission, ...]:
    """Return what writing the policies takes, and the labels where they are asked for."""
    writing = policy_permissions(request.namespaces or ("",))
    return (*writing, *permissions(NAMESPACE, ("get", "patch"))) if request.label else writing


def _looking(request: Request) -> tuple[Permission, ...]:
    policies = (permissions(NETWORK_POLICY, ("list",), name) for name in request.namespaces or ("",))
    return (*permissions(NAMESPACE, ("list",)), *(one for each in policies for one in each))


def _configured(tools: Tools) -> tuple[str, ...]:
    """Return the sources that the settings of a guard declare: it rejects what leaves one of them out."""
    try:
        found = tools.objects.get(SETTINGS) or {}
    except StateUnreadable:
        return ()
    return declared_in((found.get("data") or {}).get(SETTINGS_KEY, ""))


def _unmeasured(sources: Sequence[Source]) -> tuple[str, ...]:
    return (_UNMEASURED,) if any(one.provenance is Provenance.GUESSED for one in sources) else ()
