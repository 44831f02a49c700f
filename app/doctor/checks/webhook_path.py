"""From a webhook's configuration to its pods: Service, port, endpoints, readiness; the first broken link."""

from __future__ import annotations

from collections.abc import Mapping

from app.doctor import repairs
from app.doctor.checks.called_service import CalledService
from app.doctor.findings import Area, Check, Finding
from app.doctor.repairs import Repair
from app.engine.ports import Protocol
from app.engine.words import labels_words, listed, missing_words
from app.model.kinds import MUTATING, SERVICE, VALIDATING, Reference
from app.wire.objects.services import EndpointSliceFacts, ServiceFacts
from app.wire.objects.webhooks import Registration
from app.wire.objects.workloads import DeploymentFacts

_KINDS = {kind.name: kind for kind in (VALIDATING, MUTATING)}


def broken_link(called: CalledService) -> Finding | None:
    """Return the first broken link to the pods of a Service, as a finding; None where there is none."""
    if not called.context.can_tell("services"):
        return None
    service = called.service
    if service is None:
        return _service_missing(called)
    if service.is_external_name or not service.selector:
        return None  # its pods are not known: a note says so
    return _port(called, service) or _endpoints(called, service)


def _service_missing(called: CalledService) -> Finding:
    configuration = called.registered[0].client.configuration
    stays = "; its requirement stays, as it was seen last" if called.missing else ""
    kind, _, name = configuration.partition("/")
    repair = Repair(
        "install what serves it again, or delete the configuration if nobody needs it",
        f"kubectl delete {kind.lower()} {name}",
    )
    return called.finding(
        Check.WEBHOOK_SERVICE_MISSING,
        f"{configuration} calls Service {called}, which does not exist{stays}",
        _named_by(called),
        *(missing_words(webhook) for webhook in called.missing),
        repair=repairs.GUARD_AGAIN if called.area is Area.GUARD else repair,
    )


def _port(called: CalledService, service: ServiceFacts) -> Finding | None:
    offered = [port.port for port in service.ports if port.protocol is Protocol.TCP]
    wrong = [webhook for webhook in called.registered if webhook.client.port not in offered]
    if not wrong:
        return None
    return called.finding(
        Check.WEBHOOK_PORT_MISSING,
        f"{wrong[0].client.configuration} calls port {wrong[0].client.port} of Service"
        f" {called}, which has only {listed(map(str, offered)) or 'none'}",
        _named_by(called),
        repair=_other_port(wrong[0], offered[0]) if len(offered) == 1 else None,
    )


def _endpoints(called: CalledService, service: ServiceFacts) -> Finding | None:
    if not called.context.can_tell("endpointslices"):
        return None
    slices = [each for each in called.context.survey.slices if (each.namespace, each.service) == called.key]
    endpoints = [endpoint for each in slices for endpoint in each.endpoints]
    if any(endpoint.ready for endpoint in endpoints):
        return _target_port(called, service, slices)
    if endpoints or called.pods:
        return _not_ready(called)
    return _no_pods(called, service)


def _target_port(
    called: CalledService, service: ServiceFacts, slices: list[EndpointSliceFacts]
) -> Finding | None:
    resolved = {port.name for each in slices for port in each.ports if port.number}
    numbers = {webhook.client.port for webhook in called.registered}
    for port in service.ports:
        if isinstance(port.target, str) and port.port in numbers and port.name not in resolved:
            names = sorted({port.name for pod in called.pods for port in pod.ports})
            return called.finding(
                Check.WEBHOOK_TARGET_PORT_UNKNOWN,
                f"Service {called} forwards to a container port named {port.target!r}, which its pods do not"
                " have",
                f"their ports are named {listed(names) or 'nothing'}",
                repair=_edited(called, "correct targetPort"),
            )
    return None


def _not_ready(called: CalledService) -> Finding:
    namespace, service = called.key
    troubles = listed(f"{pod.name}: {pod.reason}" for pod in called.pods if not pod.is_ready)
    name = called.pods[0].name if called.pods else f"-l service={service}"
    return called.finding(
        Check.WEBHOOK_NOT_READY,
        f"no pod behind Service {called} is ready",
        troubles or "its EndpointSlices list no ready endpoint",
        repair=Repair("look why", f"kubectl describe pod {name} -n {namespace}"),
    )


def _no_pods(called: CalledService, service: ServiceFacts) -> Finding:
    # The Deployment that is asleep is the cause, whichever others there are.
    selecting = sorted(called.deployments, key=lambda deployment: deployment.wanted != 0)
    if not selecting:
        return _selects_nothing(called, service)
    deployment = selecting[0]
    namespace, name = deployment.namespace, deployment.name
    if deployment.wanted == 0:
        return called.finding(
            Check.WEBHOOK_SCALED_TO_ZERO,
            f"Deployment {namespace}/{name}, which serves Service {called.key[1]}, is scaled to 0",
            f"{name}: 0 replicas wanted",
            repair=repairs.scaled(namespace, name, 1),
        )
    return called.finding(
        Check.WEBHOOK_NO_PODS,
        f"Deployment {namespace}/{name} wants {deployment.wanted} pod(s) for Service {called.key[1]} and has"
        " none",
        f"{name}: {deployment.ready} of {deployment.wanted} ready",
        repair=Repair("look why", f"kubectl describe deployment {name} -n {namespace}"),
    )


def _selects_nothing(called: CalledService, service: ServiceFacts) -> Finding:
    near = _nearest(called, service)
    wanted = labels_words(dict(service.selector)).removeprefix("a pod ")
    evidence = [f"the Service selects pods {wanted}"]
    repair = _edited(called, "correct the selector")
    if near is not None:
        has = {key: near.pod_labels[key] for key in service.selector if key in near.pod_labels}
        evidence.append(f"closest is Deployment {near.name}, whose pods have {_pairs(has)}")
        if has.keys() == service.selector.keys():
            patch = [{"op": "replace", "path": "/spec/selector", "value": has}]
            target = Reference(SERVICE, service.name, service.namespace)
            repair = repairs.json_patch(f"select {_pairs(has)}", target, patch)
    return called.finding(
        Check.WEBHOOK_SELECTS_NOTHING, f"Service {called} selects no pod", *evidence, repair=repair
    )


def _nearest(called: CalledService, service: ServiceFacts) -> DeploymentFacts | None:
    """Return the Deployment that shares most of the selector's keys and values; None if it shares nothing."""

    def score(deployment: DeploymentFacts) -> int:
        labels = deployment.pod_labels
        return sum((key in labels) + (labels.get(key) == value) for key, value in service.selector.items())

    deployments = called.context.survey.deployments
    near = [each for each in deployments if each.namespace == service.namespace and score(each)]
    return max(near, key=score, default=None)


def _named_by(called: CalledService) -> str:
    clients = (webhook.client for webhook in called.registered)
    return f"named by {listed(dict.fromkeys(f'{each.configuration}, {each.webhook}' for each in clients))}"


def _other_port(registration: Registration, port: int) -> Repair | None:
    kind, _, name = registration.client.configuration.partition("/")
    if kind not in _KINDS:
        return None
    path = f"/webhooks/{registration.index}/clientConfig/service/port"
    patch = [{"op": "add", "path": path, "value": port}]
    return repairs.json_patch(f"call port {port}", Reference(_KINDS[kind], name), patch)


def _edited(called: CalledService, words: str) -> Repair:
    namespace, name = called.key
    return Repair(words, f"kubectl edit service {name} -n {namespace}")


def _pairs(labels: Mapping[str, str]) -> str:
    return listed(f"{key}={value}" for key, value in sorted(labels.items())) or "none of these labels"
