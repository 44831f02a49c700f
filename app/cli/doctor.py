"""``netpol-guard doctor``: what is wrong with a cluster's IOMETE traffic, and what repairs it."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from app.cli import options
from app.cli.group import Example

EXAMPLES: tuple[Example, ...] = (
    ("What is wrong with this cluster?", "netpol-guard doctor"),
    ("The same as a kubectl plugin", "kubectl netpol-guard doctor"),
    ("Repair what can be repaired; shows the plan and asks first", "netpol-guard doctor --fix"),
    ("One page for a colleague", "netpol-guard doctor --format html > cluster.html"),
    ("Without the cluster, from exported manifests", "netpol-guard doctor --state ./exported-cluster"),
)


class Format(Enum):
    """How the report is shown."""

    TEXT = "text"


def command(
    *,
    kubeconfig: options.Kubeconfig = None,
    context: options.Context = None,
    state: options.State = None,
    api_server: options.ApiServer = None,
    namespace: Annotated[
        list[str] | None,
        typer.Option("--namespace", "-n", help="Look at this namespace alone; repeatable."),
    ] = None,
    report: Annotated[Format, typer.Option("--format", help="How the report is shown.")] = Format.TEXT,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show what is fine, too.")] = False,
    calls: Annotated[
        bool, typer.Option("--calls/--no-calls", help="Let the API server really call the webhooks.")
    ] = True,
) -> int:
    """Say what is wrong with IOMETE's traffic in a cluster, and the command that repairs it.

    Nothing is changed without --fix. Causes come before what follows from them.
    Exit code 0: healthy; 1: findings; 2: could not look.
    """
    from rich.console import Console

    from app.cli.doctor_text import show
    from app.cli.examination import Given, examination

    del report
    given = Given(tuple(api_server or ()), frozenset(namespace or ()), calls, state, kubeconfig, context)
    console = Console(stderr=True)
    with console.status("") as status:
        examined = examination(given, status.update)
    show(examined, Console(highlight=False), verbose=verbose)
    return 0 if examined.is_healthy else 1
