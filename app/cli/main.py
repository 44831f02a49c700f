"""The program's entry: commands, and errors as sentences with exit code 2."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from app import __version__
from app.errors import GuardError

_app = typer.Typer(
    name="netpol-guard",
    help="Keeps IOMETE's required network flows possible, whatever NetworkPolicy is applied.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer's signature
    if wanted:
        typer.echo(f"netpol-guard {__version__}")
        raise typer.Exit


@_app.callback()
def _common(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Keep IOMETE's required network flows possible, whatever NetworkPolicy is applied."""


@_app.command()
def serve(
    config: Annotated[Path | None, typer.Option(help="Settings, a YAML file.")] = None,
    state: Annotated[
        Path | None, typer.Option(help="Judge by the manifests in this folder, not by a cluster.")
    ] = None,
    embedded: Annotated[  # noqa: FBT002 - typer's way to declare a flag
        bool, typer.Option("--embedded", help="Sample cluster, own certificate, a few changes shown.")
    ] = False,
    once: Annotated[  # noqa: FBT002 - the same
        bool, typer.Option("--once", help="With --embedded: end after the changes were shown.")
    ] = False,
) -> None:
    """Serve the webhook: POST /validate over TLS, health and metrics on a port of their own.

    Examples:
      netpol-guard serve --embedded

      netpol-guard serve --config /etc/netpol-guard/settings.yaml

      NETPOL_GUARD_MODE=warn netpol-guard serve --state ./manifests
    """
    from app.cli.serve import serve_command

    raise typer.Exit(serve_command(config, state, embedded=embedded, once=once))


@_app.command()
def check(
    paths: Annotated[list[str], typer.Argument(help="Files, folders, or - for standard input.")],
    *,
    report: Annotated[str, typer.Option("--format", help="text, json, sarif, junit or github.")] = "text",
    strict: Annotated[bool, typer.Option("--strict", help="Warnings are findings too.")] = False,
    assume_baselines: Annotated[
        bool, typer.Option("--assume-baselines", help="Judge as if both baselines stood beside the files.")
    ] = False,
    state: Annotated[
        Path | None, typer.Option(help="Judge the files as a change to the manifests in this folder.")
    ] = None,
    api_server: Annotated[
        list[str] | None,
        typer.Option("--api-server", help="Where the API server's calls come from, a CIDR; repeatable."),
    ] = None,
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="For manifests that name no namespace.")
    ] = "default",
) -> None:
    """Lint NetworkPolicy manifests offline; exit code 0 clean, 1 findings, 2 unusable input.

    The files are taken for the whole policy set of their namespaces unless you say otherwise.

    Examples:
      netpol-guard check policies/ --api-server 10.20.0.10

      kubectl get networkpolicies -A -o yaml | netpol-guard check - --format json

      netpol-guard check new.yaml --assume-baselines
    """
    from app.audit.lint import Assumptions
    from app.cli.check import check_command, cluster_of

    assumptions = Assumptions(None, cluster_of(api_server or ()), assume_baselines, namespace)
    raise typer.Exit(check_command(paths, report=report, strict=strict, state=state, assumptions=assumptions))


@_app.command()
def explain(
    state: Annotated[Path, typer.Option(help="A folder of manifests as kubectl get -o yaml prints them.")],
    source: Annotated[str, typer.Option("--from", help="namespace/key=value,... or an address.")],
    destination: Annotated[str, typer.Option("--to", help="namespace/key=value,... or an address.")],
    port: Annotated[str, typer.Option(help="443, 53/UDP, or 8080/TCP/http with the port's name.")] = "443",
) -> None:
    """Say whether a flow is allowed, and by or despite which policy and rule; exit code 0 allowed, 1 not.

    Examples:
      netpol-guard explain --state deploy/sample --from data-plane-science
      --to iomete-system/service=spark-operator --port 15002

      netpol-guard explain --state deploy/sample --from 10.20.0.10
      --to iomete-system/service=spark-operator --port 9443
    """
    from app.cli.explain import explain_command

    raise typer.Exit(explain_command(state, source, destination, port))


def main() -> int:
    """Run the program with the arguments of the process; return its exit code."""
    try:
        _app(standalone_mode=True)
    except GuardError as error:
        typer.echo(f"netpol-guard: {error}", err=True)
        return 2
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
