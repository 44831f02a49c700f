"""The cluster beside which manifests are judged: a live one, a folder that describes one, or none."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.errors import InputError
from app.model.access import Scope
from app.wire.objects.pods import PodFacts, pod_facts

if TYPE_CHECKING:
    from app.cluster.client.connection import Connection
    from app.engine.cluster import Cluster, Source

_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class ClusterChoice:
    """What the command line says about the cluster; a kubeconfig or context alone mean a live one."""

    state: Path | None = None
    kubeconfig: Path | None = None
    context: str | None = None
    api_servers: tuple[str, ...] = ()
    wants_live: bool = False

    @property
    def is_live(self) -> bool:
        """Whether a live cluster is meant. Raises ``InputError`` where a folder is, too."""
        live = self.wants_live or self.kubeconfig is not None or self.context is not None
        if live and self.state is not None:
            raise InputError(
                "--state", "a folder and a live cluster cannot both be the state: give one of them"
            )
        return live

    @property
    def sources(self) -> tuple[Source, ...]:
        """The declared sources of the API server's calls. Raises ``InputError``."""
        from app.model.declared_sources import declared_sources

        return declared_sources(self.api_servers)

    def namespace_or(self, default: str) -> str:
        """Return the namespace of the live cluster's context, as kubectl takes it, or ``default``."""
        if not self.is_live:
            return default
        from app.cluster.client.connection import context_namespace

        return context_namespace(self.kubeconfig, self.context) or default

    def connect(self) -> Connection:
        """Return a connection to the live cluster. Raises ``SettingsError``."""
        from app.cluster.client.connection import Connection, configuration

        return Connection(configuration(self.kubeconfig, self.context))

    def find_pod(self, namespace: str, name: str) -> PodFacts | None:
        """Return a pod of the live cluster, None where there is none. Raises ``StateUnreadable``."""
        from app.cluster.client.objects import Objects
        from app.model.kinds import POD, Reference

        found = Objects(self.connect(), "netpol-guard").get(Reference(POD, name, namespace))
        return None if found is None else pod_facts(found)


@dataclass(frozen=True, slots=True)
class BaseCluster:
    """The cluster, None where the manifests are all there is; ``notes`` say what is not known of it."""

    cluster: Cluster | None = None
    notes: tuple[str, ...] = ()


def read_base(place: ClusterChoice, namespaces: Collection[str] | None) -> BaseCluster:
    """Return the cluster with the policies of ``namespaces``; None stands for all managed ones.

    Raises ``StateUnreadable``, ``SettingsError`` and ``InputError``.
    """
    if place.is_live:
        from app.cluster.state.read_once import read_once

        return BaseCluster(*read_once(place.connect(), namespaces, declared=place.sources))
    if place.state is None:
        return BaseCluster()
    from app.cluster.state.folder import DirectoryState
    from app.deadline import Deadline

    state = DirectoryState(place.state, declared=place.sources)
    state.refresh()
    cluster = asyncio.run(state.read(Scope.managed(), Deadline.after(_SECONDS)))
    return BaseCluster(cluster, state.notes)
