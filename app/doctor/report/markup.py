"""HTML that cannot be broken by what stands in it: text is escaped unless it was made here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape


class Markup(str):
    """HTML that is safe as it is."""

    __slots__ = ()


def tag(name: str, *children: str, **attributes: str) -> Markup:
    """Return an element; children that are no ``Markup`` are text. ``class_`` stands for ``class``.

    >>> tag("b", "a < b", class_="x")
    '<b class="x">a &lt; b</b>'
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items()
    )
    return Markup(f"<{name}{written}>{joined(*children)}</{name}>")


def joined(*children: str) -> Markup:
    """Return the children one after the other."""
    return Markup("".join(child if isinstance(child, Markup) else escape(child) for child in children))


def table(titles: Iterable[Markup], rows: Iterable[Markup], style: str) -> Markup:
    """Return a table that scrolls by itself where the page is narrow."""
    parts = tag("thead", tag("tr", *titles)), tag("tbody", *rows)
    return tag("div", tag("table", *parts, class_=style), class_="scroll")


def column(title: str) -> Markup:
    """Return the title of a table's column."""
    return tag("th", title, scope="col")


def cut_short(items: Sequence[Markup], most: int, rest: str = "p", **attributes: str) -> tuple[Markup, ...]:
    """Return the first items, and an element called ``rest`` that says how many more there are."""
    if len(items) <= most:
        return tuple(items)
    return (*items[:most], tag(rest, f"and {len(items) - most} more", **attributes))
