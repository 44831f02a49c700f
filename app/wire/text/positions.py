"""Where the values of a text begin and end, so that it can be changed in one place and left alone elsewhere.

For texts that ``app.wire.text.documents`` has read without complaint: what it refuses is not asked for again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

import yaml

from app.wire.text.places import JsonText, skip_space
from app.wire.text.scalars import key_text, plain_scalar
from app.wire.text.yaml_reader import LOADER


class Style(Enum):
    """How a value is written: by indentation, in brackets, as JSON, or on its own."""

    BLOCK = "block"
    FLOW = "flow"
    JSON = "json"
    SCALAR = "scalar"


@dataclass(frozen=True, slots=True)
class Span:
    """A value from its first character to behind its last one; ``key`` is where its key begins.

    A value that is not written out (``ingress:``) begins and ends behind the colon.
    """

    start: int
    end: int
    style: Style
    key: int = -1
    members: Mapping[str, Span] = field(default_factory=dict)
    items: tuple[Span, ...] = ()

    def find(self, steps: Iterable[str]) -> Span | None:
        """Return the span of the value at ``steps`` (members and indices), None where there is none."""
        span: Span | None = self
        for step in steps:
            if span is None:
                return None
            span = span.items[int(step)] if step.isdecimal() and span.items else span.members.get(step)
        return span

    def below(self) -> Iterator[Span]:
        """Yield the values in this one, parents first."""
        for one in (*self.members.values(), *self.items):
            yield one
            yield from one.below()


def spans_of(text: str) -> tuple[Span, ...]:
    """Return the spans of the values of ``text``, those that ``read_documents`` numbers."""
    if text.lstrip()[:1] in ("{", "["):
        try:
            return tuple(_json_values(text))
        except (ValueError, RecursionError, IndexError):
            pass  # flow style that is no JSON
    nodes = yaml.compose_all(text, Loader=LOADER)
    return tuple(_of_node(one, text, -1) for one in nodes if not _is_nothing(one))


def _is_nothing(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and plain_scalar(node.value) is None


def _of_node(node: yaml.Node, text: str, key: int) -> Span:
    start, end = node.start_mark.index, node.end_mark.index
    if isinstance(node, yaml.ScalarNode):
        # The end of a block scalar is where the next token begins.
        return Span(start, start + len(text[start:end].rstrip()), Style.SCALAR, key)
    style = Style.FLOW if getattr(node, "flow_style", False) else Style.BLOCK
    members: dict[str, Span] = {}
    items: tuple[Span, ...] = ()
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            members[_key_of(name)] = _of_node(value, text, name.start_mark.index)
    else:
        items = tuple(_of_node(one, text, -1) for one in node.value)
    if style is Style.BLOCK:
        end = (*members.values(), *items)[-1].end
    return Span(start, end, style, key, members, items)


def _key_of(node: yaml.ScalarNode) -> str:
    if node.style is not None:
        return str(node.value)
    return key_text(plain_scalar(node.value)) or str(node.value)


def _json_values(text: str) -> Iterator[Span]:
    source = JsonText(text)
    position = skip_space(text, 0)
    while position < len(text):
        span = _of_json(source, position, -1)
        yield span
        position = skip_space(text, span.end)


def _of_json(source: JsonText, position: int, key: int) -> Span:
    end = source.end(position)
    members: dict[str, Span] = {}
    items: list[Span] = []
    match source.text[position]:
        case "{":
            members = {name: _of_json(source, at, begin) for name, begin, at in source.entries(position)}
        case "[":
            items = [_of_json(source, at, -1) for _, at in source.children(position)]
        case _:
            return Span(position, end, Style.SCALAR, key)
    return Span(position, end, Style.JSON, key, members, tuple(items))
