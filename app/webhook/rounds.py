"""Rounds of probes by the guard itself: where the API server's calls come from, measured once a day.

Whichever replica finds a round due makes it. What is remembered says when the last complete one was, and is
written on condition that nobody has written meanwhile: so all replicas together count one round a day,
without a leader (``app.model.rounds``). What was not complete is tried again, later and later.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

from app.errors import ChangeFailed, StateUnreadable
from app.logs import EventLog
from app.model.measured_sources import Memory
from app.names import SOURCES_CONFIG_MAP

if TYPE_CHECKING:
    from app.cluster.client.connection import ClientConfiguration, WritingApi
    from app.metrics import Metrics

_LOG = EventLog(__name__)
_SYNC_SECONDS = 0.5
_FIRST_PAUSE = 2.0
_PATIENCE_PAUSE = 30.0
"""Pauses shorter than this are those of a start: the webhook may not be registered or reachable yet."""
_FAILED_PAUSE, _INCOMPLETE_PAUSE = 300.0, 3600.0
"""The longest ones: without an answer it costs three probes, a round at least twenty for each API server."""
_LOOK_SECONDS = 15.0
"""How often it is looked whether one is due: somebody may take away what is remembered, to have one made."""
_CALL_SECONDS = 5.0
"""A call that hangs holds up the end of the process, which has its grace period and no more."""
_BY = "the guard"


class Measurer(Protocol):
    """Whoever can make one round."""

    def make(self) -> Memory:
        """Measure, and note it; return what is remembered then. Blocks; raises ``GuardError``."""
        ...

    def stop(self) -> None:
        """Have a round that is under way end soon, from another thread."""
        ...


class ProbeRounds:
    """Makes a round whenever one is due; ``run`` it beside the server."""

    def __init__(
        self,
        known: Callable[[], Memory | None],
        measurer: Measurer,
        metrics: Metrics,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """``known`` returns what is remembered, None before the first sync."""
        self._known = known
        self._measurer = measurer
        self._metrics = metrics
        self._clock = clock
        self._pause = _FIRST_PAUSE
        self._said = ""
        metrics.watch_probe_rounds(self._completed, self._unseen)

    async def run(self) -> None:
        """Go on until cancelled."""
        try:
            while True:
                wait = await self.turn()
                # Not all replicas at the same moment: the first to ask spares the others the round.
                await asyncio.sleep(wait * random.uniform(1.0, 1.2))  # noqa: S311 - spreads load, no secret
        finally:
            self._measurer.stop()

    async def turn(self) -> float:
        """Make a round if one is due; return in how many seconds to look again."""
        known = self._known()
        if known is None:
            return _SYNC_SECONDS
        if not self._is_due(known):
            return self._until_due(known)
        try:
            memory = await asyncio.to_thread(self._measurer.make)
        except (StateUnreadable, ChangeFailed) as error:
            return self._failed(str(error))
        except Exception as error:  # noqa: BLE001 - nothing that goes wrong here may end the rounds
            return self._failed(repr(error))
        return self._incomplete(memory) if self._is_due(memory) else self._complete(memory)

    def _is_due(self, memory: Memory) -> bool:
        return memory.rounds.due_in(self._clock()) <= timedelta()

    def _until_due(self, memory: Memory) -> float:
        """Return how long to wait at most."""
        return min(memory.rounds.due_in(self._clock()).total_seconds(), _LOOK_SECONDS)

    def _complete(self, memory: Memory) -> float:
        self._metrics.record_probe_round("complete")
        self._pause, self._said = _FIRST_PAUSE, ""
        seen = [str(known.place) for known in memory.measured if not known.unseen]
        _LOG.info("the API server's sources were measured", sources=seen)
        for missed in (known for known in memory.measured if known.unseen):
            event = "a measured source expired" if missed.is_expired else "a measured source was not seen"
            _LOG.warning(event, source=str(missed.place), why=missed.evidence)
        return self._until_due(memory)

    def _incomplete(self, memory: Memory) -> float:
        self._metrics.record_probe_round("incomplete")
        event, why = "a round of probes was not complete", "; ".join(memory.rounds.gaps)
        return self._later(event, why, _INCOMPLETE_PAUSE)

    def _failed(self, why: str) -> float:
        self._metrics.record_probe_round("failed")
        return self._later("the API server's sources could not be measured", why, _FAILED_PAUSE)

    def _later(self, event: str, why: str, longest: float) -> float:
        """Return the next pause, twice as long each time; say what happened, once."""
        pause = min(self._pause, longest)
        self._pause = min(2 * self._pause, _INCOMPLETE_PAUSE)
        if pause >= _PATIENCE_PAUSE and self._said != why:
            _LOG.warning(event, why=why, how="it is tried again")
            self._said = why
        return pause

    def _completed(self) -> float:
        known = self._known()
        moment = None if known is None else known.rounds.completed
        return 0.0 if moment is None else moment.timestamp()

    def _unseen(self) -> int:
        known = self._known()
        return 0 if known is None else sum(bool(each.unseen) for each in known.measured)


class GuardMeasurer:
    """One round in the name of the guard: dry runs on its own namespace, noted in its ConfigMap."""

    def __init__(self, api: WritingApi, config: ClientConfiguration, guard_namespace: str) -> None:
        """Nothing is sent yet; ``api`` reads and writes, ``config`` is for connections of the probes' own."""
        from app.cluster.probe.address_owners import PodsRead
        from app.cluster.probe.prober import Prober
        from app.cluster.probe.questions import OwnNamespaceQuestion

        self._api = api
        self._namespace = guard_namespace
        self._question = OwnNamespaceQuestion(guard_namespace)
        self._stopped = threading.Event()
        self._prober = Prober(
            config, guard_namespace=guard_namespace, pods=PodsRead.NEAR, is_stopped=self._stopped.is_set
        )

    def make(self) -> Memory:
        """Measure, note it, and return what is remembered. Raises ``StateUnreadable``, ``ChangeFailed``."""
        from app.cluster.probe.prober import ProbeTimeouts
        from app.cluster.probe.store import recall, remember

        # First, so that nobody is asked where another replica was quicker, or where it cannot be noted.
        known = recall(self._api, self._namespace)
        if known is None:
            why = f"there is no ConfigMap {self._namespace}/{SOURCES_CONFIG_MAP}"
            raise StateUnreadable("what was measured", why, "apply the guard's manifests of this version")
        if known.rounds.due_in(datetime.now(UTC)) > timedelta():
            return known
        found = self._prober.measure(self._question, ProbeTimeouts(for_one=_CALL_SECONDS))
        return remember(self._api, found, by=_BY, guard_namespace=self._namespace)

    def stop(self) -> None:
        """Have a round that is under way end soon, from any thread."""
        self._stopped.set()
