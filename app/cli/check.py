"""``netpol-guard check``: lints manifests offline."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from app.audit.lint import Assumptions, Level, lint
from app.cli.reports import FORMATS
from app.cluster.directory import DirectoryState
from app.cluster.sources import declared_source
from app.engine.cluster import Cluster
from app.engine.requirements import Options
from app.engine.search import Unlimited
from app.errors import InputError
from app.wire.errors import UnusableInput
from app.wire.manifests import decode_text, read_documents
from app.wire.state import Scope

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from app.wire.manifests import Document

_ENDINGS = (".yaml", ".yml", ".json")
_STATE_SECONDS = 30.0


def check_command(
    paths: Iterable[str], *, report: str, strict: bool, state: Path | None, assumptions: Assumptions
) -> int:
    """Print the findings for ``paths``; return 0 clean, 1 findings, 2 unusable input."""
    if report not in FORMATS:
        raise InputError("--format", f"unknown format {report!r}; one of {', '.join(FORMATS)}")
    try:
        documents = [one for path in paths for one in _documents(path)]
    except UnusableInput as error:
        typer.echo(f"netpol-guard: {error}", err=True)
        return 2
    if state is not None:
        base = _read_state(state, assumptions.cluster)
        assumptions = Assumptions(base, base, assumptions.baselines, assumptions.namespace)
    findings = lint(documents, assumptions, Options(), Unlimited())
    typer.echo(FORMATS[report](findings))
    grave = [one for one in findings if strict or one.level is Level.ERROR]
    return 1 if grave else 0


def cluster_of(api_servers: Iterable[str]) -> Cluster:
    """Return an otherwise empty cluster whose API server is reached from ``api_servers``."""
    try:
        sources = tuple(declared_source(one, "given by --api-server") for one in api_servers)
    except ValueError as error:
        raise InputError("--api-server", str(error)) from error
    return Cluster(sources=sources)


def _read_state(folder: Path, given: Cluster) -> Cluster:
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
