"""The guard itself: registered as shipped, answering, strict, up to date; and what is let past it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from app.doctor import consequences, repairs
from app.doctor.checks.bypasses import examine_bypasses
from app.doctor.checks.guard_findings import guard_finding
from app.doctor.checks.webhooks import Webhook
from app.doctor.context import Context
from app.doctor.findings import Area, Check, Finding, Severity
from app.doctor.repairs import Repair
from app.engine.selectors import Selector
from app.engine.words import listed
from app.model.kinds import VALIDATING, Reference
from app.model.survey import CallOutcome
from app.wire.objects.registrations import FAIL, Registration
from app.wire.objects.workloads import DeploymentFacts

_VERSION = "app.kubernetes.io/version"
_ENFORCE = "enforce"
_CONFIGURATIONS = "validatingwebhookconfigurations"
_SELECTORS = ("namespaceSelector", "objectSelector")


def examine_guard(context: Context) -> Iterator[Finding]:
    """Yield what is wrong with the guard, or that there is none."""
    if context.only and context.product.namespace not in context.only:
        return
    registered = _registered(context)
    deployment = _deployment(context)
    if not context.can_tell(_CONFIGURATIONS):
        return
    if not registered:
        yield _absent(context) if deployment is None else _unregistered(context)
        if deployment is None:
            return
    findings = [*_link(context, registered), *_scope(context, registered)]
    findings += _strictness(context, registered, is_well=not findings)
    if deployment is not None:
        findings += [*_replicas(deployment), *_version(context, deployment)]
    yield from findings
    if registered and not findings:
        context.say_fine("the guard is registered as shipped, answers, and refuses while it is down")
    yield from examine_bypasses(context)


def _registered(context: Context) -> tuple[Registration, ...]:
    known = context.survey.registrations
    return tuple(one for one in known if one.client.configuration == context.product.configuration)


def _deployment(context: Context) -> DeploymentFacts | None:
    deployments = context.survey.deployments
    return next((one for one in deployments if (one.namespace, one.name) == context.product.service), None)


def _absent(context: Context) -> Finding:
    return guard_finding(
        Check.GUARD_ABSENT,
        Severity.WARNING,
        "no guard is installed",
        evidence=(f"there is no {context.product.configuration}",),
        repair=repairs.guard_again(),
    )


def _unregistered(context: Context) -> Finding:
    return guard_finding(
        Check.GUARD_NOT_REGISTERED,
        Severity.ERROR,
        "the guard runs but is not registered: the API server never asks it",
        evidence=(f"there is no {context.product.configuration}",),
        repair=repairs.guard_again(),
    )


def _link(context: Context, registered: tuple[Registration, ...]) -> Iterator[Finding]:
    """Yield what is between the API server and the guard's pods."""
    served = tuple(one for one in registered if one.client.service)
    for key in sorted({(one.client.namespace, one.client.service) for one in served}):
        yield from Webhook(context, key, served, Area.GUARD).findings(cut_off=False)


# -- what is registered --------------------------------------------------------------------------------------


def _scope(context: Context, registered: tuple[Registration, ...]) -> Iterator[Finding]:
    known = {one.client.webhook: one for one in registered}
    if not known:
        return
    for shipped in context.product.webhooks:
        found = known.get(shipped.client.webhook)
        if found is None:
            yield _not_as_shipped(f"webhook {shipped.client.webhook} is missing", ())
            continue
        differing = tuple(_differences(found, shipped))
        if differing:
            what = f"{listed(differing)} of webhook {shipped.client.webhook} differ from what is shipped"
            yield _not_as_shipped(what, differing, _as_shipped(found, shipped, differing))


def _differences(found: Registration, shipped: Registration) -> Iterator[str]:
    for name in sorted({*found.scope, *shipped.scope}):
        if _canonical(name, found.scope.get(name)) != _canonical(name, shipped.scope.get(name)):
            yield name
    if found.client.service:
        ours, theirs = shipped.client, found.client
        if (ours.namespace, ours.service, ours.port, ours.path) != (
            theirs.namespace,
            theirs.service,
            theirs.port,
            theirs.path,
        ):
            yield "clientConfig.service"


def _canonical(name: str, value: object) -> object:
    """Return a field in a form in which equal meaning is equal; the API server writes defaults out."""
    if name in _SELECTORS:
        return Selector.parse(value if isinstance(value, Mapping) else {})
    return value


def _as_shipped(found: Registration, shipped: Registration, fields: tuple[str, ...]) -> Repair | None:
    patch = []
    for name in fields:
        if name == "clientConfig.service":
            return None
        value = shipped.scope.get(name, {} if name in _SELECTORS else None)
        operation = {"op": "remove"} if value is None else {"op": "add", "value": value}
        patch.append({**operation, "path": f"/webhooks/{found.index}/{name}"})
    return _patched(found, "restore what is shipped", patch)


def _not_as_shipped(title: str, fields: tuple[str, ...], repair: Repair | None = None) -> Finding:
    return guard_finding(
        Check.GUARD_SCOPE,
        Severity.ERROR,
        title,
        evidence=(f"compared: {listed(fields)}",) if fields else (),
        consequence="changes that it should judge pass it by, or it is asked what it need not know: "
        + consequences.GUARD_BLIND,
        repair=repair or repairs.guard_again(),
    )


def _strictness(
    context: Context, registered: tuple[Registration, ...], *, is_well: bool
) -> Iterator[Finding]:
    lax = [one for one in registered if one.fails_open]
    if not lax:
        return
    call = context.survey.calls.get(context.product.service)
    is_safe = is_well and call is not None and call.outcome is CallOutcome.ANSWERED
    patch: list[dict[str, object]] = [
        {"op": "replace", "path": f"/webhooks/{one.index}/failurePolicy", "value": FAIL} for one in lax
    ]
    yield guard_finding(
        Check.GUARD_FAILS_OPEN,
        Severity.WARNING,
        "while the guard does not answer, every change passes unjudged (failurePolicy: Ignore)",
        evidence=tuple(f"{one.client.webhook}: failurePolicy {one.failure_policy}" for one in lax),
        repair=_patched(lax[0], "refuse while it does not answer", patch)
        if is_safe
        else repairs.advice("let the guard answer first; it raises this by itself", "netpol-guard doctor"),
    )


def _patched(registration: Registration, words: str, patch: list[dict[str, object]]) -> Repair:
    name = registration.client.configuration.partition("/")[2]
    return repairs.json_patch(words, Reference(VALIDATING, name), patch)


# -- what runs -----------------------------------------------------------------------------------------------


def _replicas(deployment: DeploymentFacts) -> Iterator[Finding]:
    if deployment.wanted == 0 or deployment.ready == 0:
        return  # then nobody answers, which is found as such
    if deployment.ready < deployment.wanted or deployment.wanted == 1:
        yield guard_finding(
            Check.GUARD_REPLICAS,
            Severity.WARNING,
            f"{deployment.ready} of {deployment.wanted} pod(s) of the guard are ready; two are the least",
            evidence=(f"Deployment {deployment.namespace}/{deployment.name}",),
            consequence="while the last one restarts, no NetworkPolicy of a managed namespace can be changed",
            repair=repairs.scaled(deployment.namespace, deployment.name, 2)
            if deployment.wanted == 1
            else repairs.advice(
                "look why", f"kubectl describe deployment {deployment.name} -n {deployment.namespace}"
            ),
        )


def _version(context: Context, deployment: DeploymentFacts) -> Iterator[Finding]:
    running = deployment.labels.get(_VERSION)
    if running is not None and running != context.product.version:
        yield guard_finding(
            Check.GUARD_VERSION,
            Severity.WARNING,
            f"the guard is version {running}, this program {context.product.version}",
            evidence=(f"label {_VERSION} of Deployment {deployment.namespace}/{deployment.name}",),
            consequence="its verdicts may differ from those shown here",
            repair=repairs.guard_again(),
        )
