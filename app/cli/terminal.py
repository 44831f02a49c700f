"""Where an admin reads what is to be done, and answers."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import typer

from app.errors import InputError
from app.install.ports import Tone

if TYPE_CHECKING:
    from collections.abc import Iterable

_DIFF = {"+": typer.colors.GREEN, "-": typer.colors.RED, "@": typer.colors.CYAN}
_TONES = {Tone.GOOD: typer.colors.GREEN, Tone.BAD: typer.colors.RED}


class LineTerminal:
    """Lines on standard output, answers from standard input: a ``Terminal`` of ``app.install.ports``."""

    def show(self, lines: Iterable[str], tone: Tone = Tone.PLAIN) -> None:
        """Print lines, those of diffs in colour."""
        for line in lines:
            mark = line.strip()[:1] if line.startswith("    ") else ""
            bold = tone is Tone.GOOD or line.startswith("* ")
            typer.secho(line, fg=_TONES.get(tone, _DIFF.get(mark)), bold=bold)

    def confirm(self, question: str) -> bool:
        """Ask. Raises ``InputError`` where nobody can answer."""
        if not sys.stdin.isatty():
            raise InputError("", "nobody can be asked here: say --yes to go on, or --dry-run to only look")
        try:
            return typer.confirm(question)
        except typer.Abort:  # Ctrl-C, or the end of the input
            typer.echo()
            return False

    def begin(self, what: str) -> None:
        """Tell that ``what`` is being done now."""
        typer.echo(f"{what} ... ", nl=False)

    def end(self, how: str) -> None:
        """Tell how it went."""
        bad = how in ("failed", "interrupted")
        typer.secho(how, fg=typer.colors.RED if bad else typer.colors.GREEN)


def this_command() -> str:
    """Return the command line of this process, to be typed again."""
    return shlex.join(["netpol-guard", *sys.argv[1:]])
