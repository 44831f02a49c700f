"""The wiring of ``doctor`` and ``map``: a cluster or a folder, looked at once, judged as the guard would."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.certificates.inspect import inspect
from app.cluster.survey.collected import Collected, Questions
from app.cluster.survey.folder import collected_in
from app.cluster.survey.live import Surveyor, Tell
from app.doctor.checks.neighbours import NEIGHBOUR_SELECTORS
from app.doctor.context import Bypasses, Context, Product
from app.doctor.examine import examine
from app.doctor.map.graph import Reach
from app.doctor.map.reach import reach_of
from app.doctor.report.machine import Examination
from app.doctor.report.page import Imprint
from app.errors import SettingsError
from app.model.declared_sources import declared_sources
from app.names import SETTINGS_KEY
from app.settings.engine_options import options_of
from app.settings.load import load_text
from app.settings.model import Settings


@dataclass(frozen=True, slots=True)
class ExaminationOptions:
    """What the command line says about the examination."""

    api_servers: tuple[str, ...] = ()
    only: frozenset[str] = frozenset()
    calls: bool = True
    folder: Path | None = None
    kubeconfig: Path | None = None
    context: str | None = None


def examination(given: ExaminationOptions, tell: Tell) -> Examination:
    """Return what is wrong with the cluster, or with the folder of manifests.

    Raises ``StateUnreadable`` where there is nothing to be seen, and ``InputError`` for what was given.
    """
    cluster, collected = look(given, tell)
    context = context_of(collected, given)
    return Examination(examine(context, tell), context, cluster)


def mapped(given: ExaminationOptions, tell: Tell) -> tuple[Reach, Imprint]:
    """Return who reaches whom, and what a page says about itself. Raises like ``examination``."""
    cluster, collected = look(given, tell)
    context = context_of(collected, given)
    tell("judging who reaches whom")
    return reach_of(context.verdicts, given.only), Imprint(cluster, context.survey.moment)


def look(given: ExaminationOptions, tell: Tell) -> tuple[str, Collected]:
    """Return what the folder or else the live cluster is called, and holds. Raises ``StateUnreadable``."""
    if given.folder is not None:
        return str(given.folder), collected_in(given.folder, Product.shipped().service)
    from app.cluster.client.connection import Connection, configuration

    api = Connection(configuration(given.kubeconfig, given.context))
    questions = Questions(Product.shipped().service, NEIGHBOUR_SELECTORS, calls=given.calls)
    return api.server, Surveyor(api, questions, tell).collect()


def context_of(collected: Collected, given: ExaminationOptions) -> Context:
    """Return everything that the checks need. Raises ``InputError`` for what was given."""
    settings, bypasses = _settings(collected.settings)
    configured = settings.api_server.sources
    declared = declared_sources(given.api_servers) or declared_sources(
        configured, "declared in the guard's settings"
    )
    survey = collected.judged(declared)
    return Context.of(survey, options_of(settings), bypasses, inspect=inspect, only=given.only)


def _settings(text: str) -> tuple[Settings, Bypasses]:
    """Return the guard's settings; the defaults, and what is wrong, where they cannot be used."""
    try:
        settings = load_text(text, SETTINGS_KEY)
    except SettingsError as error:
        return Settings(), Bypasses(problem=str(error))
    exempt = settings.exempt
    return settings, Bypasses(settings.mode.value, exempt.users, exempt.groups, exempt.namespaces)
