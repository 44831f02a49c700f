"""Commands that are imported when they are called: none pays for what another one needs.

A command ``x`` is the module ``app.cli.x`` with a function ``command``, whose docstring is the help and whose
result the exit code, and ``EXAMPLES``, which the help ends with.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

Example = tuple[str, ...]
"""What somebody wants, and the lines of the command that does it."""

_VERBATIM = "\b"


def examples_text(examples: tuple[Example, ...]) -> str:
    """Return examples as the end of a help text, in lines that are not wrapped."""
    blocks = ["\n".join((_VERBATIM, f"# {what}", *lines)) for what, *lines in examples]
    return "\n\n".join(("Examples:", *blocks))


class LazyGroup(TyperGroup):
    """A group whose ``NAMES`` are modules beside this one."""

    NAMES: tuple[str, ...] = ()

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401, ARG002 - the library's private type
        """Return the names, in the order in which the help shows them."""
        return list(self.NAMES)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ANN401, ARG002 - the same
        """Return the command ``cmd_name``, None if there is none."""
        return _loaded(cmd_name) if cmd_name in self.NAMES else None


def _loaded(name: str) -> Any:  # noqa: ANN401 - the library's private type
    module = import_module(f"{__package__}.{name}")
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    single.command(name, epilog=examples_text(module.EXAMPLES))(module.command)
    return typer.main.get_command(single)
