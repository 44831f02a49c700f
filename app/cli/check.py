"""``netpol-guard check``: lints manifests offline."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable, Iterator
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli import options
from app.cli.group import Example
from app.engine.cluster import Cluster
from app.errors import InputError
from app.wire.manifests import decode_text, read_documents
from app.wire.state import Scope

if TYPE_CHECKING:
    from app.wire.manifests import Document

EXAMPLES: tuple[Example, ...] = (
    (
        "A folder whose files are all the policies of their namespaces",
        "netpol-guard check policies/ --api-server 10.20.0.10",
    ),
    ("Policies that go beside the two baselines", "netpol-guard check new.yaml --assume-baselines"),
    ("A change to an exported cluster", "netpol-guard check new.yaml --state ./exported-cluster"),
    (
        "What stands in a cluster, as JSON",
        "kubectl get networkpolicies -A -o yaml | netpol-guard check - --format json",
    ),
)

_ENDINGS = (".yaml", ".yml", ".json")
_STATE_SECONDS = 30.0


class Format(Enum):
    """How findings are shown."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    JUNIT = "junit"
    GITHUB = "github"


def command(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH...", help="Files, folders, or - for standard input.")
    ],
    *,
    report: Annotated[Format, typer.Option("--format", help="How findings are shown.")] = Format.TEXT,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings are findings too.")] = False,
    assume_baselines: Annotated[
        bool, typer.Option("--assume-baselines", help="Judge as if both baselines stood beside the files.")
    ] = False,
    state: options.State = None,
    api_server: options.ApiServer = None,
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", help="For manifests that name no namespace.")
    ] = "default",
) -> int:
    """Lint NetworkPolicy manifests before they are applied.

    The files are taken for the whole policy set of their namespaces unless you say otherwise.
    Exit code 0: clean; 1: findings; 2: unusable input.
    """
    from app.audit.lint import Assumptions, Level, lint
    from app.cli.reports import FORMATS
    from app.engine.requirements import Options
    from app.engine.search import Unlimited

    given = cluster_of(api_server or ())
    documents = [one for path in paths for one in _documents(path)]
    base = None if state is None else _read_state(state, given)
    assumptions = Assumptions(base, base or given, assume_baselines, namespace)
    findings = lint(documents, assumptions, Options(), Unlimited())
    typer.echo(FORMATS[report.value](findings))
    grave = [one for one in findings if strict or one.level is Level.ERROR]
    return 1 if grave else 0


def cluster_of(api_servers: Iterable[str]) -> Cluster:
    """Return an otherwise empty cluster whose API server is reached from ``api_servers``."""
    from app.cluster.sources import declared_source

    try:
        sources = tuple(declared_source(one, "given by --api-server") for one in api_servers)
    except ValueError as error:
        raise InputError("--api-server", str(error)) from error
    return Cluster(sources=sources)


def _read_state(folder: Path, given: Cluster) -> Cluster:
    from app.cluster.directory import DirectoryState

    state = DirectoryState(folder, declared=given.sources)
    state.refresh()
    return asyncio.run(state.read(Scope.managed(), timeout=_STATE_SECONDS))


def _documents(path: str) -> Iterator[Document]:
    for origin, data in _contents(path):
        yield from read_documents(decode_text(data, origin), origin)


def _contents(path: str) -> Iterator[tuple[str, bytes]]:
    if path == "-":
        yield "<stdin>", sys.stdin.buffer.read()
        return
    place = Path(path)
    try:
        files = (
            sorted(one for one in place.rglob("*") if one.suffix in _ENDINGS) if place.is_dir() else [place]
        )
        for file in files:
            yield str(file), file.read_bytes()
    except OSError as error:
        raise InputError(str(error.filename or path), error.strerror or str(error)) from error
