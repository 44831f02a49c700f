"""The map in text, for Graphviz and for mermaid; red where a required flow is lost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from app.doctor.losses import Condition
from app.doctor.map.graph import Group, Hook, Reach
from app.engine.words import listed

_MARKS = {Condition.OPEN: "yes", Condition.AT_RISK: "risk", Condition.UNKNOWN: "?", Condition.LOST: "NO"}
_COLOURS = {
    Condition.OPEN: "#1b7a46",
    Condition.AT_RISK: "#b7791f",
    Condition.UNKNOWN: "#6a4aa8",
    Condition.LOST: "#c2263a",
}
_WIDEST = 14
"""Groups; a table of more is read by nobody, so only what is lost is listed then."""


def as_text(reach: Reach) -> str:
    """Return the map as tables of letters."""
    return "\n".join((*_legend(reach.groups), "", *_table(reach), *_lost(reach), *_hook_lines(reach.hooks)))


def _legend(groups: Sequence[Group]) -> Iterator[str]:
    if not groups:
        yield "There is no managed namespace."
    for group in groups:
        count = f"  ({len(group.names)} namespaces)" if len(group.names) > 1 else ""
        yield f"{group.key:<4} {group.title}{count}"


def _table(reach: Reach) -> Iterator[str]:
    if not 0 < len(reach.groups) <= _WIDEST:
        return
    found = {(edge.source.key, edge.target.key): edge.condition for edge in reach.edges}
    yield "from \\ to" + "".join(f"{group.key:>6}" for group in reach.groups)
    for source in reach.groups:
        marks = (_MARKS[found[source.key, target.key]] for target in reach.groups)
        yield f"{source.key:<9}" + "".join(f"{mark:>6}" for mark in marks)
    yield ""


def _lost(reach: Reach) -> Iterator[str]:
    for (condition, why), edges in reach.troubles.items():
        pairs = listed((f"{edge.source.key} -> {edge.target.key}" for edge in edges), most=8)
        yield f"{condition.value}: {pairs}"
        yield from (f"  {sentence}" for sentence in why)
    if reach.troubles:
        yield ""


def _hook_lines(hooks: Sequence[Hook]) -> Iterator[str]:
    if hooks:
        yield "API server -> webhooks"
    for hook in hooks:
        yield f"  {_MARKS[hook.condition]:<5} {hook.source} -> {hook.webhook}, {hook.ports}"
        yield from (f"        {sentence}" for sentence in hook.why)


# -- Graphviz ------------------------------------------------------------------------------------------------


def as_dot(reach: Reach) -> str:
    """Return a digraph in the DOT language: ``netpol-guard map --format dot | dot -Tsvg``."""
    return "\n".join(("digraph reach {", *(f"  {line}" for line in _dot_lines(reach)), "}"))


def _dot_lines(reach: Reach) -> Iterator[str]:
    yield "rankdir=LR; bgcolor=transparent; pad=0.3; nodesep=0.4; ranksep=1.2;"
    yield 'node [fontname="sans-serif", fontsize=11, shape=box, style="rounded,filled", fillcolor=white];'
    yield 'edge [fontname="sans-serif", fontsize=9, arrowsize=0.7];'
    for group in reach.groups:
        yield f"{group.key} [label={_quoted(_label(group))}];"
    sources, webhooks = _hook_keys(reach.hooks)
    for name, key in webhooks.items():
        yield f"{key} [label={_quoted(name)}, shape=component];"
    for name, key in sources.items():
        yield f"{key} [label={_quoted(f'API server: {name}')}, shape=cds];"
    for edge in reach.edges:
        yield f"{edge.source.key} -> {edge.target.key} [{_dot_style(edge.condition)}];"
    for hook in reach.hooks:
        ends = f"{sources[hook.source]} -> {webhooks[hook.webhook]}"
        yield f"{ends} [label={_quoted(hook.ports)}, {_dot_style(hook.condition)}];"


def _dot_style(condition: Condition) -> str:
    colour = _COLOURS[condition]
    extra = "" if condition is Condition.OPEN else f', style=dashed, penwidth=2.2, fontcolor="{colour}"'
    return f'color="{colour}", tooltip={_quoted(condition.value)}{extra}'


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _label(group: Group) -> str:
    return group.title if len(group.names) == 1 else f"{group.title}\n{len(group.names)} namespaces"


# -- mermaid -------------------------------------------------------------------------------------------------


def as_mermaid(reach: Reach) -> str:
    """Return a flowchart, as Markdown pages of many services draw it."""
    return "\n".join(("flowchart LR", *(f"  {line}" for line in _mermaid_lines(reach))))


def _mermaid_lines(reach: Reach) -> Iterator[str]:
    sources, webhooks = _hook_keys(reach.hooks)
    for group in reach.groups:
        yield f'{group.key}["{_entities(_label(group))}"]'
    for name, key in webhooks.items():
        yield f'{key}[["{_entities(name)}"]]'
    for name, key in sources.items():
        yield f'{key}(["{_entities(f"API server: {name}")}"])'
    for edge in reach.edges:
        arrow = "-->" if edge.condition is Condition.OPEN else f'-.->|"{edge.condition.value}"|'
        yield f"{edge.source.key} {arrow} {edge.target.key}"
    for hook in reach.hooks:
        arrow = "-->" if hook.condition is Condition.OPEN else "-.->"
        yield f'{sources[hook.source]} {arrow}|"{_entities(hook.ports)}"| {webhooks[hook.webhook]}'
    for condition in Condition:
        numbers = ",".join(str(number) for number, style in enumerate(reach.conditions) if style is condition)
        if numbers:
            yield f"linkStyle {numbers} stroke:{_COLOURS[condition]},stroke-width:2px"


_ENTITIES = str.maketrans({"#": "#35;", "&": "#amp;", '"': "#quot;", "<": "#lt;", ">": "#gt;", "\n": "<br/>"})


def _entities(text: str) -> str:
    """Return ``text`` as mermaid wants it between quotes: entities for what it would take for syntax."""
    return text.translate(_ENTITIES)


def _hook_keys(hooks: Sequence[Hook]) -> tuple[dict[str, str], dict[str, str]]:
    """Return short names for the ends of ``hooks``: sources, webhooks."""
    return _keys("s", (hook.source for hook in hooks)), _keys("w", (hook.webhook for hook in hooks))


def _keys(letter: str, names: Iterable[str]) -> dict[str, str]:
    return {name: f"{letter}{number}" for number, name in enumerate(dict.fromkeys(names), start=1)}
