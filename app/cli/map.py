"""``netpol-guard map``: which managed namespaces and webhooks can reach each other, as the policies stand."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from app.cli import options
from app.cli.group import Example

EXAMPLES: tuple[Example, ...] = (
    ("Who reaches whom?", "netpol-guard map"),
    ("As a picture, by Graphviz", "netpol-guard map --format dot | dot -Tsvg > map.svg"),
    ("As one page", "netpol-guard map --format html > map.html"),
    ("From exported manifests", "netpol-guard map --state ./exported-cluster --format mermaid"),
)


class MapFormat(Enum):
    """How the map is drawn."""

    TEXT = "text"
    DOT = "dot"
    MERMAID = "mermaid"
    HTML = "html"


def command(
    *,
    kubeconfig: options.KubeconfigOption = None,
    context: options.ContextOption = None,
    state: options.StateOption = None,
    api_server: options.ApiServerOption = None,
    namespace: Annotated[
        list[str] | None,
        typer.Option("--namespace", "-n", help="Draw these managed namespaces alone; repeatable."),
    ] = None,
    drawn: Annotated[MapFormat, typer.Option("--format", help="How the map is drawn.")] = MapFormat.TEXT,
) -> int:
    """Draw which managed namespaces and webhooks can reach each other, as the policies stand.

    Namespaces that nobody tells apart are one group. Red, or NO, is where a required flow is lost.
    Exit code 0: everything passes; 1: something is lost; 2: could not look.
    """
    from rich.console import Console

    from app.cli.examination import ExaminationOptions, mapped
    from app.doctor.map.drawings import as_dot, as_mermaid, as_text
    from app.doctor.map.page import map_page

    only = frozenset(namespace or ())
    given = ExaminationOptions(
        tuple(api_server or ()), only, calls=False, folder=state, kubeconfig=kubeconfig, context=context
    )
    with Console(stderr=True).status("") as status:
        reach, imprint = mapped(given, status.update)
    if drawn is MapFormat.HTML:
        typer.echo(map_page(reach, imprint), nl=False)
    else:
        draw = {MapFormat.TEXT: as_text, MapFormat.DOT: as_dot, MapFormat.MERMAID: as_mermaid}[drawn]
        typer.echo(draw(reach))
    return 0 if reach.is_whole else 1
