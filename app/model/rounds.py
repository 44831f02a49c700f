"""What one round of probes adds to what is remembered of the API server's sources.

A source expires by evidence alone: ``ROUNDS_TO_EXPIRE`` complete rounds over at least ``EXPIRES_OVER``, in
none of which it was seen. Silence is none: days without a complete round neither count nor reset. Pure; the
time is handed in.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from app.model.measured_sources import ROUND_EVERY, Memory, Remembered, Rounds, key_of
from app.model.measurement import Measurement

FORGOTTEN_AFTER = timedelta(days=30)
"""How long what expired is still told of."""
_DEMANDED_FOR = timedelta(days=7)
"""So long an API server that was asked by itself has to answer so again, if it is listed still."""


@dataclass(frozen=True, slots=True)
class Round:
    """One measurement, made in the name of user ``by`` at ``now`` (whole seconds)."""

    measurement: Measurement
    by: str
    now: datetime

    def added_to(self, memory: Memory) -> Memory:
        """Return what is remembered then: ``memory`` itself where the round says nothing new.

        What was seen counts always. That something was not seen counts in a complete round alone, and in one
        a day at most, however many replicas and people ask.
        """
        is_due = memory.rounds.due_in(self.now) <= timedelta()
        gaps = self.measurement.gaps(self._demanded(memory.rounds))
        counts = is_due and not gaps
        measured = tuple(sorted(self._measured(memory, counts=counts), key=lambda place: place.key))
        rounds = memory.rounds
        if counts:
            rounds = Rounds(self.now, self.measurement.singly)
        elif is_due:
            rounds = replace(rounds, gaps=gaps)
        if rounds == memory.rounds and not self._is_news(memory, measured):
            return memory
        return replace(memory, measured=measured, rounds=rounds)

    def _demanded(self, rounds: Rounds) -> tuple[str, ...]:
        if rounds.completed is None or self.now - rounds.completed > _DEMANDED_FOR:
            return ()
        return rounds.singly

    def _measured(self, memory: Memory, *, counts: bool) -> Iterator[Remembered]:
        known = {remembered.key: remembered for remembered in memory.measured}
        for found in self.measurement.found:
            seen = Remembered(found.place, self.now, self.now, self.by, found.api_servers, found.pods)
            before = known.pop(key_of(found.place), seen)
            # What was measured again is known since the first time; all else is as of now.
            yield replace(seen, first_seen=min(before.first_seen, self.now))
        for missed in known.values():
            if not missed.is_expired:
                # A clock that was ahead wrote what is still to come.
                past = (moment for moment in missed.unseen if moment < self.now)
                yield replace(missed, unseen=(*past, self.now)) if counts else missed
            elif self.now - missed.unseen[-1] <= FORGOTTEN_AFTER:
                yield missed

    def _is_news(self, memory: Memory, measured: tuple[Remembered, ...]) -> bool:
        """Tell whether more than moments differ: a run that finds what is known changes nothing."""
        known = {remembered.key: remembered for remembered in memory.measured}
        pairs = [(known.get(found.key), found) for found in measured]
        return len(known) != len(pairs) or any(
            before is None
            or before.unseen != found.unseen
            or found.last_seen - before.last_seen > ROUND_EVERY
            for before, found in pairs
        )
