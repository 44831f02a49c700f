"""The wiring of ``doctor`` and ``map``: a cluster or a folder, looked at once, judged as the guard would."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from app import __version__
from app.certificates.inspect import inspect
from app.cluster.survey.collected import Collected, Questions
from app.cluster.survey.folder import collected_in
from app.cluster.survey.live import Surveyor
from app.doctor.checks.neighbours import NEIGHBOUR_SELECTORS
from app.doctor.context import Bypasses, Context, Product
from app.doctor.examine import examine
from app.doctor.map.graph import Reach
from app.doctor.map.reach import reach_of
from app.doctor.report.machine import Examination
from app.doctor.report.page import Imprint
from app.doctor.verdicts import Verdicts
from app.engine.cluster import Source
from app.errors import InputError, SettingsError
from app.model.declared_sources import declared_sources
from app.model.survey import Survey
from app.names import SETTINGS_KEY
from app.settings.engine_options import options_of
from app.settings.load import load_text
from app.settings.model import Settings
from app.shipped import DEPLOY
from app.wire.objects.registrations import registrations
from app.wire.text.documents import decode_text, read_documents

Tell = Callable[[str], None]

_SHIPPED = DEPLOY / "webhook.yaml"
_NAMESPACE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line says about the examination."""

    api_servers: tuple[str, ...] = ()
    only: frozenset[str] = frozenset()
    calls: bool = True
    folder: Path | None = None
    kubeconfig: Path | None = None
    context: str | None = None


def examination(given: Given, tell: Tell) -> Examination:
    """Return what is wrong with the cluster, or with the folder of manifests.

    Raises ``StateUnreadable`` where there is nothing to be seen, and ``InputError`` for what was given.
    """
    cluster, collected = look(given, tell)
    context = context_of(collected, given)
    return Examination(examine(context, tell), context, cluster)


def mapped(given: Given, tell: Tell) -> tuple[Reach, Imprint]:
    """Return who reaches whom, and what a page says about itself. Raises like ``examination``."""
    cluster, collected = look(given, tell)
    context = context_of(collected, given)
    tell("judging who reaches whom")
    return reach_of(context.verdicts, given.only), Imprint(cluster, context.survey.moment, __version__)


def look(given: Given, tell: Tell) -> tuple[str, Collected]:
    """Return what the folder or else the live cluster is called, and holds. Raises ``StateUnreadable``."""
    if given.folder is not None:
        return str(given.folder), collected_in(given.folder, product().service)
    from app.cluster.client.connection import Connection, configuration

    api = Connection(configuration(given.kubeconfig, given.context))
    questions = Questions(product().service, NEIGHBOUR_SELECTORS, calls=given.calls)
    return api.server, Surveyor(api, questions, tell).collect()


def context_of(collected: Collected, given: Given) -> Context:
    """Return everything that the checks need. Raises ``InputError`` for what was given."""
    settings, bypasses = _settings(collected.settings)
    declared = _declared(given.api_servers, settings)
    survey = collected.judged(declared)
    _demand_known(given.only, survey)
    verdicts = Verdicts(survey.cluster, options_of(settings), _Budget)
    return Context(survey, verdicts, product(), bypasses, inspect, given.only)


def product() -> Product:
    """Return the guard as this version ships it."""
    text = decode_text(_SHIPPED.read_bytes(), _SHIPPED.name)
    (document,) = read_documents(text, _SHIPPED.name)
    return Product(__version__, registrations(document.object, document.kind))


class _Budget:
    """Bounds the time for one question about one namespace."""

    def __init__(self) -> None:
        from app.deadline import Deadline

        self._deadline = Deadline.after(_NAMESPACE_SECONDS)

    def exhausted(self) -> bool:
        """Tell whether the time is over."""
        return self._deadline.left <= 0


def _demand_known(only: Iterable[str], survey: Survey) -> None:
    missing = sorted(set(only) - survey.cluster.namespaces.keys())
    if missing:
        raise InputError("--namespace", f"there is no namespace {', '.join(missing)} in this cluster")


def _declared(given: Iterable[str], settings: Settings) -> tuple[Source, ...]:
    configured = settings.api_server.sources
    return declared_sources(given) or declared_sources(configured, "declared in the guard's settings")


def _settings(text: str) -> tuple[Settings, Bypasses]:
    """Return the guard's settings; the defaults, and what is wrong, where they cannot be used."""
    try:
        settings = load_text(text, SETTINGS_KEY)
    except SettingsError as error:
        return Settings(), Bypasses(problem=str(error))
    exempt = settings.exempt
    return settings, Bypasses(settings.mode.value, exempt.users, exempt.groups, exempt.namespaces)
