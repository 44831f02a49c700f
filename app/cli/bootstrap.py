"""``netpol-guard bootstrap``: from nothing to a guarded cluster."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from app.cli import options
from app.cli.group import Example
from app.errors import InputError

EXAMPLES: tuple[Example, ...] = (
    (
        "Everything: the guard, both baselines in every managed namespace, and a test that it works",
        "netpol-guard bootstrap --image registry.example/netpol-guard:1.0",
    ),
    (
        "Look first: the whole plan, tried by the API server, and nothing changed",
        "netpol-guard bootstrap --image registry.example/netpol-guard:1.0 --dry-run",
    ),
    (
        "One more namespace of the platform; Istio's gateway is let in",
        "netpol-guard bootstrap -n data-plane-2 --label --allow-namespace istio-system",
    ),
    (
        "Only the two policies, no guard",
        "netpol-guard bootstrap --baselines-only --api-server 10.20.0.10 --api-server 10.20.0.11",
    ),
    (
        "Manifests for GitOps",
        "netpol-guard bootstrap --image registry.example/netpol-guard:1.0 --output yaml > guard.yaml",
    ),
)
_TIMEOUT = 180.0


class Output(Enum):
    """What ``--output`` prints instead of doing anything."""

    YAML = "yaml"


def command(
    *,
    image: Annotated[
        str, typer.Option("--image", help="The guard's image; required unless it runs already.")
    ] = "",
    namespace: Annotated[
        list[str] | None,
        typer.Option("--namespace", "-n", help="Only this managed namespace; repeatable [default: all]."),
    ] = None,
    label: Annotated[
        bool,
        typer.Option("--label", help="Label the namespaces given with -n as managed where they are not."),
    ] = False,
    api_server: options.ApiServerOption = None,
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
        bool, typer.Option("--adopt", help="Take over what others wrote and what differs.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan, tried by the API server; change nothing.")
    ] = False,
    output: Annotated[
        Output | None,
        typer.Option(help="Print the manifests instead, for GitOps; never a private key."),
    ] = None,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait/--no-wait", help="Wait for the guard, measure and test; without, nothing is enforced yet."
        ),
    ] = True,
    timeout: Annotated[
        float, typer.Option(help="Seconds that the guard gets to run, to answer, and to take over.", min=1)
    ] = _TIMEOUT,
    pause: options.PauseOption = options.PAUSE,
    kubeconfig: options.KubeconfigOption = None,
    context: options.ContextOption = None,
) -> int:
    """Bring the guard and both baselines into a cluster, without cutting anything off on the way.

    Shows a plan with a diff, asks, applies, measures where the API server calls from, tests itself, and only
    then lets the guard reject anything. A second run changes nothing; an interrupted one is completed by
    running it again. Exit code 0: done; 2: it could not, and the message says what stands.
    """
    from app.cli.site import LiveSite
    from app.cli.terminal import LineTerminal, this_command
    from app.install.bootstrap import bring_guard
    from app.install.gitops import manifests_as_yaml
    from app.install.prepare import BootstrapRequest, bring_baselines
    from app.model.declared_sources import declared_sources

    if label and not namespace:
        raise InputError("--label", "name the namespaces to label with -n")
    request = BootstrapRequest(
        namespaces=tuple(namespace or ()),
        label=label,
        declared=declared_sources(api_server or ()),
        openings=tuple(allow_namespace or ()),
        adopt=adopt,
        yes=yes,
        dry_run=dry_run,
        pause=pause,
        image=image,
        wait=wait,
        timeout=timeout,
        again=this_command(),
    )
    site = LiveSite.connect(kubeconfig, context)
    if output is not None:
        typer.echo(manifests_as_yaml(site, request, guard=not baselines_only), nl=False)
        return 0
    bring = bring_baselines if baselines_only else bring_guard
    return bring(site, LineTerminal(), request)
