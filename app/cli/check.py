"""``netpol-guard check``: lints manifests before they are applied."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from app.cli import options
from app.cli.beside import ClusterChoice, read_base
from app.cli.group import Example
from app.deadline import Deadline
from app.engine.cluster import Cluster
from app.engine.required_flows import Options
from app.errors import InputError
from app.lint.findings import LintReport
from app.lint.fixing import differences, mend
from app.lint.given import read_given
from app.lint.lint import Assumptions, Work, lint
from app.lint.report import as_github, as_json, as_junit, as_sarif
from app.lint.report_text import report_lines
from app.output.styled import show
from app.wire.networkpolicy.parse import DEFAULT_NAMESPACE
from app.wire.text.files import read_manifests, write

if TYPE_CHECKING:
    from app.wire.text.files import Manifests

EXAMPLES: tuple[Example, ...] = (
    (
        "A folder whose files are all the policies of their namespaces",
        "netpol-guard check policies/ --api-server 10.20.0.10",
    ),
    ("Policies that go beside the two baselines", "netpol-guard check new.yaml --assume-baselines"),
    ("A change to the live cluster, without applying it", "netpol-guard check new.yaml --live"),
    ("A change to an exported cluster", "netpol-guard check new.yaml --state ./exported-cluster"),
    ("Write the fixes into the files; see them first", "netpol-guard check policies/ --fix --diff"),
    (
        "What stands in a cluster, for a program",
        "kubectl get networkpolicies,namespaces -A -o yaml | netpol-guard check - --format json",
    ),
    ("Annotations in a GitHub workflow", "netpol-guard check policies/ --assume-baselines --format github"),
)

_KINDS = frozenset({"NetworkPolicy", "Namespace"})
_SECONDS = 60.0
"""How long the judgement of one namespace may take before it counts as too complex."""


class CheckFormat(Enum):
    """How findings are shown."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    JUNIT = "junit"
    GITHUB = "github"


_FOR_PROGRAMS: dict[CheckFormat, Callable[..., str]] = {
    CheckFormat.JSON: as_json,
    CheckFormat.SARIF: as_sarif,
    CheckFormat.JUNIT: as_junit,
    CheckFormat.GITHUB: as_github,
}


def command(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH", help="Files, folders, or - for standard input.")
    ],
    *,
    report: Annotated[
        CheckFormat, typer.Option("--format", help="How findings are shown.")
    ] = CheckFormat.TEXT,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings are findings too.")] = False,
    fix: Annotated[bool, typer.Option("--fix", help="Write the verified fixes into the files.")] = False,
    diff: Annotated[
        bool, typer.Option("--diff", "--dry-run", help="With --fix: show what it would write, and do not.")
    ] = False,
    assume_baselines: Annotated[
        bool, typer.Option("--assume-baselines", help="Judge as if both baselines stood beside the files.")
    ] = False,
    state: options.StateOption = None,
    live: options.LiveOption = False,
    kubeconfig: options.KubeconfigOption = None,
    context: options.ContextOption = None,
    api_server: options.ApiServerOption = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="The guard's settings, to judge as it does, a YAML file.")
    ] = None,
    namespace: options.NamespaceOption = None,
    allow_empty: Annotated[
        bool, typer.Option("--allow-empty", help="Input without any NetworkPolicy is fine.")
    ] = False,
) -> int:
    """Lint NetworkPolicy manifests before they are applied.

    The files are taken for all policies of their namespaces, unless --assume-baselines, --state or --live
    says beside what they go. Namespaces that no file describes are taken for managed by IOMETE.
    Exit code 0: clean (warnings are, without --strict); 1: findings; 2: unusable input.
    """
    files = read_manifests(paths)
    if not allow_empty:
        _demand_something(files)
    decided, declared = _settings(config)
    place = ClusterChoice(state, kubeconfig, context, tuple(api_server or declared), wants_live=live)
    home = namespace or place.namespace_or(DEFAULT_NAMESPACE)
    base = read_base(place, _touched(files, home) if place.is_live else None)
    assumptions = Assumptions(base.cluster, Cluster(sources=place.sources), assume_baselines, home)
    work = Work(decided, partial(Deadline.after, _SECONDS))

    def judge(given: Iterable[Manifests]) -> LintReport:
        found = lint((document for file in given for document in file.documents), assumptions, work)
        return replace(found, notes=(*found.notes, *base.notes))

    tell = partial(_show, form=report, strict=strict)
    if fix or diff:
        return _mend(files, judge, tell, diff=diff)
    found = judge(files)
    code = tell(found)
    if report is CheckFormat.TEXT and any(finding.fix is not None for finding in found.findings):
        typer.echo("--fix writes the fixes; --fix --diff shows what it would write")
    return code


def _settings(config: Path | None) -> tuple[Options, tuple[str, ...]]:
    """Return what the settings say about the requirements, and the API server's sources.

    Raises ``SettingsError``.
    """
    if config is None:
        return Options(), ()
    from app.settings.engine_options import options_of
    from app.settings.load import load

    settings = load(config)
    return options_of(settings), tuple(map(str, settings.api_server.sources))


def _show(report: LintReport, stream: TextIO | None = None, *, form: CheckFormat, strict: bool) -> int:
    """Print the report; return the exit code."""
    if form is CheckFormat.TEXT:
        show(report_lines(report), stream)
    else:
        print(_FOR_PROGRAMS[form](report, strict=strict), file=stream)
    return 1 if report.errors or (strict and report.findings) else 0


def _demand_something(files: Iterable[Manifests]) -> None:
    """Raise ``InputError`` where nothing can be judged: somebody meant something else, or a pipe broke."""
    kinds = {document.kind for file in files for document in file.documents}
    if not kinds & _KINDS:
        names = ", ".join(file.origin for file in files)
        raise InputError(names, "there is no NetworkPolicy in it (--allow-empty makes that fine)")


def _touched(files: Iterable[Manifests], namespace: str) -> frozenset[str] | None:
    """Return the namespaces whose policies are to be read; None is all managed ones, as labels change."""
    documents = [document for file in files for document in file.documents]
    if any(document.kind == "Namespace" for document in documents):
        return None
    return frozenset(read_given(documents, namespace).policies)


def _mend(
    files: Sequence[Manifests],
    judge: Callable[[Sequence[Manifests]], LintReport],
    tell: Callable[[LintReport, TextIO | None], int],
    *,
    diff: bool,
) -> int:
    """Write the fixes, or show what would be written; return the exit code of what is left, or was found."""
    found = judge(files)
    mended = mend(files, found, judge)
    if diff:
        _put(differences(files, mended.files))
        code = tell(found, sys.stderr)
    else:
        write(files, mended.files)
        piped = [file.text for file in mended.files if file.path is None]
        _put(piped)
        for line in mended.done:
            typer.echo(f"fixed {line}", err=True)
        code = tell(mended.report, sys.stderr if piped else None)
    for problem in mended.problems:
        typer.echo(f"netpol-guard: {problem}", err=True)
    return code


def _put(texts: Iterable[str]) -> None:
    """Write texts to standard output as they are in files: in UTF-8, whatever the terminal's encoding is."""
    sys.stdout.flush()
    sys.stdout.buffer.writelines(text.encode() for text in texts)
    sys.stdout.buffer.flush()
