"""Plans and their outcome as lines for an admin to read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from app.engine.cluster import Source
from app.engine.words import addresses_words, listed, peer_words
from app.install.dry_run import PlanStep
from app.install.execution import RunReport
from app.install.policies.changes import Action
from app.model.measurement import Measurement

_NAME = "\0"


def source_lines(sources: Iterable[Source]) -> Iterator[str]:
    """Yield where the API server's calls come from, and how that is known."""
    yield "The API server calls from:"
    for source in sources:
        where = addresses_words(source.addresses) if source.addresses is not None else _pods(source)
        known = source.provenance.value
        origin = source.origin if source.origin.startswith(known) else f"{known}: {source.origin}"
        yield f"  {where}  ({origin})"


def _pods(source: Source) -> str:
    return "" if source.pods is None else peer_words(source.pods)


def measurement_lines(measured: Measurement, known: Iterable[Source]) -> Iterator[str]:
    """Yield what the probes found, how far they went, and what follows from it; ``known`` was before them."""
    places = {(source.addresses, source.pods) for source in known}
    for asked in measured.coverage:
        trouble = f"; {asked.trouble}" if asked.trouble else ""
        answers = f"{asked.answers} of {asked.probes} answered{trouble}"
        yield f"  asked {asked.api_server} ({asked.reach.value}): {answers}"
    for found in measured.found:
        source = found.source
        is_listed = (source.addresses, source.pods) in places
        news = "" if is_listed else "; listed nowhere, so only measuring tells"
        yield f"  {found.place}: {found.times} calls, seen by {listed(found.seers)}{news}"
    yield from (f"Note: {note}" for note in measured.notes)


def plan_lines(steps: Sequence[PlanStep], notes: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield the plan: every step with its reason and its diff, shown once for equal ones."""
    shown: dict[tuple[str, ...], str] = {}
    for step in steps:
        yield f"* {step.title}: {step.why}"
        diff = () if step.action is Action.REMOVE else step.diff()
        meaning = tuple(line.replace(step.reference.namespace or _NAME, _NAME) for line in diff)
        known = shown.setdefault(meaning, str(step.reference))
        if known != str(step.reference) and diff:
            yield f"    the same text as for {known}"
        else:
            yield from (f"    {line}" for line in diff)
    yield from note_lines(notes)


def note_lines(notes: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield what the admin should know, each thing once with all namespaces that it is about."""
    places: dict[str, list[str]] = {}
    for namespace, found in sorted(notes.items()):
        for note in found:
            places.setdefault(note, []).append(namespace)
    for note, namespaces in places.items():
        where = listed(name for name in namespaces if name)
        yield f"Note: {where}: {note}" if where else f"Note: {note}"


def report_lines(report: RunReport, again: str) -> Iterator[str]:
    """Yield what stands and what is left, and how to go on with the command ``again``."""
    if report.trouble:
        yield f"Stopped: {report.trouble}"
    if report.left:
        yield f"Done: {len(report.done)} of {len(report.done) + len(report.left)} steps. Left:"
        yield from (f"  - {title}" for title in report.left)
        stands = "What is done stands, and cuts nothing off: the steps were tried in this order."
        yield stands if report.done else "Nothing was changed."
        yield f"To complete it: {again}"
