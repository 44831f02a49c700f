"""What the checks share: the survey, the verdicts on it, and what only the surroundings know."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from app import __version__
from app.doctor.verdicts import Verdicts
from app.engine.required_flows import Options
from app.errors import InputError
from app.model.survey import Survey
from app.shipped import DEPLOY
from app.wire.objects.pods import PodFacts
from app.wire.objects.services import ServiceKey
from app.wire.objects.webhooks import Registration, registrations
from app.wire.text.documents import decode_text, read_documents


class CertificateFacts(Protocol):
    """What a check must know of a serving certificate."""

    @property
    def ends(self) -> datetime:
        """When it expires."""

    @property
    def names(self) -> tuple[str, ...]:
        """The host names that it is good for."""

    def is_trusted_by(self, bundle: bytes) -> bool:
        """Tell whether the authorities in ``bundle`` (PEM) vouch for it."""


_SHIPPED = DEPLOY / "webhook.yaml"

Inspector = Callable[[bytes], CertificateFacts | None]
"""Reads a certificate (PEM); None where it is none."""


@dataclass(frozen=True, slots=True)
class Bypasses:
    """What the guard's settings let through without a judgement; ``problem`` where they cannot be read."""

    mode: str = "enforce"
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Product:
    """The guard as this version of the program would install it."""

    version: str
    webhooks: tuple[Registration, ...]
    namespace: str = "netpol-guard"
    name: str = "netpol-guard"
    replicas: int = 2

    @classmethod
    def shipped(cls) -> Product:
        """Return the guard as its manifests say."""
        text = decode_text(_SHIPPED.read_bytes(), _SHIPPED.name)
        (document,) = read_documents(text, _SHIPPED.name)
        return cls(__version__, registrations(document.object, document.kind))

    @property
    def configuration(self) -> str:
        """Kind and name of its webhook configuration."""
        return f"ValidatingWebhookConfiguration/{self.name}"

    @property
    def service(self) -> ServiceKey:
        """Its Service."""
        return self.namespace, self.name


@dataclass(frozen=True, slots=True)
class Context:
    """One examination. ``only`` limits it to some namespaces, where it is not empty."""

    survey: Survey
    verdicts: Verdicts
    product: Product
    bypasses: Bypasses
    inspect: Inspector
    only: frozenset[str] = frozenset()
    fine: list[str] = field(default_factory=list)

    @classmethod
    def of(
        cls,
        survey: Survey,
        options: Options,
        bypasses: Bypasses,
        *,
        inspect: Inspector,
        only: frozenset[str] = frozenset(),
    ) -> Context:
        """Return what the checks need to examine ``survey``. Raises ``InputError`` for unknown namespaces."""
        missing = sorted(only - survey.cluster.namespaces.keys())
        if missing:
            raise InputError("--namespace", f"there is no namespace {', '.join(missing)} in this cluster")
        return cls(survey, Verdicts(survey.cluster, options), Product.shipped(), bypasses, inspect, only)

    def includes(self, namespace: str) -> bool:
        """Tell whether ``namespace`` is to be looked at."""
        return not self.only or namespace in self.only

    def can_tell(self, *resources: str) -> bool:
        """Tell whether all of these resources could be read, so that their absence means something."""
        return not self.survey.hidden & set(resources)

    def say_fine(self, sentence: str) -> None:
        """Note something that is as it should be."""
        self.fine.append(sentence)

    def pods_of(self, key: ServiceKey) -> tuple[PodFacts, ...]:
        """Return the pods that a Service selects."""
        service = self.survey.services.get(key)
        if service is None or not service.selector:
            return ()
        return tuple(pod for pod in self.survey.pods if pod.is_selected(key[0], service.selector))


def by_service(registrations: Iterable[Registration]) -> Mapping[ServiceKey, tuple[Registration, ...]]:
    """Return the registrations by the Service that serves them; those called at a URL are left out."""
    grouped: dict[ServiceKey, tuple[Registration, ...]] = {}
    for registration in registrations:
        client = registration.client
        if client.service:
            key = (client.namespace, client.service)
            grouped[key] = (*grouped.get(key, ()), registration)
    return grouped
