"""The map as one HTML page, drawn as SVG and told as a table, like the report's page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from app.doctor.losses import Condition
from app.doctor.map.graph import Edge, Group, Hook, Reach
from app.doctor.report.markup import Markup, column, cut_short, table, tag
from app.doctor.report.page import Imprint, document, headline

_STROKES = {
    Condition.OPEN: "open",
    Condition.AT_RISK: "risk",
    Condition.UNKNOWN: "risk",
    Condition.LOST: "lost",
}
_MOST_DRAWN = 24
_MOST_PAIRS = 8
_WIDTH, _ROW = 1000, 64
_NODE = (220, 46)


def map_page(reach: Reach, imprint: Imprint) -> str:
    """Return the page."""
    return document("netpol-guard map", imprint, *_sections(reach, imprint))


def _sections(reach: Reach, imprint: Imprint) -> Iterator[Markup]:
    counts = [(reach.conditions.count(each), each.value) for each in reversed(Condition)]
    lost = [f"{count} {words}" for count, words in counts if count and words != Condition.OPEN.value]
    yield headline(", ".join(lost) or "Everybody reaches everybody", "error" if lost else "fine", imprint)
    if 1 < len(reach.groups) <= _MOST_DRAWN:
        yield tag("section", tag("h2", "Map"), tag("div", _drawing(reach), class_="scroll"), _LEGEND)
    if 0 < len(reach.groups) <= _MOST_DRAWN:
        yield tag("section", tag("h2", "Managed namespaces, from row to column"), _table(reach))
    if reach.hooks:
        few = len(reach.hooks) <= _MOST_DRAWN
        drawn = [tag("div", _calls(reach.hooks), class_="scroll")] if few else []
        yield tag("section", tag("h2", "API server to webhooks"), *drawn, _hook_table(reach.hooks))
    if reach.troubles:
        yield tag("section", tag("h2", "Lost, and why"), *map(_card, reach.troubles.values()))


_LEGEND = tag(
    "p",
    tag("span", "open", class_="mark fine"),
    tag("span", "at risk: only an ipBlock lets it through", class_="mark warning"),
    tag("span", "some of it is lost", class_="mark error"),
    class_="legend",
)


# -- the drawing ---------------------------------------------------------------------------------------------


def _drawing(reach: Reach) -> Markup:
    """Return groups on a circle with arcs between them."""
    places, height = _layout(reach)
    edges = sorted(reach.edges, key=lambda edge: edge.condition is not Condition.OPEN)
    within = [edge for edge in edges if edge.source is edge.target and edge.condition is not Condition.OPEN]
    parts = [
        *(_arc(edge, places) for edge in edges if edge.source is not edge.target),
        *(_loop(edge, places) for edge in within),
        *(_node(places[group.key], group.title, _count(group)) for group in reach.groups),
    ]
    return _svg(parts, height)


def _svg(parts: Iterable[Markup], height: int) -> Markup:
    return tag("svg", _MARKERS, *parts, class_="map", viewBox=f"0 0 {_WIDTH} {height}", role="img")


_MARKERS = tag(
    "defs",
    *(
        tag(
            "marker",
            tag("path", d="M0 0 L8 4 L0 8 z", style=f"fill:var(--{colour});stroke:none"),
            id=f"to-{name}",
            viewBox="0 0 8 8",
            refX="7",
            refY="4",
            markerWidth="7",
            markerHeight="7",
            orient="auto",
        )
        for name, colour in (("open", "green"), ("lost", "red"), ("risk", "amber"))
    ),
)

_Point = tuple[float, float]


def _layout(reach: Reach) -> tuple[dict[str, _Point], int]:
    count = len(reach.groups)
    radius = max(120, count * 26)
    turns = [2 * math.pi * number / count - math.pi / 2 for number in range(count)]
    lowest = max(math.sin(turn) for turn in turns)
    places = {
        group.key: (_WIDTH / 2 + (radius + 140) * math.cos(turn), 85 + radius * (1 + math.sin(turn)))
        for group, turn in zip(reach.groups, turns, strict=True)
    }
    return places, int(85 + radius * (1 + lowest) + 60)


def _arc(edge: Edge, places: dict[str, _Point]) -> Markup:
    """Return a bent line, so that both directions are seen."""
    start, end = _borders(places[edge.source.key], places[edge.target.key])
    bend = 0.12
    middle = (
        (start[0] + end[0]) / 2 + (end[1] - start[1]) * bend,
        (start[1] + end[1]) / 2 - (end[0] - start[0]) * bend,
    )
    path = f"M{_xy(start)} Q{_xy(middle)} {_xy(end)}"
    return _line(path, edge.condition, f"{edge.source.title} -> {edge.target.title}: {edge.condition.value}")


def _loop(edge: Edge, places: dict[str, _Point]) -> Markup:
    x, y = places[edge.source.key]
    top = y - _NODE[1] / 2
    path = f"M{_xy((x - 24, top))} C{_xy((x - 44, top - 46))} {_xy((x + 44, top - 46))} {_xy((x + 24, top))}"
    return _line(path, edge.condition, f"within {edge.source.title}: {edge.condition.value}")


def _line(path: str, condition: Condition, title: str) -> Markup:
    stroke = _STROKES[condition]
    return tag("path", tag("title", title), d=path, class_=stroke, marker_end=f"url(#to-{stroke})")


def _borders(start: _Point, end: _Point) -> tuple[_Point, _Point]:
    """Return where the line between two nodes leaves the one and enters the other."""
    return _border(start, end), _border(end, start)


def _border(centre: _Point, towards: _Point) -> _Point:
    across, down = towards[0] - centre[0], towards[1] - centre[1]
    half = _NODE[0] / 2 + 4, _NODE[1] / 2 + 4
    scale = min(half[0] / abs(across) if across else math.inf, half[1] / abs(down) if down else math.inf)
    return centre[0] + across * scale, centre[1] + down * scale


def _node(place: _Point, title: str, small: str = "") -> Markup:
    left, top = place[0] - _NODE[0] / 2, place[1] - _NODE[1] / 2
    box = tag(
        "rect",
        x=f"{left:.0f}",
        y=f"{top:.0f}",
        width=str(_NODE[0]),
        height=str(_NODE[1]),
        rx="8",
        class_="node",
    )
    lift = -4 if small else 4
    shown = title if len(title) <= _LONGEST else f"{title[: _LONGEST - 1]}…"
    parts = [_text(shown, place[0], place[1] + lift)]
    if small:
        parts.append(_text(small, place[0], place[1] + 13, "small"))
    return tag("g", tag("title", title), box, *parts)


_LONGEST = 28


def _text(words: str, x: float, y: float, style: str = "") -> Markup:
    attributes = {"class_": style} if style else {}
    return tag("text", words, x=f"{x:.0f}", y=f"{y:.0f}", text_anchor="middle", **attributes)


def _count(group: Group) -> str:
    return f"{len(group.names)} namespaces" if len(group.names) > 1 else ""


def _xy(point: _Point) -> str:
    return f"{point[0]:.1f} {point[1]:.1f}"


def _calls(hooks: Sequence[Hook]) -> Markup:
    """Return sources on the left and webhooks on the right, with lines between them."""
    most = max(len({hook.source for hook in hooks}), len({hook.webhook for hook in hooks}))
    height = _ROW * most + 30
    return _svg(_call_parts(hooks, height), height)


def _call_parts(hooks: Sequence[Hook], height: int) -> Iterator[Markup]:
    sources = dict(_places(dict.fromkeys(hook.source for hook in hooks), 0, height))
    webhooks = dict(_places(dict.fromkeys(hook.webhook for hook in hooks), 1, height))
    for hook in sorted(hooks, key=lambda hook: hook.condition is not Condition.OPEN):
        start, end = _borders(sources[hook.source], webhooks[hook.webhook])
        words = f"{hook.source} -> {hook.webhook}: {hook.condition.value}"
        yield _line(f"M{_xy(start)} L{_xy(end)}", hook.condition, words)
    for name, place in sources.items():
        yield _node(place, name.partition(" (")[0], "API server")
    for name, place in webhooks.items():
        yield _node(place, name, "webhook")


def _places(names: dict[str, None], number: int, height: int) -> Iterator[tuple[str, _Point]]:
    x = _WIDTH * (0.2 + 0.6 * number)
    for index, name in enumerate(names, start=1):
        yield name, (x, height * index / (len(names) + 1))


# -- tables --------------------------------------------------------------------------------------------------


def _table(reach: Reach) -> Markup:
    found = {(edge.source.key, edge.target.key): edge.condition for edge in reach.edges}
    rows = (
        tag(
            "tr",
            tag("th", source.title, scope="row", title=", ".join(source.names)),
            *(_cell(found[source.key, target.key]) for target in reach.groups),
        )
        for source in reach.groups
    )
    return table(map(column, ("from \\ to", *(group.title for group in reach.groups))), rows, "reach")


def _cell(condition: Condition) -> Markup:
    return tag("td", condition.value, class_=condition.tone)


def _hook_table(hooks: Sequence[Hook]) -> Markup:
    return table(map(column, ("From", "Webhook", "Port", "")), map(_hook_row, hooks), "stacked")


def _hook_row(hook: Hook) -> Markup:
    mark = tag("span", hook.condition.value, class_=f"mark {hook.condition.tone}")
    ends = (tag("td", words) for words in (hook.source, hook.webhook, hook.ports))
    return tag("tr", *ends, tag("td", mark, *_reasons(hook.why)))


def _reasons(why: Sequence[str]) -> Iterator[Markup]:
    return (tag("p", sentence, class_="meta") for sentence in why)


def _card(edges: Sequence[Edge]) -> Markup:
    """Return what is lost for one and the same reason."""
    condition = edges[0].condition
    badge = tag("div", tag("span", condition.value, class_="badge"), class_="head")
    pairs = cut_short([tag("h3", _pair(edge)) for edge in edges], _MOST_PAIRS, class_="meta")
    return tag("article", badge, *pairs, *_reasons(edges[0].why), class_=f"card {condition.tone}")


def _pair(edge: Edge) -> str:
    if edge.source is edge.target:
        return f"within {edge.source.title}"
    return f"{edge.source.title} → {edge.target.title}"
