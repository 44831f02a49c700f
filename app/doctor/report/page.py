"""The report as one HTML page: nothing is loaded from anywhere, no script runs, light and dark."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, groupby, repeat
from pathlib import Path

from app import __version__
from app.doctor.findings import Finding, FindingSeverity, Report
from app.doctor.report.markup import Markup, column, cut_short, joined, table, tag
from app.doctor.report.matrix import Cell, Row
from app.engine.required_flows import FlowId

_CSS = Path(__file__).with_name("page.css")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_MOST_ROWS = 100
_MOST_OPEN = 30
_MOST_NAMES = 500
_FEW = 12
_MOST_OF_A_KIND = 12

_HEADINGS = {severity: severity.words.capitalize() for severity in FindingSeverity} | {
    FindingSeverity.NOTE: "Good to know"
}
_COLUMNS = {
    FlowId.WEBHOOK_INGRESS: "API server → webhook",
    FlowId.MANAGED_INGRESS: "managed → in",
    FlowId.MANAGED_EGRESS: "out → managed",
    FlowId.PLATFORM_EGRESS: "out → DNS, API server",
}
_LEGEND = tag(
    "p",
    "Required flows, as far as the policies decide about them. Open a red or amber cell for an example"
    " that is lost, and for what repairs it.",
    class_="legend",
)


@dataclass(frozen=True, slots=True)
class Imprint:
    """What a page says about itself: which cluster, when, by which version."""

    cluster: str
    moment: datetime
    version: str = __version__

    @property
    def words(self) -> str:
        """The same in one line."""
        return f"{self.cluster} · {self.moment:%Y-%m-%d %H:%M} UTC · netpol-guard {self.version}"


def report_page(report: Report, rows: Sequence[Row], imprint: Imprint) -> str:
    """Return the page."""
    return document(
        "netpol-guard doctor",
        imprint,
        _verdict(report, imprint),
        _flows(rows),
        *_findings(report.findings),
        _fine(report.fine),
    )


def document(title: str, imprint: Imprint, *sections: str) -> str:
    """Return a whole page with its styles, around ``sections``; its title names the cluster."""
    head = joined(
        Markup('<meta charset="utf-8">'),
        Markup('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        tag("title", f"{title} · {imprint.cluster}"),
        tag("style", Markup(_CSS.read_text(encoding="utf-8"))),
    )
    body = tag("main", tag("h1", title), *sections)
    return f"<!doctype html>\n{tag('html', tag('head', head), tag('body', body), lang='en')}\n"


def headline(words: str, tone: str, imprint: Imprint) -> Markup:
    """Return what a page says first: the result, and what it is about."""
    result = tag("div", tag("strong", words), class_=f"verdict {tone}")
    return joined(result, tag("p", imprint.words, class_="meta"))


def _verdict(report: Report, imprint: Imprint) -> Markup:
    counts = {severity: count for severity, count in report.counts.items() if count}
    grave = [severity for severity in counts if severity.counts]
    words = ", ".join(f"{counts[severity]} {severity.words}" for severity in grave)
    chips = [tag("li", f"{count} {each.words}", class_=each.value) for each, count in counts.items()]
    return joined(
        headline(words or "Healthy: nothing is cut off", grave[0].value if grave else "fine", imprint),
        tag("ul", *chips, class_="counts") if chips else "",
    )


# -- findings ------------------------------------------------------------------------------------------------


def _findings(findings: Iterable[Finding]) -> Iterator[Markup]:
    for severity, group in groupby(findings, key=lambda finding: finding.severity):
        kinds = groupby(group, key=lambda finding: finding.check)
        cards = [card for _, kind in kinds for card in _kind(list(kind))]
        yield tag("section", tag("h2", _HEADINGS[severity]), *cards)


def _kind(found: list[Finding]) -> Iterator[Markup]:
    yield from map(_card, found[:_MOST_OF_A_KIND])
    rest = found[_MOST_OF_A_KIND:]
    if rest:
        items = cut_short([tag("li", f"{each.subject}: {each.title}") for each in rest], _MOST_ROWS, "li")
        summary = tag("summary", f"and {len(rest)} more of this kind [{rest[0].check.value}]")
        yield tag(
            "details", summary, tag("ul", *items, class_="plain"), class_=f"card {rest[0].severity.value}"
        )


def _card(finding: Finding) -> Markup:
    head = tag(
        "div",
        tag("span", finding.severity.words, class_="badge"),
        tag("span", finding.where, class_="where"),
        tag("span", finding.check.value, class_="check"),
        class_="head",
    )
    repair = finding.repair
    command = tag("pre", repair.command) if repair is not None and repair.command else ""
    details = tag("dl", *_details(finding))
    style = f"card {finding.severity.value}"
    return tag("article", head, tag("h3", finding.title), details, command, class_=style)


def _details(finding: Finding) -> Iterator[Markup]:
    for label, sentence in zip(chain(["Seen"], repeat("")), finding.evidence, strict=False):
        yield joined(tag("dt", label), tag("dd", sentence))
    for symptom in finding.symptoms:
        small = [tag("small", sentence) for sentence in symptom.evidence]
        yield joined(tag("dt", "Follows"), tag("dd", symptom.title, *small, class_="symptom"))
    if finding.consequence:
        yield joined(tag("dt", "So"), tag("dd", finding.consequence))
    if finding.repair is not None:
        by_itself = " (doctor --fix does this)" if finding.repair.step is not None else ""
        yield joined(tag("dt", "Repair"), tag("dd", f"{finding.repair.words}{by_itself}"))


# -- namespaces by flows -------------------------------------------------------------------------------------


def _flows(rows: Sequence[Row]) -> Markup:
    if not rows:
        return tag("section", tag("h2", "Namespaces and flows"), tag("p", "There is no managed namespace."))
    lost = [row for row in rows if not row.is_fine]
    fine = [row for row in rows if row.is_fine]
    few = fine if len(fine) <= _FEW else []
    parts = [_table((*lost[:_MOST_OPEN], *few))] if lost or few else []
    if len(lost) > _MOST_OPEN:
        parts.append(_more_lost(lost[_MOST_OPEN:]))
    if fine and not few:
        parts.append(_folded(fine, "other namespaces" if lost else "namespaces"))
    return tag("section", tag("h2", "Namespaces and flows"), *parts, _LEGEND if lost else "")


def _more_lost(rows: Sequence[Row]) -> Markup:
    """Return further namespaces with losses, to be unfolded, as many as a page can hold."""
    mark = tag("span", f"In {len(rows)} more namespaces something is lost", class_="mark error")
    parts = [_table(rows[:_MOST_ROWS])]
    if len(rows) > _MOST_ROWS:
        parts.append(tag("p", f"and {len(rows) - _MOST_ROWS} more", class_="meta"))
    return tag("details", tag("summary", mark), *parts, class_="card error")


def _folded(fine: Sequence[Row], words: str) -> Markup:
    """Return the namespaces without a loss, to be unfolded: of thousands, the names of the first."""
    names = ", ".join(row.namespace for row in fine[:_MOST_NAMES])
    more = f" and {len(fine) - _MOST_NAMES} more" if len(fine) > _MOST_NAMES else ""
    mark = tag("span", f"In {len(fine)} {words} every flow is open", class_="mark fine")
    return tag("details", tag("summary", mark), tag("p", f"{names}{more}", class_="meta"), class_="card fine")


def _table(rows: Iterable[Row]) -> Markup:
    titles = map(column, ("Namespace", *(_COLUMNS[flow] for flow in FlowId)))
    return table(titles, map(_row, rows), "flows")


def _row(row: Row) -> Markup:
    return tag("tr", tag("th", row.namespace, scope="row"), *(_cell(cell, row) for cell in row.cells))


def _cell(cell: Cell, row: Row) -> Markup:
    mark = tag("span", cell.condition.value, class_=f"mark {cell.condition.tone}")
    content = mark
    if cell.evidence:
        command = [tag("pre", row.command)] if row.command else []
        sentences = [tag("p", sentence) for sentence in cell.evidence]
        content = tag("details", tag("summary", mark), *sentences, *command)
    return tag("td", tag("div", content), class_="cell", data_flow=_COLUMNS[cell.flow])


def _fine(sentences: Sequence[str]) -> Markup:
    if not sentences:
        return Markup()
    shown = cut_short([tag("li", sentence) for sentence in sentences], _MOST_ROWS, "li")
    summary = tag("summary", tag("strong", f"{len(sentences)} things are as they should be"))
    return tag(
        "section",
        tag("h2", "Fine"),
        tag("details", summary, tag("ul", *shown, class_="plain"), class_="card fine"),
    )
