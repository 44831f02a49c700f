"""``doctor --fix``: show what would be done, ask, do it, and look again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from rich.text import Text

from app.doctor.repairs import Apply, Baselines, JsonPatch, MergePatch, Repair, RepairStep
from app.engine.words import listed
from app.errors import ChangeFailed, GuardError
from app.install.prepare import BootstrapRequest, bring_baselines

if TYPE_CHECKING:
    from rich.console import Console

    from app.doctor.findings import Report
    from app.engine.cluster import Source
    from app.install.ports import Site, Store, Terminal

_PAUSE = 10.0


@dataclass(frozen=True, slots=True)
class Consent:
    """What an admin decided beforehand: not to be asked, where the API server is, how long plugins need."""

    yes: bool = False
    declared: tuple[Source, ...] = ()
    pause: float = _PAUSE


def plan_of(report: Report) -> tuple[Repair, ...]:
    """Return what ``--fix`` can do about a report, each thing once, in the order of the findings."""
    found = (finding.repair for finding in report.findings if finding.severity.counts)
    planned = {known.command: known for known in found if known is not None and known.step is not None}
    return tuple(planned.values())


def repair(report: Report, console: Console, consent: Consent, *, site: Site, terminal: Terminal) -> bool:
    """Show the plan, ask, and carry it out; return whether anything was done.

    What fails is said and does not stop the rest. Raises ``InputError`` where nobody can be asked.
    """
    plan = plan_of(report)
    if not plan:
        console.print(Text("nothing here can be repaired by itself; see the commands above"))
        return False
    console.print(Text(f"--fix would do {len(plan)} thing(s):", style="bold"))
    for number, planned in enumerate(plan, start=1):
        console.print(Text(f"  {number}. {planned.words}"))
    if not (consent.yes or terminal.confirm("Do this?")):
        console.print(Text("nothing was changed"))
        return False
    for words, act in _acts(plan, consent, site, terminal):
        try:
            act()
        except GuardError as error:
            console.print(Text(f"failed: {words}: {error}", style="red"))
        else:
            console.print(Text(f"done: {words}", style="green"))
    return True


def _acts(
    plan: Iterable[Repair], consent: Consent, site: Site, terminal: Terminal
) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield words and act of each repair; baselines of all namespaces come together, last."""
    wanted: dict[tuple[str, ...], list[str]] = {}
    for planned in plan:
        if isinstance(planned.step, Baselines):
            wanted.setdefault(planned.step.allow, []).append(planned.step.namespace)
        elif planned.step is not None:
            yield planned.words, partial(_write, planned.step, site.objects)
    for allow, namespaces in wanted.items():
        request = BootstrapRequest(
            namespaces=tuple(dict.fromkeys(namespaces)),
            declared=consent.declared,
            openings=allow,
            yes=True,
            pause=consent.pause,
        )
        yield f"both baselines in {listed(request.namespaces)}", partial(_bring, site, terminal, request)


def _bring(site: Site, terminal: Terminal, request: BootstrapRequest) -> None:
    if bring_baselines(site, terminal, request) != 0:
        raise ChangeFailed(f"write the baselines of {listed(request.namespaces)}", "see the lines above")


def _write(step: RepairStep, objects: Store) -> None:
    match step:
        case MergePatch(target, patch):
            objects.merge(target, dict(patch))
        case JsonPatch(target, operations):
            objects.edit(target, tuple(operations))
        case Apply(manifest):
            objects.apply(manifest)
