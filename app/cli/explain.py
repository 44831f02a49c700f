"""``netpol-guard explain``: one flow, and what the policies say about it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli import options
from app.cli.beside import ClusterChoice, read_base
from app.cli.group import Example
from app.engine.cluster import Cluster
from app.engine.words import missing_words
from app.errors import InputError
from app.explain.ends import FindPod, WantedEnd, find_end, parse_end, parse_port, pods_of
from app.explain.flow import Flow, FlowAnswer, explain_flow
from app.explain.report import Explained
from app.lint.findings import Level
from app.lint.given import read_given
from app.lint.report import place_words
from app.output.styled import show
from app.wire.networkpolicy.parse import DEFAULT_NAMESPACE
from app.wire.text.files import read_manifests

if TYPE_CHECKING:
    from app.wire.text.documents import Document

EXAMPLES: tuple[Example, ...] = (
    (
        "Two pods of the live cluster, by name",
        "netpol-guard explain --live --from spark-jobs/driver-0 --to iomete-system/catalog-0 --port http",
    ),
    (
        "Any pod of a namespace, to pods with a label, in an exported cluster",
        "netpol-guard explain --state ./exported-cluster --from data-plane-science \\",
        "    --to iomete-system/service=spark-operator --port 15002",
    ),
    (
        "The API server to a webhook, if a file were applied",
        "netpol-guard explain new.yaml --live --from 10.20.0.10 \\",
        "    --to iomete-system/service=spark-operator --port 9443",
    ),
    (
        "Files that are all policies there are",
        "netpol-guard explain policies/ --from web/app=shop --to 8.8.8.8 --port 53/UDP",
    ),
)

_END_HELP = (
    "A pod, namespace/name; pods by label, namespace/key=value,...; any pod, namespace; or an address."
)


class ExplainFormat(Enum):
    """How the answer is shown."""

    TEXT = "text"
    JSON = "json"


def command(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="PATH", help="Manifests as if applied; without a state, all there is."),
    ] = None,
    *,
    source: Annotated[str, typer.Option("--from", help=_END_HELP)],
    destination: Annotated[str, typer.Option("--to", help="The same, for the other end.")],
    port: Annotated[
        str, typer.Option("--port", help="443, 53/UDP, a port name of the pod, or 8080/TCP/http.")
    ] = "443",
    state: options.StateOption = None,
    live: options.LiveOption = False,
    kubeconfig: options.KubeconfigOption = None,
    context: options.ContextOption = None,
    namespace: options.NamespaceOption = None,
    report: Annotated[
        ExplainFormat, typer.Option("--format", help="How the answer is shown.")
    ] = ExplainFormat.TEXT,
) -> int:
    """Say whether a flow is allowed, and by which policies.

    Names the rules that allow it, or the policies that isolate the pod and the rule that comes closest.
    Exit code 0: allowed; 1: denied, or it depends on the network plugin; 2: it could not look.
    """
    place = ClusterChoice(state, kubeconfig, context, wants_live=live)
    if not (paths or place.is_live or state):
        raise InputError("", "explain by what? Give --live, --state DIR, or the policies' files")
    ends = parse_end("--from", source), parse_end("--to", destination)
    documents = [document for file in read_manifests(paths or ()) for document in file.documents]
    home = namespace or place.namespace_or(DEFAULT_NAMESPACE)
    cluster, notes = _applied(documents, home, place, ends)
    find_pod = _find_pod(place, documents)
    found = [find_end(end, find_pod) for end in ends]
    known = parse_port(port, found[1].pod)
    explanation = explain_flow(cluster, Flow(found[0].end, found[1].end, known.place, known.names))
    notes = (*notes, *(note for end in found for note in end.notes))
    explained = Explained(source, destination, known, explanation, notes)
    if report is ExplainFormat.JSON:
        typer.echo(json.dumps(explained.as_object(), indent=2))
    else:
        show(explained.lines())
    return 0 if explanation.answer is FlowAnswer.ALLOWED else 1


def _applied(
    documents: Sequence[Document], home: str, place: ClusterChoice, ends: Iterable[WantedEnd]
) -> tuple[Cluster, tuple[str, ...]]:
    """Return the state with the documents applied, those without a namespace to ``home``, and notes on it.

    Raises ``InputError`` for a policy that no API server takes, and for a namespace that is not in the state.
    """
    given = read_given(documents, home)
    for finding in given.findings:
        if finding.level is Level.ERROR:
            raise InputError(place_words(finding), finding.message)
    options = {end.namespace: end.option for end in ends if end.namespace is not None}
    base = read_base(place, frozenset(options))
    before = base.cluster or Cluster()
    undescribed = sorted(options.keys() - before.namespaces.keys() - given.namespaces.keys())
    notes = tuple(f"taken for managed, as no file describes it: namespace {name}" for name in undescribed)
    if base.cluster is not None:
        _demand_known(undescribed, options, given.applied_to(before))
        notes = ()  # what else is not known of the cluster decides about no single flow
    missing = (webhook for webhook in before.webhooks if webhook.is_missing and webhook.namespace in options)
    return given.applied_to(before, options), (*notes, *map(missing_words, missing))


def _demand_known(names: Iterable[str], options: Mapping[str, str], cluster: Cluster) -> None:
    for name in names:
        if name not in cluster.namespaces:
            known = ", ".join(sorted(cluster.namespaces))
            raise InputError(options[name], f"there is no namespace {name} in the state; there are {known}")


def _find_pod(place: ClusterChoice, documents: Sequence[Document]) -> FindPod:
    if place.is_live:
        return place.find_pod
    files = read_manifests([str(place.state)] if place.state is not None else ())
    return pods_of([*(document for file in files for document in file.documents), *documents])
