"""``netpol-guard bootstrap``: from nothing to a guarded cluster."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli import options
from app.cli.group import Example
from app.errors import InputError

EXAMPLES: tuple[Example, ...] = (
    (
        "Both baselines into one more namespace of the platform",
        "netpol-guard bootstrap --baselines-only -n data-plane-2 --label",
    ),
    ("See what would be changed, and change nothing", "netpol-guard bootstrap --baselines-only --dry-run"),
    (
        "The gateway of Istio stays let in",
        "netpol-guard bootstrap --baselines-only --allow-namespace istio-system",
    ),
)
_PAUSE = 10.0


def command(
    *,
    namespace: Annotated[
        list[str] | None,
        typer.Option("--namespace", "-n", help="Only this managed namespace; repeatable [default: all]."),
    ] = None,
    label: Annotated[
        bool,
        typer.Option("--label", help="Label the namespaces given with -n as managed where they are not."),
    ] = False,
    api_server: options.ApiServer = None,
    allow_namespace: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-namespace", metavar="NAME", help="Let the pods of this namespace in too; repeatable."
        ),
    ] = None,
    baselines_only: Annotated[
        bool,
        typer.Option("--baselines-only", help="Only the two policies; no guard, so nothing is measured."),
    ] = False,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Take over policies that others wrote and that differ.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan, tried by the API server; change nothing.")
    ] = False,
    pause: Annotated[
        float, typer.Option(help="Seconds that the network plugin gets before a bridge policy goes.", min=0)
    ] = _PAUSE,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
) -> int:
    """Bring the guard and both baselines into a cluster, without cutting anything off on the way.

    Shows a plan with a diff, asks, applies, verifies. A second run changes nothing; an interrupted one is
    completed by running it again. Exit code 0: done; 2: it could not, and the message says what stands.
    """
    from app.cli.bootstrapping import Request, bring_baselines
    from app.cli.installing import Tools, sources_of

    if not baselines_only:
        raise InputError("--baselines-only", "required so far: the guard itself is installed from deploy/")
    if label and not namespace:
        raise InputError("--label", "name the namespaces to label with -n")
    request = Request(
        namespaces=tuple(namespace or ()),
        label=label,
        declared=sources_of(api_server or ()),
        openings=tuple(allow_namespace or ()),
        adopt=adopt,
        yes=yes,
        dry_run=dry_run,
        pause=pause,
    )
    return bring_baselines(Tools.connect(kubeconfig, context), request)
