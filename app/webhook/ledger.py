"""The ledger in the running guard: watches, writes and time for its protocol, and its background work."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress

from app.admission.ledger.contents import FORMAT_KEY, Contents, LedgerUnusable, made_anew
from app.admission.ledger.entries import Entry
from app.admission.ledger.protocol import Reviews
from app.admission.ledger.settling import Settler
from app.admission.ledger.writing import Writer, Written
from app.admission.ledgered import LedgerJudge, OffloadedJudge
from app.admission.offload import Offload
from app.admission.rules import Rules
from app.cluster.client.asynchronous import AsyncConnection
from app.cluster.client.connection import configuration
from app.cluster.client.errors import HttpRefusal, overdue
from app.cluster.state.consistent import ConsistentReads, LedgerStore
from app.cluster.state.live import LiveState
from app.deadline import REVIEW_TIME
from app.engine.cluster import Cluster
from app.engine.policy import Policy
from app.errors import StateUnreadable
from app.logs import EventLog
from app.metrics import Metrics
from app.model.snapshot import Watched
from app.settings.model import Settings
from app.webhook.replicas import Replicas

_LOG = EventLog(__name__)
_TICK_SECONDS = 0.1
"""What is settled counts until then: of a namespace 64 entries, and a busy one makes 200 changes a second."""
_FAILED_SECONDS = 2.0
_PATIENCE_SECONDS = 5.0
_REFUSED_SECONDS = 15.0
"""Rights do not change every second."""
NOT_TRIED = "the ledger: it was not tried yet whether it may be written to"


class _Runtime:
    """Time, waiting and chance of the running event loop."""

    def now(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    def token(self) -> str:
        """Return 80 random bits as lower-case letters and digits."""
        return secrets.token_hex(10)

    def future(self) -> asyncio.Future[bool]:
        """Return a value to come."""
        return asyncio.get_running_loop().create_future()


class _Watches:
    """What the watches of a live cluster show, as the ledger's protocol and the reviewer ask for it."""

    def __init__(self, state: LiveState, replicas: Replicas) -> None:
        self._state = state
        self._replicas = replicas
        self._known: tuple[Mapping[str, str] | None, Contents] = (None, Contents())
        self.was_used = False
        """Whether somebody has written to the ledger that was watched last."""
        self.refused: str | None = NOT_TRIED
        """Why it must not be written to, or is not known to be."""

    def unusable(self) -> str | None:
        """Return why changes cannot be judged by the ledger, None where they can."""
        return self.unreadable() or self.refused or self._replicas.unusable(self.contents())

    def unreadable(self) -> str | None:
        """Return why it is not known what the ledger holds, None where it is."""
        missing = self._state.ready() or self._state.watched.missing()
        if missing is not None:
            return missing
        if self._state.watched.ledger() is None:
            return "the ledger's ConfigMap is not there: apply the guard's manifests of this version"
        try:
            self.contents()
        except LedgerUnusable as error:
            return str(error)
        return None

    def waiting(self) -> str | None:
        """Return what has been neither read nor refused yet."""
        return self._state.watched.waiting()

    def snapshot(self) -> Watched[Policy]:
        """Return policies and namespaces as watched."""
        return self._state.watched.snapshot()

    def contents(self) -> Contents:
        """Return the ledger as watched. Raises ``LedgerUnusable``."""
        data = self._state.watched.ledger() or {}
        known, contents = self._known
        if known is not data:
            contents = Contents.decode(data)
            self._known = (data, contents)
            self.was_used |= FORMAT_KEY in contents.keys
        return contents

    def cluster(self, watched: Watched[Policy], namespaces: Iterable[str] | None = None) -> Cluster:
        """Return a snapshot as a state to judge by."""
        return self._state.view(watched, namespaces)


class _Store:
    """The ledger's ConfigMap; one that was emptied, or made anew, hides changes that are under way."""

    def __init__(self, store: LedgerStore, watches: _Watches) -> None:
        self._store = store
        self._watches = watches

    async def read(self) -> Mapping[str, str]:
        """Return ``data`` as it is now."""
        return await self._store.read()

    async def merge(self, changes: Mapping[str, str | None]) -> Mapping[str, str]:
        """Merge ``changes`` into ``data``; return all of it then."""
        watches = self._watches
        # By what is watched alone: the own first write may not be watched yet when the second follows.
        is_emptied = FORMAT_KEY not in watches.contents().keys and watches.was_used
        if is_emptied:
            changes = {**made_anew(secrets.token_hex(10)), **changes}
        try:
            data = await self._store.merge(changes)
        except HttpRefusal as error:
            if error.is_lasting:
                watches.refused = str(error)
            raise
        watches.refused = None
        if is_emptied:
            watches.was_used = False
        return data


class _ReviewsWriter(Writer):
    """Writes for reviews, each within its time: a write that another leads is waited for, too."""

    async def add(self, entry: Entry) -> Written:
        """Write an entry; return what stands in the ledger then. Raises ``StateUnreadable``."""
        time = REVIEW_TIME.get()
        with time.waiting():
            try:
                async with asyncio.timeout(time.reading.left):
                    return await super().add(entry)
            except TimeoutError as error:
                raise overdue(
                    "the ledger back, where this change was to be noted", time.reading.seconds
                ) from error


class LedgerService:
    """The ledger of one replica: its judge for reviews, and the dropping of what is settled."""

    def __init__(  # noqa: PLR0917 - wiring
        self, settings: Settings, state: LiveState, rules: Rules, metrics: Metrics, offload: Offload
    ) -> None:
        """Nothing is sent yet. Raises ``SettingsError`` where the cluster's credentials cannot be used."""
        source = settings.state
        self._api = AsyncConnection(configuration(source.kubeconfig, source.context))
        replicas = Replicas(rules.replica.pod, state.watched.replicas)
        watches, runtime = _Watches(state, replicas), _Runtime()
        reader = ConsistentReads(self._api, settings.guard_namespace)
        store = _Store(LedgerStore(self._api, settings.guard_namespace), watches)
        judge = OffloadedJudge(state.facts, rules, offload)
        writer = _ReviewsWriter(store, runtime)
        reviews = Reviews(judge, watches, reader, (store, writer))
        self._watches, self._store, self._metrics = watches, store, metrics
        self._replicas, self._has_tried = replicas, False
        self._told: str | None = None
        self._usable_at = time.monotonic()
        self._settler = Settler(judge, watches, reader, (store, writer, runtime))
        self.judge = LedgerJudge(watches, reviews, rules, offload)

    def waiting(self) -> str | None:
        """Return what is to be read before reviews are answered: one replica must not judge as another."""
        waiting = self._watches.waiting()
        if waiting is None and not self._has_tried and self._watches.unusable() == NOT_TRIED:
            return NOT_TRIED
        return waiting

    async def run(self) -> None:
        """Drop what is settled until cancelled; what fails is tried again."""
        try:
            while True:
                why = await self._tried()
                self._tell(why)
                await asyncio.sleep(await self._worked() if why is None else self._pause())
        finally:
            await self._api.close()

    async def _tried(self) -> str | None:
        """Return why the ledger cannot be used; whether it may be written to is tried."""
        watches, others = self._watches, 0
        if watches.unreadable() is None:
            others = len(self._replicas.without_ledger(watches.contents()))
            changes = self._replicas.changes(watches.contents())
            if changes or watches.refused is not None:
                with suppress(StateUnreadable):
                    await self._store.merge(changes)
                self._has_tried = True
        why = watches.unusable()
        self._metrics.set_ledger_in_use(is_in_use=why is None)
        self._metrics.set_replicas_without_ledger(others)
        return why

    def _tell(self, why: str | None) -> None:
        """Say once why the ledger cannot be used, unless that is over in a moment, as after a start."""
        now = time.monotonic()
        if why is None:
            self._told, self._usable_at = None, now
        elif why != self._told and now - self._usable_at >= _PATIENCE_SECONDS:
            self._told = why
            _LOG.warning("the ledger cannot be used: changes are judged by fresh lists", why=why)

    def _pause(self) -> float:
        if self._watches.refused in (None, NOT_TRIED):
            return _TICK_SECONDS
        return _REFUSED_SECONDS

    async def _worked(self) -> float:
        """Drop what is settled; return after how many seconds to do so again."""
        try:
            await self._settler.tick()
        except StateUnreadable as error:
            _LOG.warning("the ledger could not be brought up to date", why=str(error))
            return _FAILED_SECONDS
        return _TICK_SECONDS
