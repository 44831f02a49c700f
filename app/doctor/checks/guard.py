"""The guard itself: registered as shipped, answering, strict, up to date; and what is let past it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from app.doctor import consequences, repairs
from app.doctor.checks.bypasses import examine_bypasses
from app.doctor.checks.called_service import CalledService
from app.doctor.checks.webhooks import service_findings
from app.doctor.context import Context, by_service
from app.doctor.findings import Area, Check, Finding
from app.doctor.repairs import Repair
from app.engine.selectors import Selector
from app.engine.words import listed
from app.model.kinds import VALIDATING, Reference
from app.model.survey import CallOutcome, ConfigMapUse
from app.names import (
    LEDGER_CONFIG_MAP,
    LEDGER_METRIC,
    NAME,
    WEBHOOK_SERVICES_CONFIG_MAP,
    WEBHOOK_SERVICES_METRIC,
)
from app.wire.objects.webhooks import FAIL, Registration
from app.wire.objects.workloads import DeploymentFacts

_VERSION = "app.kubernetes.io/version"
_CONFIGURATIONS = "validatingwebhookconfigurations"
_SELECTORS = ("namespaceSelector", "objectSelector")


def examine_guard(context: Context) -> Iterator[Finding]:
    """Yield what is wrong with the guard, or that there is none."""
    if context.only and context.product.namespace not in context.only:
        return
    if not context.can_tell(_CONFIGURATIONS):
        return
    product = context.product
    known = context.survey.registrations
    registered = tuple(each for each in known if each.client.configuration == product.configuration)
    deployments = context.survey.deployments
    deployment = next((each for each in deployments if (each.namespace, each.name) == product.service), None)
    if not registered:
        yield _unregistered(context, deployment)
        if deployment is None:
            return
    findings = [*_link(context, registered), *_scope(context, registered)]
    findings += _strictness(context, registered, is_well=not findings)
    if deployment is not None:
        findings += [*_replicas(deployment), *_version(context, deployment), *_shared(context)]
    yield from findings
    if registered and not findings:
        context.say_fine("the guard is registered as shipped, answers, and refuses while it is down")
    yield from examine_bypasses(context)


def _unregistered(context: Context, deployment: DeploymentFacts | None) -> Finding:
    check, title = (
        (Check.GUARD_ABSENT, "no guard is installed")
        if deployment is None
        else (
            Check.GUARD_NOT_REGISTERED,
            "the guard runs but is not registered: the API server never asks it",
        )
    )
    return Finding(
        check,
        title,
        evidence=(f"there is no {context.product.configuration}",),
        consequence=consequences.GUARD_BLIND,
        repair=repairs.GUARD_AGAIN,
    )


def _link(context: Context, registered: tuple[Registration, ...]) -> Iterator[Finding]:
    """Yield what is between the API server and the guard's pods."""
    served = tuple(webhook for webhook in registered if webhook.client.service)
    for key in sorted(by_service(served)):
        yield from service_findings(CalledService(context, key, served, Area.GUARD), cut_off=False)


# -- what is registered --------------------------------------------------------------------------------------


def _scope(context: Context, registered: tuple[Registration, ...]) -> Iterator[Finding]:
    known = {webhook.client.webhook: webhook for webhook in registered}
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
    if found.client.service and found.client != shipped.client:
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
    return Finding(
        Check.GUARD_SCOPE,
        title,
        evidence=(f"compared: {listed(fields)}",) if fields else (),
        consequence="changes that it should judge pass it by, or it is asked what it need not know: "
        + consequences.GUARD_BLIND,
        repair=repair or repairs.GUARD_AGAIN,
    )


def _strictness(
    context: Context, registered: tuple[Registration, ...], *, is_well: bool
) -> Iterator[Finding]:
    lax = [webhook for webhook in registered if webhook.fails_open]
    if not lax:
        return
    call = context.survey.calls.get(context.product.service)
    is_safe = is_well and call is not None and call.outcome is CallOutcome.ANSWERED
    patch: list[dict[str, object]] = [
        {"op": "replace", "path": f"/webhooks/{webhook.index}/failurePolicy", "value": FAIL}
        for webhook in lax
    ]
    yield Finding(
        Check.GUARD_FAILS_OPEN,
        "while the guard does not answer, every change passes unjudged (failurePolicy: Ignore)",
        evidence=tuple(f"{each.client.webhook}: failurePolicy {each.failure_policy}" for each in lax),
        consequence=consequences.GUARD_BLIND,
        repair=_patched(lax[0], "refuse while it does not answer", patch)
        if is_safe
        else Repair("let the guard answer first; it raises this by itself", "netpol-guard doctor"),
    )


def _patched(registration: Registration, words: str, patch: list[dict[str, object]]) -> Repair:
    name = registration.client.configuration.partition("/")[2]
    return repairs.json_patch(words, Reference(VALIDATING, name), patch)


# -- what runs -----------------------------------------------------------------------------------------------


def _replicas(deployment: DeploymentFacts) -> Iterator[Finding]:
    if deployment.wanted == 0 or deployment.ready == 0:
        return  # then nobody answers, which is found as such
    if deployment.ready < deployment.wanted or deployment.wanted == 1:
        yield Finding(
            Check.GUARD_REPLICAS,
            f"{deployment.ready} of {deployment.wanted} pod(s) of the guard are ready; two are the least",
            evidence=(f"Deployment {deployment.namespace}/{deployment.name}",),
            consequence="while the last one restarts, no NetworkPolicy of a managed namespace can be changed",
            repair=repairs.scaled(deployment.namespace, deployment.name, 2)
            if deployment.wanted == 1
            else Repair(
                "look why", f"kubectl describe deployment {deployment.name} -n {deployment.namespace}"
            ),
        )


def _shared(context: Context) -> Iterator[Finding]:
    """Yield which of the ConfigMaps that replicas share is not used."""
    if why := _unused(context, context.survey.ledger, LEDGER_CONFIG_MAP, LEDGER_METRIC):
        yield Finding(
            Check.GUARD_LEDGER,
            "the guard does not use its ledger: changes that meet over two replicas are not judged together",
            evidence=(why,),
            consequence="two changes at the same moment, harmless only alone, may both be admitted: "
            + consequences.GUARD_BLIND,
            repair=_rollout(context) if context.survey.ledger is ConfigMapUse.BESIDE_OTHERS else _MANIFESTS,
        )
    use = context.survey.webhook_services
    if why := _unused(context, use, WEBHOOK_SERVICES_CONFIG_MAP, WEBHOOK_SERVICES_METRIC):
        yield Finding(
            Check.GUARD_WEBHOOK_SERVICES,
            "what the Services of webhooks were is not kept across restarts of the guard",
            evidence=(why,),
            consequence="while a webhook's Service or configuration is missing and the guard's pods are"
            " replaced, the API server's way to the webhook may be cut",
            repair=_MANIFESTS,
        )


_MANIFESTS = Repair("apply this version's manifests", repairs.GUARD_AGAIN.command)


def _rollout(context: Context) -> Repair:
    namespace = context.product.namespace
    return Repair("finish the update", f"kubectl rollout status deployment/{NAME} -n {namespace}")


def _unused(context: Context, use: ConfigMapUse, name: str, metric: str) -> str:
    """Return how it is known that a ConfigMap is not used, "" where it is or nobody can tell."""
    evidence = {
        ConfigMapUse.MISSING: f"there is no ConfigMap {context.product.namespace}/{name}",
        ConfigMapUse.UNUSED: f"a replica says so (netpol_guard_{metric} 0); why is in its log",
        ConfigMapUse.BESIDE_OTHERS: (
            "replicas that keep none, as of an older version, answer (netpol_guard_replicas_without_ledger)"
        ),
    }
    return evidence.get(use, "")


def _version(context: Context, deployment: DeploymentFacts) -> Iterator[Finding]:
    running = deployment.labels.get(_VERSION)
    if running is not None and running != context.product.version:
        yield Finding(
            Check.GUARD_VERSION,
            f"the guard is version {running}, this program {context.product.version}",
            evidence=(f"label {_VERSION} of Deployment {deployment.namespace}/{deployment.name}",),
            consequence="its verdicts may differ from those shown here",
            repair=repairs.GUARD_AGAIN,
        )
