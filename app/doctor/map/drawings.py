"""The map in text, for Graphviz and for mermaid; red where a required flow is lost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.doctor.map.graph import Edge, Group, Hook, Link, Reach
from app.engine.words import listed

_MARKS = {Link.OPEN: "yes", Link.AT_RISK: "risk", Link.UNKNOWN: "?", Link.LOST: "NO"}
_COLOURS = {Link.OPEN: "#1b7a46", Link.AT_RISK: "#b7791f", Link.UNKNOWN: "#6a4aa8", Link.LOST: "#c2263a"}
_WIDEST = 14
"""Groups; a table of more is read by nobody, so only what is lost is listed then."""


def as_text(reach: Reach) -> str:
    """Return the map as tables of letters."""
    return "\n".join((*_legend(reach.groups), "", *_table(reach), *_lost(reach), *_hook_lines(reach.hooks)))


def _legend(groups: Sequence[Group]) -> Iterator[str]:
    if not groups:
        yield "There is no managed namespace."
    for one in groups:
        count = f"  ({len(one.names)} namespaces)" if len(one.names) > 1 else ""
        yield f"{one.key:<4} {one.title}{count}"


def _table(reach: Reach) -> Iterator[str]:
    if not 0 < len(reach.groups) <= _WIDEST:
        return
    links = {(one.source.key, one.target.key): one.link for one in reach.edges}
    yield "from \\ to" + "".join(f"{one.key:>6}" for one in reach.groups)
    for source in reach.groups:
        marks = (_MARKS[links[source.key, target.key]] for target in reach.groups)
        yield f"{source.key:<9}" + "".join(f"{mark:>6}" for mark in marks)
    yield ""


def _lost(reach: Reach) -> Iterator[str]:
    for (link, why), edges in reach.troubles.items():
        pairs = listed((f"{one.source.key} -> {one.target.key}" for one in edges), most=8)
        yield f"{link.value}: {pairs}"
        yield from (f"  {sentence}" for sentence in why)
    if reach.troubles:
        yield ""


def _hook_lines(hooks: Sequence[Hook]) -> Iterator[str]:
    if hooks:
        yield "API server -> webhooks"
    for one in hooks:
        yield f"  {_MARKS[one.link]:<5} {one.source} -> {one.webhook}, {one.ports}"
        yield from (f"        {sentence}" for sentence in one.why)


# -- Graphviz ------------------------------------------------------------------------------------------------


def as_dot(reach: Reach) -> str:
    """Return a digraph in the DOT language: ``netpol-guard map --format dot | dot -Tsvg``."""
    return "\n".join(("digraph reach {", *(f"  {line}" for line in _dot_lines(reach)), "}"))


def _dot_lines(reach: Reach) -> Iterator[str]:
    yield "rankdir=LR; bgcolor=transparent; pad=0.3; nodesep=0.4; ranksep=1.2;"
    yield 'node [fontname="sans-serif", fontsize=11, shape=box, style="rounded,filled", fillcolor=white];'
    yield 'edge [fontname="sans-serif", fontsize=9, arrowsize=0.7];'
    for one in reach.groups:
        yield f"{one.key} [label={_quoted(_label(one))}];"
    for name, webhook in _webhook_keys(reach.hooks).items():
        yield f"{webhook} [label={_quoted(name)}, shape=component];"
    for name, source in _source_keys(reach.hooks).items():
        yield f"{source} [label={_quoted(f'API server: {name}')}, shape=cds];"
    for edge in reach.edges:
        yield f"{edge.source.key} -> {edge.target.key} [{_dot_style(edge.link)}];"
    for hook in reach.hooks:
        ends = f"{_source_keys(reach.hooks)[hook.source]} -> {_webhook_keys(reach.hooks)[hook.webhook]}"
        yield f"{ends} [label={_quoted(hook.ports)}, {_dot_style(hook.link)}];"


def _dot_style(link: Link) -> str:
    lost = link is not Link.OPEN
    extra = ', style=dashed, penwidth=2.2, fontcolor="' + _COLOURS[link] + '"' if lost else ""
    return f'color="{_COLOURS[link]}", tooltip={_quoted(link.value)}{extra}'


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
    sources, webhooks = _source_keys(reach.hooks), _webhook_keys(reach.hooks)
    for one in reach.groups:
        yield f'{one.key}["{_entities(_label(one))}"]'
    for name, key in webhooks.items():
        yield f'{key}[["{_entities(name)}"]]'
    for name, key in sources.items():
        yield f'{key}(["{_entities(f"API server: {name}")}"])'
    styles = []
    for edge in reach.edges:
        yield f"{edge.source.key} {_arrow(edge)} {edge.target.key}"
        styles.append(edge.link)
    for hook in reach.hooks:
        arrow = "-->" if hook.link is Link.OPEN else "-.->"
        yield f'{sources[hook.source]} {arrow}|"{_entities(hook.ports)}"| {webhooks[hook.webhook]}'
        styles.append(hook.link)
    for link in Link:
        numbers = ",".join(str(number) for number, style in enumerate(styles) if style is link)
        if numbers:
            yield f"linkStyle {numbers} stroke:{_COLOURS[link]},stroke-width:2px"


def _arrow(edge: Edge) -> str:
    if edge.link is Link.OPEN:
        return "-->"
    return f'-.->|"{edge.link.value}"|'


def _entities(text: str) -> str:
    """Return ``text`` as mermaid wants it between quotes: entities for what it would take for syntax."""
    for one, written in (("#", "#35;"), ("&", "#amp;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):
        text = text.replace(one, written)
    return text.replace("\n", "<br/>")


def _webhook_keys(hooks: Sequence[Hook]) -> dict[str, str]:
    names = dict.fromkeys(one.webhook for one in hooks)
    return {name: f"w{number}" for number, name in enumerate(names, start=1)}


def _source_keys(hooks: Sequence[Hook]) -> dict[str, str]:
    names = dict.fromkeys(one.source for one in hooks)
    return {name: f"s{number}" for number, name in enumerate(names, start=1)}
