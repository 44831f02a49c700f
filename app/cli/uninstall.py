"""``netpol-guard uninstall``: takes away what ``bootstrap`` brought."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli import options
from app.cli.group import Example
from app.errors import InputError

EXAMPLES: tuple[Example, ...] = (
    (
        "Both baselines of one namespace, without cutting anything off on the way",
        "netpol-guard uninstall --baselines -n data-plane",
    ),
    ("See what would be removed, and change nothing", "netpol-guard uninstall --baselines --dry-run"),
)
_PAUSE = 10.0


def command(
    *,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Take the baselines away too, over a bridge policy.")
    ] = False,
    namespace: Annotated[
        list[str] | None,
        typer.Option("--namespace", "-n", help="Only the baselines of this namespace; repeatable."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan; change nothing.")] = False,
    pause: Annotated[
        float, typer.Option(help="Seconds that the network plugin gets before a bridge policy goes.", min=0)
    ] = _PAUSE,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Take the baselines out of a cluster again.

    Exit code 0: done; 2: it could not, and the message says what stands.
    """
    from app.cli.installing import Tools
    from app.cli.uninstalling import Request, take_baselines_away

    if not baselines:
        raise InputError("--baselines", "required so far: the guard itself is removed as it was installed")
    request = Request(tuple(namespace or ()), yes=yes, dry_run=dry_run, pause=pause)
    return take_baselines_away(Tools.connect(kubeconfig, context), request)
