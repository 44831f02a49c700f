"""A Service that the API server calls for webhooks, as the checks look at it."""

from __future__ import annotations

from dataclasses import dataclass

from app.doctor import consequences
from app.doctor.context import Context
from app.doctor.findings import Area, Check, Finding
from app.doctor.repairs import Repair
from app.engine.cluster import WebhookService
from app.wire.objects.pods import PodFacts
from app.wire.objects.services import ServiceFacts, ServiceKey
from app.wire.objects.webhooks import Registration
from app.wire.objects.workloads import DeploymentFacts


@dataclass(frozen=True, slots=True)
class CalledService:
    """One Service, and the registrations that name it; ``area`` is where a report speaks of it."""

    context: Context
    key: ServiceKey
    registered: tuple[Registration, ...]
    area: Area = Area.WEBHOOKS

    def __str__(self) -> str:
        return "/".join(self.key)

    @property
    def service(self) -> ServiceFacts | None:
        """The Service itself, None where there is none."""
        return self.context.survey.services.get(self.key)

    @property
    def missing(self) -> tuple[WebhookService, ...]:
        """What stays required of the Service, as it was seen last, while it is missing."""
        return tuple(
            webhook
            for webhook in self.context.survey.cluster.webhooks
            if webhook.is_missing and (webhook.namespace, webhook.name) == self.key
        )

    @property
    def pods(self) -> tuple[PodFacts, ...]:
        """The pods that it selects."""
        return self.context.pods_of(self.key)

    @property
    def deployments(self) -> tuple[DeploymentFacts, ...]:
        """The Deployments whose pods it selects."""
        wanted = self.service.selector.items() if self.service is not None else ()
        return tuple(
            deployment
            for deployment in self.context.survey.deployments
            if wanted and deployment.namespace == self.key[0] and wanted <= deployment.pod_labels.items()
        )

    @property
    def silence(self) -> str:
        """What is noticed when it does not answer."""
        if self.area is Area.GUARD and any(webhook.fails_open for webhook in self.registered):
            return f"{consequences.GUARD_BLIND} (failurePolicy: Ignore)"
        return consequences.of_silence(self.registered)

    def finding(
        self, check: Check, title: str, *evidence: str, consequence: str = "", repair: Repair | None = None
    ) -> Finding:
        """Return a finding about this Service, by default with what its silence leads to."""
        return Finding(
            check,
            title,
            self.key[0],
            about=f"Service {self}",
            evidence=evidence,
            consequence=consequence or self.silence,
            repair=repair,
            own_area=self.area,
        )
