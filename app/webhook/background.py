"""Reconciler in the background of ``serve``: over and over in a thread, and never in the way of an answer."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from app.certificates.reconcile import Reconciler, Result
from app.certificates.renewal import Lifetimes
from app.certificates.rotator import CertificateRotator, Dependencies
from app.errors import ChangeFailed, StateUnreadable
from app.logs import EventLog
from app.names import FIELD_MANAGER
from app.serving.tls import HandedCertificate

if TYPE_CHECKING:
    from app.metrics import Metrics
    from app.serving.tls import Handshakes
    from app.settings.model import Settings, Tls

_LOG = EventLog("app.upkeep")
_FIRST_PAUSE = 0.5
_CALL_SECONDS = 5.0
"""A call that hangs holds up the end of the process, which has its grace period and no more."""


def reconciler_of(settings: Settings, certificate: Handshakes, metrics: Metrics) -> Reconciler:
    """Return what looks after the guard's own objects; after its certificates, if they are handed over.

    Raises ``SettingsError`` where the cluster's credentials cannot be used.
    """
    from app.cluster.client.connection import Connection, configuration
    from app.cluster.client.objects import Objects

    source = settings.state
    connection = Connection(configuration(source.kubeconfig, source.context))
    objects = Objects(connection, FIELD_MANAGER, _CALL_SECONDS)
    rotator = None
    if isinstance(certificate, HandedCertificate):
        pod, clock = settings.pod.name or "", partial(datetime.now, UTC)
        dependencies = Dependencies(objects, certificate, metrics, pod, clock)
        rotator = CertificateRotator(dependencies, _lifetimes(settings.tls))
    return Reconciler(objects, rotator, settings.webhook.failure_policy, metrics)


def _lifetimes(tls: Tls) -> Lifetimes:
    return Lifetimes(
        authority=timedelta(days=tls.authority_days),
        serving=timedelta(days=tls.serving_days),
        overlap=timedelta(days=tls.overlap_days),
        settle=timedelta(seconds=tls.settle_seconds),
    )


class Background:
    """Runs the rounds: one after another at first, later every ``seconds``; whatever fails is tried again."""

    def __init__(self, reconciler: Reconciler, metrics: Metrics, seconds: float) -> None:
        self._reconciler = reconciler
        self._metrics = metrics
        self._seconds = seconds
        self._problem = ""

    def reason(self) -> str | None:
        """Return why handshakes cannot be answered yet, None where they can."""
        missing = self._reconciler.missing
        return None if missing is None else f"serving certificate: {self._problem or missing}"

    async def run(self) -> None:
        """Go on until cancelled."""
        pause = _FIRST_PAUSE
        while True:
            ended = await asyncio.to_thread(self._round)
            pause = min(_FIRST_PAUSE if ended is Result.CHANGED else 2 * pause, self._seconds)
            wait = self._seconds if ended is Result.SETTLED else pause
            # Not all replicas at the same moment: the first to write spares the others the conflict.
            await asyncio.sleep(wait * random.uniform(0.8, 1.2))  # noqa: S311 - spreads load, no secret

    def _round(self) -> Result:
        try:
            ended = self._reconciler.reconcile()
        except (StateUnreadable, ChangeFailed) as error:
            self._failed(str(error))
        except Exception as error:  # noqa: BLE001 - a loop that ends unseen lets certificates run out
            _LOG.failure("upkeep failed in an unexpected way", error)
            self._failed(repr(error))
        else:
            if self._problem:
                _LOG.info("upkeep works again")
            self._problem = ""
            return ended
        return Result.WAITING

    def _failed(self, problem: str) -> None:
        self._metrics.record_reconcile("failed")
        if problem != self._problem:
            _LOG.warning("upkeep failed; it is tried again", why=problem)
        self._problem = problem
