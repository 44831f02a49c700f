"""What ``bootstrap``, ``uninstall`` and ``doctor --fix`` have in common: the wiring, and how it is shown."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import typer

from app.cluster.state.sources import declared_source
from app.errors import InputError
from app.install.dry_run import Step
from app.install.words import note_lines, plan_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from app.engine.cluster import Source

_COLOURS = {"+": typer.colors.GREEN, "-": typer.colors.RED, "@": typer.colors.CYAN}


class Lines:
    """Progress as lines: what is being done, then how it went."""

    def begin(self, what: str) -> None:
        """Tell that ``what`` is being done now."""
        typer.echo(f"{what} ... ", nl=False)

    def end(self, how: str) -> None:
        """Tell how it went."""
        colour = {"failed": typer.colors.RED, "interrupted": typer.colors.RED}.get(how, typer.colors.GREEN)
        typer.secho(how, fg=colour)


def sources_of(given: Iterable[str], origin: str = "given by --api-server") -> tuple[Source, ...]:
    """Return the sources that an admin names, by default with ``--api-server``. Raises ``InputError``."""
    try:
        return tuple(declared_source(one, origin) for one in given)
    except ValueError as error:
        raise InputError(
            "--api-server", f"{error}; give an address or a CIDR such as 10.20.0.10/32"
        ) from error


def show(lines: Iterable[str]) -> None:
    """Print lines, those of diffs in colour."""
    for line in lines:
        mark = line.strip()[:1] if line.startswith("    ") else ""
        typer.secho(line, fg=_COLOURS.get(mark), bold=line.startswith("* "))


def show_plan(steps: Sequence[Step], notes: Mapping[str, Sequence[str]]) -> None:
    """Print a plan."""
    show(plan_lines(steps, notes))


def show_notes(notes: Mapping[str, Sequence[str]]) -> None:
    """Print notes where there are no steps."""
    show(note_lines(notes))


def confirm(question: str, *, yes: bool) -> bool:
    """Ask; with ``yes``, do not. Raises ``InputError`` where nobody can answer."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise InputError("", "nobody can be asked here: say --yes to go on, or --dry-run to only look")
    try:
        return typer.confirm(question)
    except typer.Abort:  # Ctrl-C, or the end of the input
        typer.echo()
        return False


def agreed(steps: Sequence[Step], notes: Mapping[str, Sequence[str]], *, yes: bool, dry_run: bool) -> bool:
    """Show the plan and ask; return whether to go on. Raises ``InputError`` where nobody can answer."""
    show_plan(steps, notes)
    if dry_run:
        typer.echo("Nothing was changed: --dry-run.")
        return False
    if confirm("Make these changes?", yes=yes):
        return True
    typer.echo("Nothing was changed.")
    return False


def this_command() -> str:
    """Return the command line of this process, to be typed again."""
    return shlex.join(["netpol-guard", *sys.argv[1:]])
