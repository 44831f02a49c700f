"""HTML that cannot be broken by what stands in it: text is escaped unless it was made here."""

from __future__ import annotations

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
    return Markup("".join(one if isinstance(one, Markup) else escape(one) for one in children))
