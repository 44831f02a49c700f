"""The procedure of ``uninstall``: look, plan, show, ask, do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from app.cli.installing import confirm, perform, policy_acts, refuse, rehearsed, show_notes, show_plan
from app.engine.requirements import Options
from app.engine.words import listed
from app.install.plan import plan_removals
from app.install.preflight import choose, permission_problem, permissions, policy_permissions
from app.wire.kinds import NAMESPACE

if TYPE_CHECKING:
    from app.cli.installing import Tools


@dataclass(frozen=True, slots=True)
class Request:
    """What an admin asked for."""

    namespaces: tuple[str, ...] = ()
    yes: bool = False
    dry_run: bool = False
    pause: float = 10.0

    @property
    def again(self) -> str:
        """The command that goes on where this one stopped."""
        return "netpol-guard uninstall --baselines" + "".join(f" -n {one}" for one in self.namespaces)


def take_baselines_away(tools: Tools, request: Request) -> int:
    """Take the baselines out of the managed namespaces; return the exit code.

    Raises ``CannotInstall`` where something is in the way, and nothing was changed then.
    """
    wanted = (*permissions(NAMESPACE, ("list",)), *policy_permissions(request.namespaces or ("",)))
    refuse(permission_problem(tools.server, wanted))
    stock = tools.stock(only=request.namespaces)
    chosen = choose(stock.cluster, request.namespaces)
    refuse(*chosen.problems)
    plan = plan_removals(stock, chosen.names, Options())
    steps = rehearsed(tools, plan)
    notes = {**plan.notes, "": (*chosen.notes, *plan.notes.get("", ()))}
    if not steps:
        show_notes(notes)
        typer.echo(f"Nothing to remove: no baseline stands in {listed(chosen.names) or 'any namespace'}.")
        return 0
    show_plan(steps, notes)
    if request.dry_run:
        typer.echo("Nothing was changed: --dry-run.")
        return 0
    if not confirm("Remove these?", yes=request.yes):
        typer.echo("Nothing was changed.")
        return 2
    account = perform(policy_acts(tools, stock.cluster, steps, request.pause), request.again)
    if not account.is_complete:
        return 2
    typer.echo(f"Done: no baseline stands in {listed(chosen.names)} any more.")
    return 0
