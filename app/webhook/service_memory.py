"""Keeps what the Services of webhooks were across restarts, in a ConfigMap (``app.model.seen_services``).

Every replica writes what its own watches show, on condition that the ConfigMap is what it knows: so they
agree as soon as their watches do. Without the ConfigMap or the right to it the process alone remembers.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Protocol

from app.cluster.client.connection import WritingApi
from app.cluster.client.objects import Objects
from app.engine.cluster import Cluster
from app.engine.words import missing_words
from app.errors import ChangeFailed
from app.logs import EventLog
from app.metrics import Metrics
from app.model.kinds import CONFIG_MAP, Reference
from app.model.seen_services import FORMAT, FORMAT_KEY, Seen, SeenServices, key_of, render_seen
from app.names import FIELD_MANAGER, WEBHOOK_SERVICES_CONFIG_MAP

_LOG = EventLog(__name__)
_SECONDS = 1.0
_REFUSED_SECONDS = 15.0
"""Rights do not change every second."""
_CALL_SECONDS = 5.0
_ABSENT = "the ConfigMap is not there, or must not be read: apply the guard's manifests of this version"

Entries = dict[str, str | None]
"""Entries of the ConfigMap by key; None takes one away."""


class Watcher(Protocol):
    """Whoever watches Services and the ConfigMap: ``LiveState``."""

    def ready(self) -> str | None:
        """Return None when everything was read once."""
        ...

    def seen_services(self) -> tuple[SeenServices | None, Seen]:
        """Return what the ConfigMap says, None where there is none, and what is to be kept."""
        ...

    def facts(self) -> Cluster:
        """Return the webhooks as they are judged."""
        ...


def changes(kept: SeenServices, seen: Seen) -> Entries:
    """Return what is to be written so that the ConfigMap says ``seen``; what is not understood stays."""
    wanted, stands = render_seen(seen.values()), render_seen(kept.services.values())
    gone = {key_of(key) for key in kept.services} - wanted.keys()
    changed = {key: text for key, text in wanted.items() if stands.get(key) != text}
    return {**dict.fromkeys(gone), **changed}


class ServiceMemory:
    """Writes what Services were; ``run`` it beside the server."""

    def __init__(self, watcher: Watcher, api: WritingApi, guard_namespace: str, metrics: Metrics) -> None:
        """Nothing is written yet."""
        self._watcher = watcher
        self._objects = Objects(api, FIELD_MANAGER, _CALL_SECONDS)
        self._reference = Reference(CONFIG_MAP, WEBHOOK_SERVICES_CONFIG_MAP, guard_namespace)
        self._metrics = metrics
        self._told: str | None = None
        self._missing: frozenset[str] = frozenset()

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            pause = _SECONDS
            try:
                if self._watcher.ready() is None:
                    pause = await self._look()
            except Exception as error:  # noqa: BLE001 - nothing that goes wrong here may end it
                _LOG.failure("what webhook Services were could not be looked at", error)
            await asyncio.sleep(pause)

    async def _look(self) -> float:
        """Write what has changed; return after how many seconds to look again."""
        self._tell_missing()
        kept, seen = self._watcher.seen_services()
        if kept is None:
            return self._failed(_ABSENT)
        if kept.problem is not None:
            return self._failed(kept.problem)
        entries = changes(kept, seen)
        if entries:
            why = await asyncio.to_thread(self._write, entries, kept.version)
            if why is not None:
                return self._failed(why)
        self._told = None
        self._metrics.set_webhook_services_kept(is_kept=True)
        return _SECONDS

    def _write(self, entries: Entries, version: str) -> str | None:
        """Write; return why that is not possible. A conflict is none: somebody else wrote a moment ago."""
        patch = {"metadata": {"resourceVersion": version}, "data": {FORMAT_KEY: FORMAT, **entries}}
        try:
            self._objects.merge(self._reference, patch)
        except ChangeFailed as error:
            return None if error.status == HTTPStatus.CONFLICT else f"{error.why}; {error.how}"
        return None

    def _failed(self, why: str) -> float:
        self._metrics.set_webhook_services_kept(is_kept=False)
        if why != self._told:
            self._told = why
            _LOG.warning("what webhook Services were is not kept across restarts", why=why)
        return _REFUSED_SECONDS

    def _tell_missing(self) -> None:
        """Log each Service once that is missing while its requirement stays."""
        missing = frozenset(missing_words(each) for each in self._watcher.facts().webhooks if each.is_missing)
        for words in sorted(missing - self._missing):
            _LOG.warning("a webhook's Service is missing", what=words)
        self._missing = missing
