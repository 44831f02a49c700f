"""``netpol-guard uninstall``: takes away what ``bootstrap`` brought."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli import options
from app.cli.group import Example
from app.errors import InputError

EXAMPLES: tuple[Example, ...] = (
    ("The guard; the baselines stay", "netpol-guard uninstall"),
    ("The guard and the baselines of every managed namespace", "netpol-guard uninstall --baselines"),
    (
        "Only the baselines of one namespace; the guard stays",
        "netpol-guard uninstall --baselines -n data-plane",
    ),
    ("See what would be removed, and change nothing", "netpol-guard uninstall --dry-run"),
)
_TIMEOUT = 180.0


def command(
    *,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Take the baselines away too, over a bridge policy.")
    ] = False,
    namespace: Annotated[
        list[str] | None,
        typer.Option(
            "--namespace", "-n", help="Only the baselines of this namespace, and not the guard; repeatable."
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan; change nothing.")] = False,
    timeout: Annotated[
        float, typer.Option(help="Seconds that the guard's namespace gets to be gone.", min=1)
    ] = _TIMEOUT,
    pause: options.PauseOption = options.PAUSE,
    kubeconfig: options.KubeconfigOption = None,
    context: options.ContextOption = None,
) -> int:
    """Take the guard out of a cluster, its webhook configuration first; the baselines stay unless asked for.

    An interrupted run is completed by running it again.
    Exit code 0: done; 2: it could not, and the message says what stands.
    """
    from app.cli.site import LiveSite
    from app.cli.terminal import LineTerminal, this_command
    from app.install.uninstall import UninstallRequest, take_away

    if namespace and not baselines:
        raise InputError("--namespace", "goes with --baselines: the guard is there once for all namespaces")
    request = UninstallRequest(
        tuple(namespace or ()),
        guard=not namespace,
        baselines=baselines,
        yes=yes,
        dry_run=dry_run,
        pause=pause,
        timeout=timeout,
        again=this_command(),
    )
    return take_away(LiveSite.connect(kubeconfig, context), LineTerminal(), request)
