"""Changes to single values of a YAML or JSON text; everything else in it stays as somebody wrote it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.wire.text.layout import Layout, column, in_brackets, indent_of, line_end, line_start
from app.wire.text.positions import Style, TextSpan

Steps = tuple[str, ...]
Entry = tuple[str | None, object]
"""A member with its name, or an item without one."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What stands from ``start`` to ``end`` becomes ``text``.

    ``depth`` is how deeply the list or object is nested that it belongs to: what is inside comes first.
    """

    start: int
    end: int
    text: str
    depth: int = 0


class Editor:
    """Collects changes to the values of one text; ``text`` applies them.

    ``root`` is the span in which all ``steps`` begin. No two changes may touch the same value.
    """

    def __init__(self, text: str, root: TextSpan) -> None:
        self._text = text
        self._root = root
        self._layout = Layout.of(text, root)
        self._pieces: list[Piece] = []

    def append(self, steps: Steps, value: object) -> None:
        """Add ``value`` to the list at ``steps``. Raises ``LookupError`` where there is none."""
        found = self._found(steps)
        if found.style is Style.BLOCK:
            lines = self._layout.lines([value])
            self._insert_lines((found.end, len(steps)), lines, column(self._text, found.start))
        else:
            self._insert_entry(found, (None, value), len(steps))

    def put(self, steps: Steps, value: object) -> None:
        """Set the member that ``steps`` end with. Raises ``LookupError`` where there is no object for it."""
        *way, name = steps
        parent = self._found(tuple(way))
        old = parent.members.get(name)
        if old is not None:
            self._replace(parent, old, (value, len(steps)))
        elif parent.style is Style.BLOCK:
            first, last = next(iter(parent.members.values())), list(parent.members.values())[-1]
            lines = self._layout.lines({name: value})
            self._insert_lines((last.end, len(way)), lines, column(self._text, first.key))
        else:
            self._insert_entry(parent, (name, value), len(way))

    def remove(self, steps: Steps) -> None:
        """Take a member out of an object that has others. Raises ``LookupError`` where there is none."""
        *way, name = steps
        parent, found = self._found(tuple(way)), self._found(steps)
        names = list(parent.members)
        place = names.index(name)
        if place + 1 < len(names) and (parent.style is not Style.BLOCK or self._begins_item(found)):
            self._pieces.append(Piece(found.key, parent.members[names[place + 1]].key, ""))
        elif parent.style is Style.BLOCK:
            # With the line break before it: what is added behind it begins with the one after it.
            start = line_end(self._text, line_start(self._text, found.key) - 1)
            self._pieces.append(Piece(start, line_end(self._text, found.end), ""))
        else:
            self._pieces.append(Piece(parent.members[names[place - 1]].end, found.end, ""))

    def _begins_item(self, member: TextSpan) -> bool:
        """Tell whether a dash stands before the member, which must stay."""
        return bool(self._text[line_start(self._text, member.key) : member.key].strip())

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The changes so far, for ``changed``."""
        return tuple(self._pieces)

    def _found(self, steps: Steps) -> TextSpan:
        found = self._root.find(steps)
        if found is None:
            raise LookupError(".".join(steps))
        return found

    def _insert_lines(self, after: tuple[int, int], lines: Iterable[str], indent: int) -> None:
        """Insert lines below the line of the position in ``after``, which comes with the depth."""
        position, depth = after
        end = line_end(self._text, position)
        added = "".join(f"{self._layout.newline}{' ' * indent}{line}" for line in lines)
        self._pieces.append(Piece(end, end, added, depth))

    def _replace(self, parent: TextSpan, old: TextSpan, new: tuple[object, int]) -> None:
        value, depth = new
        if parent.style is not Style.BLOCK:
            self._pieces.append(Piece(old.start, old.end, self._spelled(parent, value, None)))
            return
        if old.style is Style.BLOCK:
            start, end = line_start(self._text, old.start), line_end(self._text, old.end)
            indent = " " * column(self._text, old.start)
            spelled = self._layout.newline.join(f"{indent}{line}" for line in self._layout.lines(value))
            self._pieces.append(Piece(start, end, spelled))
            return
        start = old.start
        while self._text[start - 1] in " \t":
            start -= 1
        self._pieces.append(Piece(start, old.end, ""))
        deeper = self._layout.dash if isinstance(value, list) else self._layout.step
        lines = self._layout.lines(value)
        self._insert_lines((old.end, depth), lines, column(self._text, old.key) + deeper)

    def _insert_entry(self, inside: TextSpan, entry: Entry, depth: int) -> None:
        """Insert a member or an item behind the last one between brackets."""
        children = (*inside.members.values(), *inside.items)
        if not children:
            indent = self._indent_below(inside)
            before = after = ""
            if indent is not None:
                before = f"{self._layout.newline}{indent}"
                after = f"{self._layout.newline}{indent_of(self._text, inside.start)}"
            spelled = f"{before}{self._entry(inside, entry, indent)}{after}"
            self._pieces.append(Piece(inside.start + 1, inside.end - 1, spelled))
            return
        last = children[-1]
        begin = last.start if last.key < 0 else last.key
        before = self._text[line_start(self._text, begin) : begin]
        indent = None if before.strip() else before
        space = " " if self._is_spaced(inside) else ""
        separator = f",{space}" if indent is None else f",{self._layout.newline}{indent}"
        spelled = f"{separator}{self._entry(inside, entry, indent)}"
        self._pieces.append(Piece(last.end, last.end, spelled, depth))

    def _indent_below(self, inside: TextSpan) -> str | None:
        """Return the indentation for the first member of empty brackets; None where all is on one line."""
        if inside.style is not Style.JSON or "\n" not in self._text[self._root.start : self._root.end]:
            return None
        return indent_of(self._text, inside.start) + self._layout.unit

    def _is_spaced(self, inside: TextSpan) -> bool:
        return self._layout.spaced or inside.style is not Style.JSON

    def _entry(self, inside: TextSpan, entry: Entry, indent: str | None) -> str:
        name, value = entry
        spelled = self._spelled(inside, value, indent)
        if name is None:
            return spelled
        colon = ": " if self._is_spaced(inside) else ":"
        return f"{self._spelled(inside, name, None)}{colon}{spelled}"

    def _spelled(self, inside: TextSpan, value: object, indent: str | None) -> str:
        return self._layout.json(value, indent) if inside.style is Style.JSON else in_brackets(value)


def changed(text: str, pieces: Iterable[Piece]) -> str:
    """Return ``text`` with all changes made; at the same place the innermost first, then in their order."""
    parts: list[str] = []
    done = 0
    for piece in sorted(pieces, key=lambda piece: (piece.start, -piece.depth)):
        parts += (text[done : piece.start], piece.text)
        done = max(done, piece.end)
    return "".join((*parts, text[done:]))
