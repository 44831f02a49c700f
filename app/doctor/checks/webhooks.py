"""Every webhook that a managed namespace serves, link by link: the first that is broken is the cause.

Configuration -> Service -> port -> EndpointSlices -> pods -> ready -> a real connection. Whether the policies
let the API server through is judged with the namespaces; the certificate stands by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from app.doctor import repairs
from app.doctor.checks.certificates import certificate_findings
from app.doctor.checks.webhook_path import Links
from app.doctor.context import Context, by_service
from app.doctor.findings import Area, Check, Finding, Severity
from app.engine.words import listed
from app.model.survey import CallOutcome, ServiceKey
from app.wire.objects.registrations import Registration

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
            yield from Webhook(context, key, registered).findings(cut_off=namespace in policy_causes)


def unjudged_webhooks(context: Context) -> Iterator[Finding]:
    """Yield the webhooks of which nobody can tell whether policies cut them off, and why."""
    urls = [one.client for one in context.survey.registrations if one.client.url]
    if urls and not context.only:
        names = listed(f"{one.configuration} ({one.url})" for one in urls)
        yield _unjudged(
            "webhooks that are called at a URL", f"no Service says which pods serve them: {names}"
        )
    for namespace, name in sorted(by_service(context.survey.registrations)):
        service = context.survey.services.get((namespace, name))
        if service is None or namespace not in context.verdicts.guarded or not context.includes(namespace):
            continue
        if service.is_external_name or not service.selector:
            what = "is an ExternalName" if service.is_external_name else "has no selector"
            yield _unjudged(f"webhook Service {namespace}/{name}", f"it {what}, so its pods are not known")


def _unjudged(what: str, why: str) -> Finding:
    return Finding(Check.UNCHECKED, Severity.UNCHECKED, Area.UNCHECKED, what, why)


def selecting_nothing(context: Context) -> frozenset[ServiceKey]:
    """Return the webhook Services that select no pod: what their selector says is not to be relied on."""
    return frozenset(
        key
        for key, registered in by_service(context.survey.registrations).items()
        if Webhook(context, key, registered).selects_nothing
    )


@dataclass(frozen=True, slots=True)
class Webhook:
    """The examination of one Service that serves webhooks."""

    context: Context
    key: ServiceKey
    registered: tuple[Registration, ...]
    area: Area = Area.WEBHOOKS

    @property
    def _links(self) -> Links:
        return Links(self.context, self.key, self.registered, self.area)

    def findings(self, *, cut_off: bool) -> Iterator[Finding]:
        """Yield what is wrong; ``cut_off``: the policies are known to be in the way."""
        broken = self._links.broken()
        if broken is not None:
            yield self._with_call_as_symptom(broken)
        elif not cut_off:
            yield from self._connection()
        yield from certificate_findings(self.context, self.key, self.registered, self.area)

    @property
    def selects_nothing(self) -> bool:
        """Whether the Service's selector fits no pod and no Deployment."""
        broken = self._links.broken()
        return broken is not None and broken.check is Check.WEBHOOK_SELECTS_NOTHING

    # -- the connection ------------------------------------------------------------------------------------

    def _connection(self) -> Iterator[Finding]:
        call = self.context.survey.calls.get(self.key)
        if call is None or call.outcome is CallOutcome.UNKNOWN:
            return
        if call.outcome is CallOutcome.FAILED:
            yield self._unreachable()
        elif call.seconds >= self._patience:
            yield self._links.finding(
                Check.WEBHOOK_SLOW,
                f"the API server needs {call.seconds:.1f} s for an answer of Service {'/'.join(self.key)}",
                severity=Severity.WARNING,
                evidence=(f"measured just now, through the API server: {call.seconds:.1f} s",),
                consequence="every pod creation waits that long",
                repair=repairs.advice("look at its load", f"kubectl top pod -n {self.key[0]}"),
            )
        else:
            self.context.say_fine(
                f"webhook {'/'.join(self.key)}: the API server reaches it ({call.seconds * 1000:.0f} ms)"
            )

    @property
    def _patience(self) -> float:
        """How long an answer may take: a part of what the API server would wait."""
        return max(_SLOW_SECONDS, _SLOW_PART * min(one.timeout_seconds for one in self.registered))

    def _unreachable(self) -> Finding:
        call = self.context.survey.calls[self.key]
        return self._links.finding(
            Check.WEBHOOK_UNREACHABLE,
            f"the API server cannot connect to Service {'/'.join(self.key)}, although the policies let it",
            evidence=(f"tried just now for {call.seconds:.1f} s: {call.said}",),
            repair=repairs.advice(
                "look at the process, the port it listens on, firewalls and the network plugin",
                f"kubectl logs -n {self.key[0]} {self._process()}",
            ),
        )

    def _with_call_as_symptom(self, cause: Finding) -> Finding:
        call = self.context.survey.calls.get(self.key)
        if call is None or call.outcome is not CallOutcome.FAILED:
            return cause
        symptom = self._links.finding(
            Check.WEBHOOK_UNREACHABLE,
            f"the API server gets no answer from Service {'/'.join(self.key)}",
            evidence=(f"tried just now for {call.seconds:.1f} s: {call.said}",),
        )
        return replace(cause, symptoms=(*cause.symptoms, symptom))

    def _process(self) -> str:
        pods = self.context.pods_of(self.key)
        return f"pod/{pods[0].name}" if pods else f"service/{self.key[1]}"
