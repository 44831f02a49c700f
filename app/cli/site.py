"""One cluster that commands change: connection, objects, probes, and the system's clock."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.cluster.client.connection import Connection, configuration
from app.cluster.client.objects import Objects
from app.cluster.client.server import ClusterServer
from app.cluster.probe.prober import Prober, ProbeTimeouts
from app.cluster.probe.questions import PolicyQuestion
from app.cluster.probe.store import remember
from app.cluster.state.read_once import read_facts
from app.cluster.state.snapshot import Snapshot, snapshot_of
from app.cluster.survey.cilium import plugin_limit
from app.deadline import Deadline
from app.errors import StateUnreadable
from app.install.guard.manifests import SETTINGS
from app.install.policies.neighbours import neighbours
from app.install.policies.stored import Inventory, by_namespace
from app.install.ports import GuardSettings
from app.model.kinds import NETWORK_POLICY, SERVICE
from app.names import SETTINGS_KEY
from app.wire.objects.services import service_facts

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from app.engine.cluster import Source
    from app.install.ports import Clock
    from app.model.measurement import Measurement
    from app.model.survey import PluginLimit
    from app.wire.objects.services import ServiceFacts


MANAGER = "netpol-guard-bootstrap"
"""The field manager of what is installed; what the running guard writes itself has another."""
_LOOK_SECONDS = 60.0


class SystemClock:
    """Time as it passes."""

    def now(self) -> float:
        """Return the seconds since some moment."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Return after ``seconds``."""
        time.sleep(seconds)


@dataclass(frozen=True, slots=True)
class LiveSite:
    """One connection to a cluster, and what works through it: a ``Site`` of ``app.install.ports``."""

    connection: Connection
    objects: Objects
    server: ClusterServer
    prober: Prober
    clock: Clock = field(default_factory=SystemClock)

    @classmethod
    def connect(cls, kubeconfig: Path | None, context: str | None, seconds: float = 30.0) -> LiveSite:
        """Return the cluster of a kubeconfig; each call may take ``seconds``. Raises ``SettingsError``."""
        config = configuration(kubeconfig, context)
        connection = Connection(config)
        objects, server = Objects(connection, MANAGER, seconds), ClusterServer(connection, seconds)
        return cls(connection, objects, server, Prober(config))

    def measure(self, namespace: str, seconds: float) -> Measurement:
        """Return where the API server's calls come from, by probes in ``namespace``, and remember it.

        A webhook that was just registered gets ``seconds``. Raises ``StateUnreadable``, ``ChangeFailed``.
        """
        found = self.prober.measure(PolicyQuestion(namespace), ProbeTimeouts(for_first_answer=seconds))
        remember(self.connection, found, by=self.server.user() or "netpol-guard bootstrap")
        return found

    def inventory(
        self,
        declared: tuple[Source, ...] = (),
        measured: tuple[Source, ...] = (),
        *,
        labelled: Iterable[str] = (),
        only: Sequence[str] = (),
    ) -> Inventory:
        """Return what is there, ``labelled`` namespaces taken for managed; policies of ``only`` if any."""
        facts = read_facts(self.connection, Deadline.after(_LOOK_SECONDS), frozenset(labelled))
        snapshot = snapshot_of(facts, Snapshot(), declared=declared, measured=measured)
        places = only or ("",)
        stored = by_namespace([found for name in places for found in self.objects.list(NETWORK_POLICY, name)])
        policies = {name: tuple(policy.policy for policy in found) for name, found in stored.items()}
        cluster = snapshot.with_policies(policies)
        return Inventory(cluster, stored, neighbours(cluster, self._services()), snapshot.notes)

    def plugin_limit(self, sources: Sequence[Source]) -> PluginLimit | None:
        """Return what the network plugin cannot express, None where it can as far as is known."""
        return plugin_limit(self.objects, sources)

    def guard_settings(self) -> GuardSettings:
        """Return what the settings of the guard say. Raises ``SettingsError``, ``StateUnreadable``."""
        from app.settings.load import load_text
        from app.settings.model import Notice

        found = self.objects.get(SETTINGS) or {}
        settings = load_text((found.get("data") or {}).get(SETTINGS_KEY, ""), str(SETTINGS))
        return GuardSettings(
            settings.mode.value,
            frozenset(settings.exempt.namespaces),
            settings.no_effect is not Notice.OFF,
            settings.webhook.failure_policy,
        )

    def _services(self) -> list[ServiceFacts]:
        """Return all Services; none where they must not be read: they only help to warn."""
        try:
            return [service_facts(service) for service in self.objects.list(SERVICE)]
        except StateUnreadable:
            return []
