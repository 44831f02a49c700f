"""The composition root: settings to a running webhook."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from ipaddress import ip_network
from typing import TYPE_CHECKING, Protocol

from app.admission.ports import Announcer, ClusterState, Doubt, Mode, Nobody, Replica, Rules
from app.admission.reviewer import Reviewer
from app.cli.reviews import DecisionRecord, HttpReviews
from app.cluster.sources import declared_source
from app.engine.addresses import network_set
from app.engine.intervals import IntervalSet
from app.engine.policy import PodPeer
from app.engine.requirements import IpBlockMatchesPods, Options
from app.engine.selectors import NAMESPACE_NAME_LABEL, Selector
from app.metrics import Metrics
from app.serving.application import create_app, create_health_app
from app.serving.server import Applications, Bound, Listen, serve
from app.serving.state import ServingState
from app.serving.tls import ServingCertificate
from app.serving.validate import RequestLimits
from app.settings.model import Notice, Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def rules_of(settings: Settings) -> Rules:
    """Return what admission needs to know of the settings."""
    exempt = settings.exempt
    return Rules(
        mode=Mode(settings.mode.value),
        on_state_error=Doubt(settings.on_state_error.value),
        on_too_complex=Doubt(settings.on_too_complex.value),
        exempt_users=frozenset(exempt.users),
        exempt_groups=frozenset(exempt.groups),
        exempt_namespaces=frozenset(exempt.namespaces),
        guard_namespace=settings.guard_namespace,
        tell_no_effect=settings.no_effect is Notice.WARN,
        options=options_of(settings),
        replica=Replica(pod_name(settings), settings.pod.node or ""),
    )


def pod_name(settings: Settings) -> str:
    """Return which pod this is: as the downward API says, else by the host name, which is a pod's name."""
    return settings.pod.name or socket.gethostname()


def options_of(settings: Settings) -> Options:
    """Return what the engine needs to know of the settings."""
    platform = settings.platform_egress
    options = Options(
        ip_block_matches_pods=IpBlockMatchesPods(settings.ip_block_matches_pods.value),
        dns=tuple(
            PodPeer(Selector.labels({NAMESPACE_NAME_LABEL: one.namespace}), Selector.labels(one.pod_labels))
            for one in platform.dns
        ),
        outside=platform.outside is Notice.WARN,
    )
    if not settings.pod_cidrs:
        return options
    addresses = IntervalSet.union(network_set(ip_network(one)) for one in settings.pod_cidrs)
    return Options(options.ip_block_matches_pods, options.dns, options.outside, addresses)


class RunningState(ClusterState, Protocol):
    """A state that keeps itself up to date."""

    def ready(self) -> str | None:
        """Return None after the first sync, else what is missing."""
        ...

    async def run(self) -> None:
        """Keep it up to date until cancelled."""
        ...


class _StateReadiness:
    """Readiness as ``app.serving`` asks for it, from the state."""

    def __init__(self, state: RunningState) -> None:
        self._state = state

    def reasons(self) -> tuple[str, ...]:
        """Return why reviews cannot be answered yet."""
        reason = self._state.ready()
        return () if reason is None else (reason,)


def state_of(settings: Settings) -> RunningState:
    """Return the state that the settings name. Raises ``SettingsError`` where it cannot be used."""
    declared = tuple(declared_source(one) for one in settings.api_server.sources)
    source = settings.state
    if source.directory is not None:
        from app.cluster.directory import DirectoryState

        return DirectoryState(source.directory, declared=declared)
    from app.cluster.live import LiveState  # imports the Kubernetes client, which a directory does not need

    return LiveState.connect(kubeconfig=source.kubeconfig, context=source.context, declared=declared)


def announcer_of(settings: Settings) -> Announcer:
    """Return who makes overrides known: the cluster's Events, where there is a cluster."""
    source = settings.state
    if source.directory is not None:
        return Nobody()
    from app.cluster.events import OverrideEvents  # imports the Kubernetes client, as above

    return OverrideEvents.of_cluster(kubeconfig=source.kubeconfig, context=source.context)


async def run_webhook(
    settings: Settings,
    certificate_files: tuple[Path, Path],
    on_started: Callable[[Bound], None] = lambda _: None,
) -> int:
    """Serve until a signal comes; return the exit code. Raises ``StartError`` and ``SettingsError``."""
    metrics, serving = Metrics(), ServingState()
    state = state_of(settings)
    reviewer = Reviewer(state, rules_of(settings), DecisionRecord(metrics), announcer_of(settings))
    limits = RequestLimits(settings.limits.body_bytes, settings.limits.in_flight, settings.budget_seconds)
    webhook = create_app(HttpReviews(reviewer, metrics), limits=limits, metrics=metrics, state=serving)
    health = create_health_app(_StateReadiness(state), metrics=metrics, state=serving)
    certificate = ServingCertificate(
        *certificate_files, lambda end: metrics.set_certificate_expiry(end.timestamp())
    )
    listen = settings.listen
    watching = asyncio.create_task(state.run())
    try:
        return await serve(
            Applications(webhook, health, serving),
            certificate,
            Listen(listen.host, listen.port, listen.health_host, listen.health_port),
            drain_seconds=settings.drain_seconds,
            on_started=on_started,
        )
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
