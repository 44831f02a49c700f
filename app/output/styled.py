"""Styled lines on a terminal, plain ones elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable


Line = tuple[tuple[str, str], ...]
"""Pieces of text, each with its style in Rich's words."""


def show(lines: Iterable[Line], stream: TextIO | None = None) -> None:
    """Print ``lines``: with colour on a terminal, unless NO_COLOR says otherwise."""
    out = sys.stdout if stream is None else stream
    if not out.isatty():
        out.writelines("".join(printable(text) for text, _ in line) + "\n" for line in lines)
        return
    from rich.console import Console
    from rich.text import Text

    console = Console(file=out, soft_wrap=True)
    for line in lines:
        console.print(Text.assemble(*((printable(text), style) for text, style in line)))


def printable(text: str) -> str:
    r"""Return ``text`` with control characters spelled out, so that no file's words move the cursor.

    >>> printable("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
