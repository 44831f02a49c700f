"""Where reviews come from while the guard works: notes when measured sources are seen, and tells of others.

Whoever reaches the port can send a review, so nothing that is seen here becomes a source. A measured source
is noted as seen, at most once an hour; an address that no known source covers is counted, logged once, and
noted in the same ConfigMap for ``doctor`` to see. On the way of a request, one text is put into one set.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from app.cluster.client.connection import WritingApi
from app.cluster.client.objects import Objects
from app.cluster.probe.store import reference
from app.cluster.state.facts import Known
from app.engine.addresses import Address, address_of
from app.errors import ChangeFailed
from app.logs import EventLog
from app.model.measured_sources import Unknown
from app.model.sources_config_map import render_unknown, seen_key, stamp
from app.names import FIELD_MANAGER

Entries = dict[str, str | None]
"""Entries of the ConfigMap by key; None takes one away."""

LOOK_SECONDS = 20.0
_NOTED_EVERY = timedelta(hours=1)
_UNKNOWN_FOR = timedelta(days=7)
"""How long an address that no known source covers is told of after its last review."""
_MOST_PEERS = 1024
_MOST_UNKNOWN = 8
"""So many unknown addresses are noted: the ConfigMap must not grow with what somebody sends."""
_LOG = EventLog(__name__)


class Knower(Protocol):
    """Whoever knows the sources now: ``LiveState``."""

    def known(self) -> Known | None:
        """Return what is known now, None where that is not known yet."""


def changes(peers: Iterable[Address], known: Known, now: datetime) -> Entries:
    """Return which entries of the ConfigMap change as reviews came from ``peers``."""
    seen = frozenset(peers)
    return {**_stale(known, now), **_renewed(seen, known, now), **_unknown(seen, known, now)}


def _stale(known: Known, now: datetime) -> Entries:
    """Take away notes about what is not remembered any more, and addresses that are known by now, or gone."""
    gone = (
        unknown.key
        for unknown in known.memory.unknown
        if known.covers(unknown.address) or now - unknown.last_seen > _UNKNOWN_FOR
    )
    return dict.fromkeys((*known.memory.orphans, *gone))


def _renewed(seen: frozenset[Address], known: Known, now: datetime) -> Entries:
    through_proxies = not seen.isdisjoint(known.proxies)
    return {
        seen_key(remembered): stamp(now)
        for remembered in known.memory.measured
        if now - remembered.last_seen >= _NOTED_EVERY
        and (through_proxies if remembered.place.address is None else remembered.place.address in seen)
    }


def _unknown(seen: frozenset[Address], known: Known, now: datetime) -> Entries:
    noted = {unknown.address: unknown for unknown in known.memory.unknown}
    found: Entries = {}
    for peer in sorted((address for address in seen if not known.covers(address)), key=str):
        old = noted.get(peer)
        if old is not None and now - old.last_seen >= _NOTED_EVERY:
            found |= render_unknown(Unknown(peer, old.first_seen, now))
        elif old is None and len(noted) + len(found) < _MOST_UNKNOWN:
            found |= render_unknown(Unknown(peer, now, now))
    return found


class PeerWatch:
    """Takes note of where reviews come from; ``run`` it beside the server."""

    def __init__(
        self, knower: Knower, api: WritingApi, guard_namespace: str, seconds: float = LOOK_SECONDS
    ) -> None:
        """Nothing is read or written yet; it is looked every ``seconds``."""
        self._knower = knower
        self._objects = Objects(api, FIELD_MANAGER)
        self._reference = reference(guard_namespace)
        self._seconds = seconds
        self._peers: set[str] = set()
        self._unknown: dict[Address, datetime] = {}
        self._is_failing = False

    def saw(self, peer: str) -> None:
        """Note that a review came from ``peer``, the TCP peer's address as text."""
        if len(self._peers) < _MOST_PEERS:
            self._peers.add(peer)

    def unknown(self) -> int:
        """Return how many addresses reviews came from lately that no known source covers."""
        return len(self._unknown)

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            await asyncio.sleep(self._seconds)
            try:
                await self._look(datetime.now(UTC).replace(microsecond=0))
            except Exception as error:  # noqa: BLE001 - nothing that goes wrong here may end the watch
                _LOG.failure("the peers of reviews could not be looked at", error)

    async def _look(self, now: datetime) -> None:
        texts, self._peers = self._peers, set()
        peers = {peer for text in texts if (peer := address_of(text)) is not None and not peer.is_loopback}
        known = self._knower.known()
        if known is None:
            return
        self._tell(peers, known, now)
        entries = changes(peers, known, now)
        if entries:
            await asyncio.to_thread(self._write, entries)

    def _tell(self, peers: Iterable[Address], known: Known, now: datetime) -> None:
        """Log each address that no source covers once, and forget those that are old or known by now."""
        self._unknown = {
            peer: last
            for peer, last in self._unknown.items()
            if now - last <= _UNKNOWN_FOR and not known.covers(peer)
        }
        for peer in sorted((address for address in peers if not known.covers(address)), key=str):
            if peer not in self._unknown:
                if len(self._unknown) >= _MOST_PEERS:
                    return
                _LOG.warning(
                    "a review came from an address that no known source of the API server's calls covers",
                    address=str(peer),
                    how="if it is an API server's, run netpol-guard bootstrap again, or declare it"
                    " (apiServer.sources)",
                )
            self._unknown[peer] = now

    def _write(self, entries: Entries) -> None:
        try:
            self._objects.merge(self._reference, {"data": entries})
        except ChangeFailed as error:
            # Without the ConfigMap nothing was measured; else it is tried again with the next reviews.
            if not self._is_failing:
                _LOG.warning("the peers of reviews could not be noted", why=error.why, how=error.how)
            self._is_failing = True
        else:
            self._is_failing = False
