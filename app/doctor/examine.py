"""The examination: all checks over one survey, causes before symptoms."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from app.doctor.checks.guard import examine_guard
from app.doctor.checks.labels import examine_labels
from app.doctor.checks.namespaces import examine_namespaces
from app.doctor.checks.neighbours import examine_neighbours
from app.doctor.checks.rounds import examine_rounds
from app.doctor.checks.sources import examine_sources
from app.doctor.checks.webhooks import examine_webhooks, unjudged_webhooks
from app.doctor.context import Context
from app.doctor.findings import Check, Finding, Report, ordered
from app.doctor.repairs import Repair


def examine(context: Context, tell: Callable[[str], None] = lambda _: None) -> Report:
    """Return everything that was found, worst first; ``tell`` hears what is being done."""
    tell("judging the policies of the managed namespaces")
    findings = [*examine_sources(context), *examine_rounds(context), *examine_namespaces(context)]
    tell("following webhooks to their pods")
    findings += examine_webhooks(context, _cut_off(findings))
    tell("looking at neighbours and at the guard")
    findings += [*examine_labels(context), *examine_neighbours(context), *examine_guard(context)]
    findings += _unchecked(context)
    for note in context.survey.notes:
        context.say_fine(note)
    return Report(ordered(findings), tuple(context.fine))


def _cut_off(findings: list[Finding]) -> frozenset[str]:
    """Return the namespaces where policies cut a webhook off, as a finding or as a symptom of one."""
    return frozenset(
        finding.namespace
        for finding in findings
        if any(each.check is Check.WEBHOOK_CUT_OFF for each in (finding, *finding.symptoms))
    )


def _unchecked(context: Context) -> Iterator[Finding]:
    yield from unjudged_webhooks(context)
    for unread in context.survey.unread:
        repair = Repair(unread.how) if unread.how else None
        yield Finding(Check.UNCHECKED, unread.why, about=unread.what, repair=repair)
