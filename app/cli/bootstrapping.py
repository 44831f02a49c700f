"""The procedure of ``bootstrap``: look, plan, show, ask, do, verify."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from app.cli.installing import (
    confirm,
    perform,
    policy_acts,
    refuse,
    rehearsed,
    show,
    show_notes,
    show_plan,
)
from app.cluster.plugins import plugin_limit
from app.engine.cluster import Provenance
from app.engine.requirements import Options
from app.engine.words import flow_words, listed
from app.install.baselines import Wishes
from app.install.plan import Plan, label_steps, plan_policies
from app.install.preflight import (
    choose,
    opening_problems,
    permission_problem,
    permissions,
    policy_permissions,
    source_problem,
    version_problem,
)
from app.install.simulation import Simulation
from app.install.words import source_lines
from app.wire.kinds import NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from app.cli.installing import Tools
    from app.engine.cluster import Source
    from app.install.plan import Stock
    from app.wire.state import Permission

_UNMEASURED = (
    "where the API server calls from was looked up, not measured: only a guard that it calls can tell;"
    " install it with netpol-guard bootstrap, or name every member with --api-server"
)


@dataclass(frozen=True, slots=True)
class Request:
    """What an admin asked for."""

    namespaces: tuple[str, ...] = ()
    label: bool = False
    declared: tuple[Source, ...] = ()
    openings: tuple[str, ...] = ()
    adopt: bool = False
    yes: bool = False
    dry_run: bool = False
    pause: float = 10.0

    @property
    def labelled(self) -> tuple[str, ...]:
        """The namespaces that are to be labelled where they are not."""
        return self.namespaces if self.label else ()

    @property
    def wishes(self) -> Wishes:
        """What is wanted beside the baselines."""
        return Wishes(self.openings, self.adopt)

    @property
    def again(self) -> str:
        """The command that goes on where this one stopped."""
        names = "".join(f" -n {one}" for one in self.namespaces)
        return f"netpol-guard bootstrap --baselines-only{names}{' --label' if self.label else ''}"


def bring_baselines(tools: Tools, request: Request) -> int:
    """Bring both baselines into the managed namespaces; return the exit code.

    Raises ``CannotInstall`` where something is in the way, and nothing was changed then.
    """
    refuse(version_problem(tools.server.version()))
    refuse(permission_problem(tools.server, _permissions(request)))
    stock = tools.stock(request.declared, labelled=request.labelled, only=request.namespaces)
    chosen = choose(stock.cluster, request.namespaces)
    limit = plugin_limit(tools.objects, stock.cluster.sources)
    refuse(
        *chosen.problems,
        *opening_problems(stock.cluster, request.openings),
        source_problem(stock.cluster),
        *([] if limit is None else [str(limit)]),
    )
    show(source_lines(stock.cluster.sources))
    plan = plan_policies(stock, chosen.names, request.wishes, Options())
    steps = rehearsed(tools, Plan((*label_steps(request.labelled), *plan.steps), plan.notes, plan.problems))
    notes = {**plan.notes, "": (*chosen.notes, *plan.notes.get("", ()), *_unmeasured(stock.cluster.sources))}
    if not steps:
        show_notes(notes)
        typer.echo(f"Nothing to change: both baselines stand in {listed(chosen.names) or 'no namespace'}.")
        return 0
    show_plan(steps, notes)
    if request.dry_run:
        typer.echo("Nothing was changed: --dry-run.")
        return 0
    if not confirm("Make these changes?", yes=request.yes):
        typer.echo("Nothing was changed.")
        return 2
    account = perform(policy_acts(tools, stock.cluster, steps, request.pause), request.again)
    if not account.is_complete:
        return 2
    return _verified(tools, stock, chosen.names)


def _permissions(request: Request) -> tuple[Permission, ...]:
    reading = (*permissions(NAMESPACE, ("list",)), *policy_permissions(request.namespaces or ("",)))
    return (*reading, *permissions(NAMESPACE, ("get", "patch"))) if request.label else reading


def _unmeasured(sources: Sequence[Source]) -> tuple[str, ...]:
    if all(one.provenance is not Provenance.GUESSED for one in sources):
        return ()
    return (_UNMEASURED,)


def _verified(tools: Tools, stock: Stock, namespaces: Sequence[str]) -> int:
    """Look again, and say what stands; 2 where a required flow is still lost."""
    simulation = Simulation(stock.cluster, Options())
    now = tools.stock(only=namespaces)
    lost = [
        loss
        for name in namespaces
        for loss in simulation.remaining(name, [one.policy for one in now.of(name)])
    ]
    for loss in lost:
        by = listed(dict.fromkeys(one.name for one in loss.isolating))
        typer.secho(f"Still cut off: {flow_words(loss.flow)}; isolated by {by}", fg=typer.colors.RED)
    if lost:
        return 2
    typer.echo(f"Done: both baselines stand in {listed(namespaces)}, and every required flow passes.")
    return 0
