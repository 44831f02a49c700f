"""One thing that a command found, as every format for programs takes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from enum import Enum


@dataclass(frozen=True, slots=True)
class Result:
    """What was found: in a file, or about an object of a cluster, which ``subject`` then names.

    ``level`` is error, warning or note. ``place`` is line and column from 1, None without a text; ``file`` is
    empty for standard input.
    """

    rule: Enum
    level: str
    text: str
    file: str = ""
    place: tuple[int, int] | None = None
    subject: str = ""
