"""From a webhook's configuration to its pods: Service, port, endpoints, readiness; the first broken link."""

from __future__ import annotations

from dataclasses import dataclass

from app.doctor import consequences, repairs
from app.doctor.context import Context
from app.doctor.findings import Area, Check, Finding, Severity
from app.doctor.repairs import Repair
from app.engine.ports import Protocol
from app.engine.words import labels_words, listed
from app.model.kinds import MUTATING, SERVICE, VALIDATING, Reference
from app.model.survey import ServiceKey
from app.wire.objects.pods import PodFacts
from app.wire.objects.registrations import Registration
from app.wire.objects.services import EndpointSliceFacts, ServiceFacts
from app.wire.objects.workloads import DeploymentFacts

_KINDS = {one.name: one for one in (VALIDATING, MUTATING)}


@dataclass(frozen=True, slots=True)
class Links:
    """The way from the registrations that name one Service to the pods behind it."""

    context: Context
    key: ServiceKey
    registered: tuple[Registration, ...]
    area: Area

    # -- links ---------------------------------------------------------------------------------------------

    def broken(self) -> Finding | None:
        """Return the first link that is broken, as a finding; None where there is none."""
        if not self.context.can_tell("services"):
            return None
        service = self.context.survey.services.get(self.key)
        if service is None:
            return self._service_missing()
        if service.is_external_name or not service.selector:
            return None  # its pods are not known: a note says so
        return self._port(service) or self._endpoints(service)

    def _service_missing(self) -> Finding:
        configuration = self.registered[0].client.configuration
        kind, _, name = configuration.partition("/")
        repair = repairs.advice(
            "install what serves it again, or delete the configuration if nobody needs it",
            f"kubectl delete {kind.lower()} {name}",
        )
        return self.finding(
            Check.WEBHOOK_SERVICE_MISSING,
            f"{configuration} calls Service {'/'.join(self.key)}, which does not exist",
            evidence=(self._named_by(),),
            repair=repairs.guard_again() if self.area is Area.GUARD else repair,
        )

    def _port(self, service: ServiceFacts) -> Finding | None:
        offered = [one.port for one in service.ports if one.protocol is Protocol.TCP]
        wrong = [one for one in self.registered if one.client.port not in offered]
        if not wrong:
            return None
        only = offered[0] if len(offered) == 1 else None
        return self.finding(
            Check.WEBHOOK_PORT_MISSING,
            f"{wrong[0].client.configuration} calls port {wrong[0].client.port} of Service"
            f" {'/'.join(self.key)}, which has only {listed(map(str, offered)) or 'none'}",
            evidence=(self._named_by(),),
            repair=None if only is None else _other_port(wrong[0], only),
        )

    def _endpoints(self, service: ServiceFacts) -> Finding | None:
        if not self.context.can_tell("endpointslices"):
            return None
        slices = [one for one in self.context.survey.slices if (one.namespace, one.service) == self.key]
        endpoints = [endpoint for one in slices for endpoint in one.endpoints]
        if any(one.ready for one in endpoints):
            return self._target_port(service, slices)
        if endpoints or self.context.pods_of(self.key):
            return self._not_ready(self.context.pods_of(self.key))
        return self._no_pods(service)

    def _target_port(self, service: ServiceFacts, slices: list[EndpointSliceFacts]) -> Finding | None:
        for port in service.ports:
            if isinstance(port.target, int) or all(one.client.port != port.port for one in self.registered):
                continue
            if not any(one.name == port.name and one.number for each in slices for one in each.ports):
                names = sorted({name for pod in self.context.pods_of(self.key) for name in pod.ports})
                return self.finding(
                    Check.WEBHOOK_TARGET_PORT_UNKNOWN,
                    f"Service {'/'.join(self.key)} forwards to a container port named {port.target!r}, which"
                    " its pods do not have",
                    evidence=(f"their ports are named {listed(names) or 'nothing'}",),
                    repair=repairs.advice(
                        "correct targetPort", f"kubectl edit service {self.key[1]} -n {self.key[0]}"
                    ),
                )
        return None

    def _not_ready(self, pods: tuple[PodFacts, ...]) -> Finding:
        troubles = listed(f"{one.name}: {one.reason}" for one in pods if not one.is_ready)
        name = pods[0].name if pods else f"-l service={self.key[1]}"
        return self.finding(
            Check.WEBHOOK_NOT_READY,
            f"no pod behind Service {'/'.join(self.key)} is ready",
            evidence=(troubles or "its EndpointSlices list no ready endpoint",),
            repair=repairs.advice("look why", f"kubectl describe pod {name} -n {self.key[0]}"),
        )

    def _no_pods(self, service: ServiceFacts) -> Finding:
        selecting = [
            one
            for one in self.context.survey.deployments
            if one.namespace == self.key[0] and service.selector.items() <= dict(one.pod_labels).items()
        ]
        asleep = next((one for one in selecting if one.wanted == 0), None)
        if asleep is not None:
            return self.finding(
                Check.WEBHOOK_SCALED_TO_ZERO,
                f"Deployment {asleep.namespace}/{asleep.name}, which serves Service {self.key[1]}, is scaled"
                " to 0",
                evidence=(f"{asleep.name}: 0 replicas wanted",),
                repair=repairs.scaled(asleep.namespace, asleep.name, 1),
            )
        if selecting:
            one = selecting[0]
            return self.finding(
                Check.WEBHOOK_NO_PODS,
                f"Deployment {one.namespace}/{one.name} wants {one.wanted} pod(s) for Service {self.key[1]}"
                " and has none",
                evidence=(f"{one.name}: {one.ready} of {one.wanted} ready",),
                repair=repairs.advice(
                    "look why", f"kubectl describe deployment {one.name} -n {one.namespace}"
                ),
            )
        return self._selects_nothing(service)

    def _selects_nothing(self, service: ServiceFacts) -> Finding:
        near = _nearest(service, self.context.survey.deployments, self.key[0])
        wanted = labels_words(dict(service.selector)).removeprefix("a pod ")
        evidence = [f"the Service selects pods {wanted}"]
        repair = repairs.advice(
            "correct the selector", f"kubectl edit service {self.key[1]} -n {self.key[0]}"
        )
        if near is not None:
            has = {key: near.pod_labels[key] for key in service.selector if key in near.pod_labels}
            evidence.append(f"closest is Deployment {near.name}, whose pods have {_pairs(has)}")
            if has.keys() == service.selector.keys():
                repair = _other_selector(self.key, has)
        return self.finding(
            Check.WEBHOOK_SELECTS_NOTHING,
            f"Service {'/'.join(self.key)} selects no pod",
            evidence=tuple(evidence),
            repair=repair,
        )

    # -- shared --------------------------------------------------------------------------------------------

    def _named_by(self) -> str:
        named = dict.fromkeys(f"{one.client.configuration}, {one.client.webhook}" for one in self.registered)
        return f"named by {listed(named)}"

    def finding(
        self,
        check: Check,
        title: str,
        *,
        severity: Severity = Severity.ERROR,
        evidence: tuple[str, ...] = (),
        consequence: str = "",
        repair: Repair | None = None,
    ) -> Finding:
        """Return a finding about this Service, by default with what its silence leads to."""
        return Finding(
            check,
            severity,
            self.area,
            f"Service {'/'.join(self.key)}",
            title,
            self.key[0],
            evidence,
            consequence or self._silence(),
            repair,
        )

    def _silence(self) -> str:
        if self.area is Area.GUARD and any(one.fails_open for one in self.registered):
            return f"{consequences.GUARD_BLIND} (failurePolicy: Ignore)"
        return consequences.of_silence(self.registered)


def _other_port(registration: Registration, port: int) -> Repair | None:
    kind, _, name = registration.client.configuration.partition("/")
    if kind not in _KINDS:
        return None
    path = f"/webhooks/{registration.index}/clientConfig/service/port"
    patch = [{"op": "add", "path": path, "value": port}]
    return repairs.json_patch(f"call port {port}", Reference(_KINDS[kind], name), patch)


def _other_selector(key: ServiceKey, labels: dict[str, str]) -> Repair:
    patch = [{"op": "replace", "path": "/spec/selector", "value": labels}]
    return repairs.json_patch(f"select {_pairs(labels)}", Reference(SERVICE, key[1], key[0]), patch)


def _pairs(labels: dict[str, str]) -> str:
    return listed(f"{key}={value}" for key, value in sorted(labels.items())) or "none of these labels"


def _nearest(
    service: ServiceFacts, deployments: tuple[DeploymentFacts, ...], namespace: str
) -> DeploymentFacts | None:
    """Return the Deployment that shares most of the selector's keys and values; None if it shares nothing."""

    def score(one: DeploymentFacts) -> int:
        pairs = service.selector.items()
        return sum((key in one.pod_labels) + (one.pod_labels.get(key) == value) for key, value in pairs)

    near = [one for one in deployments if one.namespace == namespace and score(one)]
    return max(near, key=score, default=None)
