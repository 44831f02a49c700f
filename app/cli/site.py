"""One cluster that commands change: connection, objects, probes, and the system's clock."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from app.cluster.client.connection import Connection, configuration
from app.cluster.client.objects import Objects
from app.cluster.client.server import Server
from app.cluster.probe.prober import Patience, Prober
from app.cluster.probe.store import recall, remember
from app.cluster.state.read_once import look
from app.cluster.state.snapshot import Snapshot, snapshot_of
from app.deadline import Deadline
from app.errors import StateUnreadable
from app.install.plan import Stock
from app.install.policies.neighbours import neighbours
from app.install.policies.stored import by_namespace
from app.model.kinds import NETWORK_POLICY, SERVICE
from app.model.measured_sources import key_of
from app.wire.objects.services import service_facts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from app.engine.cluster import Source
    from app.model.kinds import Manifest
    from app.model.measurement import Measurement
    from app.wire.objects.services import ServiceFacts


MANAGER = "netpol-guard-bootstrap"
"""The field manager of what is installed; what the running guard writes itself has another."""


_LOOK_SECONDS = 60.0


_LONG_AGO = datetime.min.replace(tzinfo=UTC)


_REMEMBERED = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Tools:
    """One connection to a cluster, and what works through it."""

    connection: Connection
    objects: Objects
    server: Server
    prober: Prober

    @classmethod
    def connect(cls, kubeconfig: Path | None, context: str | None, seconds: float = 30.0) -> Tools:
        """Return the tools for a cluster; each call may take ``seconds``. Raises ``SettingsError``."""
        config = configuration(kubeconfig, context)
        connection = Connection(config)
        objects, server = Objects(connection, MANAGER, seconds), Server(connection, seconds)
        return cls(connection, objects, server, Prober(config))

    def measure(self, namespace: str, seconds: float) -> Measurement:
        """Return where the API server's calls come from, by probes in ``namespace``, and remember it.

        A webhook that was just registered gets ``seconds``. Raises ``StateUnreadable``, ``ChangeFailed``.
        """
        found = self.prober.measure(namespace, Patience(for_first_answer=seconds))
        now = datetime.now(UTC)
        known = {one.key: one.last_seen for one in recall(self.connection).measured}
        # A run that finds what is known changes nothing; what was not seen for long must not expire.
        if any(now - known.get(key_of(one.place), _LONG_AGO) > _REMEMBERED for one in found.found):
            remember(self.connection, found, by=self.server.user() or "netpol-guard bootstrap")
        return found

    def stock(
        self,
        declared: tuple[Source, ...] = (),
        measured: tuple[Source, ...] = (),
        *,
        labelled: Iterable[str] = (),
        only: Sequence[str] = (),
    ) -> Stock:
        """Return what is there, ``labelled`` namespaces taken for managed; policies of ``only`` if any."""
        facts = look(self.connection, Deadline.after(_LOOK_SECONDS), frozenset(labelled))
        snapshot = snapshot_of(facts, Snapshot(), declared=declared, measured=measured, now=datetime.now(UTC))
        listed: list[Manifest] = []
        for name in only or ("",):
            listed += self.objects.list(NETWORK_POLICY, name)
        stored = by_namespace(listed)
        policies = {name: tuple(one.policy for one in found) for name, found in stored.items()}
        cluster = snapshot.with_policies(policies)
        return Stock(cluster, stored, neighbours(cluster, self._services()), snapshot.notes)

    def _services(self) -> list[ServiceFacts]:
        """Return all Services; none where they must not be read: they only help to warn."""
        try:
            return [service_facts(one) for one in self.objects.list(SERVICE)]
        except StateUnreadable:
            return []


class SystemClock:
    """Time as it passes."""

    def now(self) -> float:
        """Return the seconds since some moment."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Return after ``seconds``."""
        time.sleep(seconds)
