"""``netpol-guard doctor``: what is wrong with a cluster's IOMETE traffic, and what repairs it."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli import options
from app.cli.group import Example
from app.errors import InputError

if TYPE_CHECKING:
    from app.doctor.report.machine import Examination

EXAMPLES: tuple[Example, ...] = (
    ("What is wrong with this cluster?", "netpol-guard doctor"),
    ("The same as a kubectl plugin", "kubectl netpol-guard doctor"),
    ("Repair what can be repaired; shows the plan and asks first", "netpol-guard doctor --fix"),
    ("One page for a colleague", "netpol-guard doctor --format html > cluster.html"),
    ("Without the cluster, from exported manifests", "netpol-guard doctor --state ./exported-cluster"),
)


class DoctorFormat(Enum):
    """How the report is shown."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    JUNIT = "junit"
    HTML = "html"


def command(
    *,
    kubeconfig: options.KubeconfigOption = None,
    context: options.ContextOption = None,
    state: options.StateOption = None,
    api_server: options.ApiServerOption = None,
    namespace: Annotated[
        list[str] | None,
        typer.Option("--namespace", "-n", help="Look at this namespace alone; repeatable."),
    ] = None,
    report: Annotated[
        DoctorFormat, typer.Option("--format", help="How the report is shown.")
    ] = DoctorFormat.TEXT,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show what is fine, too.")] = False,
    calls: Annotated[
        bool, typer.Option("--calls/--no-calls", help="Let the API server really call the webhooks.")
    ] = True,
    fix: Annotated[
        bool, typer.Option("--fix", help="Repair what can be; shows the plan, asks, and looks again.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --fix: do not ask.")] = False,
    pause: Annotated[
        float, typer.Option(help="With --fix: seconds that the network plugin gets for new policies.", min=0)
    ] = 10.0,
) -> int:
    """Say what is wrong with IOMETE's traffic in a cluster, and the command that repairs it.

    Nothing is changed without --fix. Causes come before what follows from them.
    Exit code 0: healthy; 1: findings; 2: could not look.
    """
    from rich.console import Console

    from app.cli.examination import ExaminationOptions, examination
    from app.cli.repair import Consent, repair
    from app.cli.site import LiveSite
    from app.cli.terminal import LineTerminal
    from app.doctor.report.text import show
    from app.model.declared_sources import declared_sources

    if fix and (state is not None or report is not DoctorFormat.TEXT):
        raise InputError("--fix", "repairs a live cluster, with --format text; leave --state away")
    only = frozenset(namespace or ())
    given = ExaminationOptions(
        tuple(api_server or ()), only, calls=calls, folder=state, kubeconfig=kubeconfig, context=context
    )
    progress, output = Console(stderr=True), Console(highlight=False)

    def look() -> Examination:
        with progress.status("") as status:
            return examination(given, status.update)

    examined = look()
    if report is not DoctorFormat.TEXT:
        from app.doctor.report.machine import FORMATS

        typer.echo(FORMATS[report.value](examined), nl=False)
    else:
        show(examined.report, output, verbose=verbose)
    if fix and not examined.report.is_healthy:
        consent = Consent(yes, declared_sources(given.api_servers), pause)
        site = LiveSite.connect(kubeconfig, context)
        if repair(examined.report, output, consent, site=site, terminal=LineTerminal()):
            examined = look()
            show(examined.report, output, verbose=verbose)
    return 0 if examined.report.is_healthy else 1
