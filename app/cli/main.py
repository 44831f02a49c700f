"""The program's entry: commands, and errors as sentences with exit code 2."""

from __future__ import annotations

import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from app import __version__
from app.cli.group import Example, LazyGroup, examples_text
from app.errors import GuardError

EXAMPLES: tuple[Example, ...] = (
    ("See what the guard does, without a cluster", "netpol-guard serve --embedded"),
    (
        "Guard the cluster of the kubeconfig",
        "netpol-guard bootstrap --image registry.example/netpol-guard:1.0",
    ),
    ("What is wrong with this cluster?", "netpol-guard doctor"),
    ("Lint manifests before anybody applies them", "netpol-guard check policies/"),
    (
        "Is this flow allowed, and by which rule?",
        "netpol-guard explain --live --from data-plane/driver-0 --to iomete-system/catalog-0 --port http",
    ),
    ("Completion of commands, options and values for this shell", "netpol-guard --install-completion"),
)


class _Commands(LazyGroup):
    NAMES = ("serve", "check", "explain", "bootstrap", "uninstall", "doctor", "map")


def _end(code: int, **_: object) -> None:
    raise typer.Exit(code)


_app = typer.Typer(
    name="netpol-guard",
    cls=_Commands,
    epilog=examples_text(EXAMPLES),
    result_callback=_end,
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
    """Keep IOMETE's required network flows possible, whatever NetworkPolicy is applied.

    Exit codes of all commands: 0 fine; 1 findings, or denied; 2 unusable input, or it could not look.
    """


def main() -> int:
    """Run the program with the arguments of the process; return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # what a terminal cannot show must not end the program
            stream.reconfigure(errors="backslashreplace")
    try:
        _app()
    except GuardError as error:
        for line in str(error).splitlines():
            typer.echo(f"netpol-guard: {line}", err=True)
        return 2
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
