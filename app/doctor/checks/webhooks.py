"""Every webhook that a managed namespace serves, link by link: the first that is broken is the cause.

Configuration -> Service -> port -> EndpointSlices -> pods -> ready -> a real connection. Whether the policies
let the API server through is judged with the namespaces; the certificate stands by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from app.doctor.checks.called_service import CalledService
from app.doctor.checks.certificates import certificate_findings
from app.doctor.checks.webhook_path import broken_link
from app.doctor.context import Context, by_service
from app.doctor.findings import Check, Finding
from app.doctor.repairs import Repair
from app.engine.words import listed
from app.model.survey import Call, CallOutcome
from app.wire.objects.services import ServiceKey

_SLOW_SECONDS, _SLOW_PART = 2.0, 0.2


def examine_webhooks(context: Context, policy_causes: frozenset[str]) -> Iterator[Finding]:
    """Yield what is wrong with the webhooks of managed namespaces.

    ``policy_causes`` are the namespaces whose policies are known to cut a webhook off: there a connection
    that fails is no news.
    """
    for key, registered in sorted(by_service(context.survey.registrations).items()):
        namespace = key[0]
        if key == context.product.service or not context.includes(namespace):
            continue
        if namespace in context.verdicts.guarded:
            called = CalledService(context, key, registered)
            yield from service_findings(called, cut_off=namespace in policy_causes)


def unjudged_webhooks(context: Context) -> Iterator[Finding]:
    """Yield the webhooks of which nobody can tell whether policies cut them off, and why."""
    clients = [webhook.client for webhook in context.survey.registrations if webhook.client.url]
    if clients and not context.only:
        names = listed(f"{client.configuration} ({client.url})" for client in clients)
        yield Finding(
            Check.UNCHECKED,
            f"no Service says which pods serve them: {names}",
            about="webhooks that are called at a URL",
        )
    for namespace, name in sorted(by_service(context.survey.registrations)):
        service = context.survey.services.get((namespace, name))
        if service is None or namespace not in context.verdicts.guarded or not context.includes(namespace):
            continue
        if service.is_external_name or not service.selector:
            what = "is an ExternalName" if service.is_external_name else "has no selector"
            yield Finding(
                Check.UNCHECKED,
                f"it {what}, so its pods are not known",
                about=f"webhook Service {namespace}/{name}",
            )


def selecting_nothing(context: Context) -> frozenset[ServiceKey]:
    """Return the webhook Services that select no pod: what their selector says is not to be relied on."""
    return frozenset(
        key
        for key, registered in by_service(context.survey.registrations).items()
        if (broken := broken_link(CalledService(context, key, registered))) is not None
        and broken.check is Check.WEBHOOK_SELECTS_NOTHING
    )


def service_findings(called: CalledService, *, cut_off: bool) -> Iterator[Finding]:
    """Yield what is wrong with one Service; ``cut_off``: the policies are known to be in the way."""
    call = called.context.survey.calls.get(called.key, Call(CallOutcome.UNKNOWN))
    broken = broken_link(called)
    if broken is not None:
        yield _with_call_as_symptom(called, call, broken)
    elif not cut_off:
        yield from _connection(called, call)
    yield from certificate_findings(called)


# -- the connection ------------------------------------------------------------------------------------------


def _connection(called: CalledService, call: Call) -> Iterator[Finding]:
    # An answer may take a part of what the API server would wait for it.
    shortest = min(webhook.timeout_seconds for webhook in called.registered)
    if call.outcome is CallOutcome.FAILED:
        yield _unreachable(called, call)
    elif call.outcome is CallOutcome.ANSWERED and call.seconds >= max(_SLOW_SECONDS, _SLOW_PART * shortest):
        yield called.finding(
            Check.WEBHOOK_SLOW,
            f"the API server needs {call.seconds:.1f} s for an answer of Service {called}",
            f"measured just now, through the API server: {call.seconds:.1f} s",
            consequence="every pod creation waits that long",
            repair=Repair("look at its load", f"kubectl top pod -n {called.key[0]}"),
        )
    elif call.outcome is CallOutcome.ANSWERED:
        called.context.say_fine(f"webhook {called}: the API server reaches it ({call.seconds * 1000:.0f} ms)")


def _unreachable(called: CalledService, call: Call) -> Finding:
    namespace, name = called.key
    process = f"pod/{called.pods[0].name}" if called.pods else f"service/{name}"
    return called.finding(
        Check.WEBHOOK_UNREACHABLE,
        f"the API server cannot connect to Service {called}, although the policies let it",
        f"tried just now for {call.seconds:.1f} s: {call.said}",
        repair=Repair(
            "look at the process, the port it listens on, firewalls and the network plugin",
            f"kubectl logs -n {namespace} {process}",
        ),
    )


def _with_call_as_symptom(called: CalledService, call: Call, cause: Finding) -> Finding:
    if call.outcome is not CallOutcome.FAILED:
        return cause
    title = f"the API server gets no answer from Service {called}"
    return replace(cause, symptoms=(replace(_unreachable(called, call), title=title, repair=None),))
