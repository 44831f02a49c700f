"""Makes honoured overrides known as Events of the object (``docs/design/decisions.md``, Override).

As well as possible, and never in anybody's way: whoever reports an override does not wait, and where the API
server takes no Event the log says so.
"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from queue import Full, Queue
from threading import Thread

from app.cluster.client.connection import Connection, configuration
from app.cluster.client.objects import Objects
from app.errors import GuardError
from app.logs import EventLog
from app.model.access import Override
from app.model.kinds import EVENT, KINDS, Manifest, Reference
from app.names import DOMAIN, FIELD_MANAGER

_LOG = EventLog("app.cluster.events")
_WAITING = 100
"""Events on their way; more than that is a flood that nobody reads, and is dropped."""
_SECONDS = 10.0
_LONGEST_NOTE = 1024
_LONGEST_NAME = 200


def event_of(override: Override, when: datetime, suffix: str) -> Manifest:
    """Return the Event (``events.k8s.io/v1``) that tells of ``override``."""
    version = next((kind.version for kind in KINDS if kind.name == override.kind), "v1")
    regarding = {
        "apiVersion": version,
        "kind": override.kind,
        "namespace": override.namespace,
        "name": override.name,
        "uid": override.uid,
    }
    note = f"{override.user} overrode netpol-guard ({override.reason}): {override.what}"
    name = f"{override.name[:_LONGEST_NAME]}.{suffix}"
    # Events of what has no namespace are kept in `default`: the API server insists.
    return Reference(EVENT, name, override.namespace or "default").manifest(
        eventTime=when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        reportingController=f"{DOMAIN}/guard",
        reportingInstance=socket.gethostname()[:128],
        type="Warning",
        action="Override",
        reason="RequiredFlowOverridden",
        note=note[:_LONGEST_NOTE],
        regarding={key: value for key, value in regarding.items() if value},
    )


class OverrideEvents:
    """Writes Events in a thread of its own, one after the other; the thread starts with the first."""

    def __init__(self, connect: Callable[[], Objects]) -> None:
        """``connect`` is called in the thread, when the first Event is due. Raises nothing by itself."""
        self._connect = connect
        self._waiting: Queue[Override] = Queue(_WAITING)
        self._thread: Thread | None = None

    @classmethod
    def of_cluster(cls, *, kubeconfig: Path | None = None, context: str | None = None) -> OverrideEvents:
        """Return what writes to the cluster that the kubeconfig names, or else to the one that we run in."""
        return cls(lambda: Objects(Connection(configuration(kubeconfig, context)), FIELD_MANAGER, _SECONDS))

    def overridden(self, override: Override) -> None:
        """Let ``override`` be known soon; returns at once."""
        try:
            self._waiting.put_nowait(override)
        except Full:
            _LOG.warning("event dropped", why="too many are on their way", object=override.name)
            return
        if self._thread is None:
            # A daemon: an Event that cannot be written must not keep the process from ending.
            self._thread = Thread(target=self._write_all, name="override-events", daemon=True)
            self._thread.start()

    def _write_all(self) -> None:
        objects: Objects | None = None
        while True:
            override = self._waiting.get()
            try:
                objects = objects or self._connect()
                objects.create(event_of(override, datetime.now(UTC), secrets.token_hex(8)))
            except GuardError as error:
                _LOG.warning("event not written", why=str(error), object=override.name)
            except Exception as error:  # noqa: BLE001 - the next Event must be written all the same
                _LOG.failure("event not written", error, object=override.name)
            finally:
                self._waiting.task_done()

    def flush(self) -> None:
        """Return when everything on its way is written, or given up."""
        self._waiting.join()
