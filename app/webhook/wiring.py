"""The composition root: settings to a running webhook."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Protocol

from app.admission.offload import Offload
from app.admission.ports import Announcer, ClusterState, Nobody
from app.admission.reviewer import Reviewer
from app.admission.rules import Replica, Rules
from app.metrics import Metrics
from app.model.declared_sources import declared_source
from app.serving.application import create_app, create_health_app
from app.serving.endpoint import RequestLimits
from app.serving.server import Applications, Bound, serve
from app.serving.state import ServingState
from app.serving.tls import HandedCertificate, ServingCertificate
from app.settings.engine_options import options_of
from app.settings.model import Notice, Settings
from app.webhook.background import Background, reconciler_of
from app.webhook.reviews import DecisionRecord, HttpReviews
from app.worker.process import WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from app.cluster.probe.peer_watch import PeerWatch
    from app.cluster.state.live import LiveState
    from app.serving.tls import Handshakes
    from app.webhook.ledger import LedgerService
    from app.webhook.rounds import ProbeRounds
    from app.webhook.service_memory import ServiceMemory

_ASKED_MODULES = ("app.admission.reviewer", "pysat.solvers")
"""What hard questions are made of, loaded by the worker before the first one comes."""
_SETTLING_SECONDS = 5.0
"""The API server writes a change milliseconds after its review, unless another webhook takes its time."""


def rules_of(settings: Settings) -> Rules:
    """Return what admission needs to know of the settings."""
    exempt = settings.exempt
    return Rules(
        mode=settings.mode,
        on_state_error=settings.on_state_error,
        on_too_complex=settings.on_too_complex,
        exempt_users=frozenset(exempt.users),
        exempt_groups=frozenset(exempt.groups),
        exempt_namespaces=frozenset(exempt.namespaces),
        guard_namespace=settings.guard_namespace,
        tell_no_effect=settings.no_effect is Notice.WARN,
        options=options_of(settings),
        settling_seconds=0.0 if settings.state.directory is not None else _SETTLING_SECONDS,
        replica=Replica(pod_name(settings), settings.pod.node or ""),
    )


def pod_name(settings: Settings) -> str:
    """Return which pod this is: as the downward API says, else by the host name, which is a pod's name."""
    return settings.pod.name or socket.gethostname()


class RunningState(ClusterState, Protocol):
    """A state that keeps itself up to date."""

    def ready(self) -> str | None:
        """Return None after the first sync, else what is missing."""
        ...

    async def run(self) -> None:
        """Keep it up to date until cancelled."""
        ...


def is_in_pod(settings: Settings) -> bool:
    """Tell whether this process is a replica in a cluster, which looks after the guard's own objects."""
    return settings.pod.name is not None and settings.state.directory is None


def _certificate(files: tuple[Path, Path] | None, metrics: Metrics) -> Handshakes:
    def note(end: datetime) -> None:
        metrics.set_certificate_expiry(end.timestamp())

    return HandedCertificate(note) if files is None else ServingCertificate(*files, note)


def state_of(settings: Settings) -> RunningState:
    """Return the state that the settings name. Raises ``SettingsError`` where it cannot be used."""
    declared = tuple(declared_source(source) for source in settings.api_server.sources)
    source = settings.state
    if source.directory is not None:
        from app.cluster.state.folder import DirectoryState

        return DirectoryState(source.directory, declared=declared)
    # Imports the Kubernetes client, which a directory does not need.
    from app.cluster.state.live import LiveState

    return LiveState.connect(
        kubeconfig=source.kubeconfig,
        context=source.context,
        declared=declared,
        guard_namespace=settings.guard_namespace,
    )


def _live(settings: Settings, state: RunningState) -> LiveState | None:
    """Return the state if it is that of a cluster: a folder has nobody to tell or write to."""
    if settings.state.directory is not None:
        return None
    from app.cluster.state.live import LiveState

    return state if isinstance(state, LiveState) else None


def _peers_of(settings: Settings, state: RunningState, metrics: Metrics) -> PeerWatch | None:
    """Return who takes note of where reviews come from."""
    if (live := _live(settings, state)) is None:
        return None
    from app.cluster.probe.peer_watch import PeerWatch

    watch = PeerWatch(live, live.api, settings.guard_namespace)
    metrics.watch_unknown_peers(watch.unknown)
    return watch


def _ledger_of(
    settings: Settings, state: RunningState, metrics: Metrics, offload: Offload
) -> LedgerService | None:
    """Return the ledger that changes under way stand in."""
    if (live := _live(settings, state)) is None:
        return None
    from app.webhook.ledger import LedgerService

    return LedgerService(settings, live, rules_of(settings), metrics, offload)


def _rounds_of(settings: Settings, state: RunningState, metrics: Metrics) -> ProbeRounds | None:
    """Return who measures where the API server calls from; it calls replicas in a cluster alone."""
    live = _live(settings, state)
    if live is None or not is_in_pod(settings):
        return None
    from app.cluster.client.connection import configuration
    from app.webhook.rounds import GuardMeasurer, ProbeRounds

    config = configuration(settings.state.kubeconfig, settings.state.context)
    return ProbeRounds(live.memory, GuardMeasurer(live.api, config, settings.guard_namespace), metrics)


def _memory_of(settings: Settings, state: RunningState, metrics: Metrics) -> ServiceMemory | None:
    """Return who keeps what Services of webhooks were."""
    if (live := _live(settings, state)) is None:
        return None
    from app.webhook.service_memory import ServiceMemory

    return ServiceMemory(live, live.api, settings.guard_namespace, metrics)


def announcer_of(settings: Settings) -> Announcer:
    """Return who makes overrides known: the cluster's Events, where there is a cluster."""
    source = settings.state
    if source.directory is not None:
        return Nobody()
    from app.cluster.events import OverrideEvents  # imports the Kubernetes client, as above

    return OverrideEvents.of_cluster(kubeconfig=source.kubeconfig, context=source.context)


async def run_webhook(
    settings: Settings,
    certificate_files: tuple[Path, Path] | None,
    on_started: Callable[[Bound], None] = lambda _: None,
) -> int:
    """Serve until a signal comes; return the exit code. Without files, certificates of our own are served.

    Raises ``StartError`` and ``SettingsError``.
    """
    metrics, serving = Metrics(), ServingState()
    worker = WorkerProcess(_ASKED_MODULES, metrics.record_worker_start)
    metrics.watch_worker(lambda: worker.is_up)
    offload = Offload(worker, metrics.record_hard_question)
    state = state_of(settings)
    record = DecisionRecord(metrics)
    rules, ledger = rules_of(settings), _ledger_of(settings, state, metrics, offload)
    judge = None if ledger is None else ledger.judge
    reviewer = Reviewer(state, rules, record, announcer_of(settings), ledger=judge, offload=offload)
    limits = RequestLimits(settings.limits.body_bytes, settings.limits.in_flight, settings.budget_seconds)
    peers = _peers_of(settings, state, metrics)
    reviews = HttpReviews(reviewer, metrics) if peers is None else HttpReviews(reviewer, metrics, peers.saw)
    webhook = create_app(reviews, limits=limits, metrics=metrics, state=serving)
    certificate = _certificate(certificate_files, metrics)
    background = None
    if is_in_pod(settings):
        reconciler = reconciler_of(settings, certificate, metrics)
        background = Background(reconciler, metrics, settings.webhook.check_seconds)

    def missing() -> tuple[str, ...]:
        waiting = None if ledger is None else ledger.waiting()
        reasons = state.ready(), waiting, None if background is None else background.reason()
        return tuple(reason for reason in reasons if reason is not None)

    health = create_health_app(missing, metrics=metrics, state=serving)
    rounds, memory = _rounds_of(settings, state, metrics), _memory_of(settings, state, metrics)
    parts = (state, background, peers, ledger, worker, rounds, memory)
    running = [asyncio.create_task(part.run()) for part in parts if part is not None]
    try:
        return await serve(
            Applications(webhook, health, serving),
            certificate,
            settings.listen,
            drain_seconds=settings.drain_seconds,
            on_started=on_started,
        )
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        record.write()
