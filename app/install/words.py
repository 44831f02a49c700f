"""Plans and their outcome as lines for an admin to read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from app.engine.cluster import Source
from app.engine.words import addresses_words, listed, peer_words
from app.install.dry_run import Step
from app.install.execution import Account
from app.install.policies.changes import Doing
from app.model.measurement import Measurement

_NAME = "\0"


def source_lines(sources: Iterable[Source]) -> Iterator[str]:
    """Yield where the API server's calls come from, and how that is known."""
    yield "The API server calls from:"
    for one in sources:
        where = addresses_words(one.addresses) if one.addresses is not None else _pods(one)
        known = one.provenance.value
        yield f"  {where}  ({one.origin if one.origin.startswith(known) else f'{known}: {one.origin}'})"


def _pods(source: Source) -> str:
    return "" if source.pods is None else peer_words(source.pods)


def measurement_lines(measured: Measurement, known: Iterable[Source]) -> Iterator[str]:
    """Yield what the probes found, how far they went, and what follows from it; ``known`` was before them."""
    places = {(one.addresses, one.pods) for one in known}
    for one in measured.coverage:
        trouble = f"; {one.trouble}" if one.trouble else ""
        yield f"  asked {one.api_server} ({one.reach.value}): {one.answers} of {one.probes} answered{trouble}"
    for found in measured.found:
        source = found.source
        news = (
            "" if (source.addresses, source.pods) in places else "; listed nowhere, so only measuring tells"
        )
        yield f"  {found.place}: {found.times} calls, seen by {listed(found.seers)}{news}"
    yield from (f"Note: {one}" for one in measured.notes)


def plan_lines(steps: Sequence[Step], notes: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield the plan: every step with its reason and its diff, shown once for equal ones."""
    shown: dict[tuple[str, ...], str] = {}
    for step in steps:
        yield f"* {step.title}: {step.why}"
        diff = () if step.doing is Doing.REMOVE else step.diff()
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
        where = listed(one for one in namespaces if one)
        yield f"Note: {where}: {note}" if where else f"Note: {note}"


def account_lines(account: Account, again: str) -> Iterator[str]:
    """Yield what stands and what is left, and how to go on with the command ``again``."""
    if account.trouble:
        yield f"Stopped: {account.trouble}"
    if account.left:
        yield f"Done: {len(account.done)} of {len(account.done) + len(account.left)} steps. Left:"
        yield from (f"  - {one}" for one in account.left)
        yield (
            "What is done stands, and cuts nothing off: the steps were tried in this order."
            if account.done
            else "Nothing was changed."
        )
        yield f"To complete it: {again}"
