"""What is remembered of where the API server's calls come from: places, when each was seen, rounds of probes.

How it stands in a ConfigMap: ``app.model.sources_config_map``; what a round adds to it: ``app.model.rounds``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.engine.addresses import Address
from app.engine.cluster import Source
from app.model.measurement import CallerPlace

ROUNDS_TO_EXPIRE = 7
EXPIRES_OVER = timedelta(days=7)
"""So many complete rounds over so long, and not seen in any of them, show that no call comes from a place."""
ROUND_EVERY = timedelta(days=1)
"""How often the API servers are asked, and how far apart rounds that count are at least."""

UNKNOWN_PREFIX = "unknown."
_NO_KEY = re.compile(r"[^-._a-zA-Z0-9]")


@dataclass(frozen=True, slots=True)
class Remembered:
    """A place that was measured: when first and last seen, in whose name, asking which API servers.

    ``pods`` are those of the guard that saw it when it was measured; ``unseen`` are the complete rounds since
    it was last seen, oldest first.
    """

    place: CallerPlace
    first_seen: datetime
    last_seen: datetime
    by: str = ""
    through: tuple[str, ...] = ()
    pods: tuple[str, ...] = ()
    unseen: tuple[datetime, ...] = ()

    @property
    def key(self) -> str:
        """The key of the entry."""
        return key_of(self.place)

    @property
    def is_expired(self) -> bool:
        """Whether the evidence is that no call comes from there: required only where something lists it."""
        return len(self.unseen) >= ROUNDS_TO_EXPIRE and self.unseen[-1] - self.unseen[0] >= EXPIRES_OVER

    @property
    def evidence(self) -> str:
        """In how many rounds it was not seen, in words; "" where it was in the last one that counts."""
        if not self.unseen:
            return ""
        first, last = (f"{moment:%Y-%m-%d}" for moment in (self.unseen[0], self.unseen[-1]))
        when = f"on {first}" if first == last else f"from {first} to {last}"
        rounds = "the complete round" if len(self.unseen) == 1 else f"{len(self.unseen)} complete rounds"
        return f"not seen in {rounds} of probes {when}"

    @property
    def source(self) -> Source:
        """The place as a measured source."""
        asked = f", asking {' and '.join(self.through)}" if self.through else ""
        by = f" by {self.by}" if self.by else ""
        return self.place.source(f"a probe{by} on {self.first_seen:%Y-%m-%d}{asked}")


@dataclass(frozen=True, slots=True)
class Unknown:
    """An address that reviews came from although no known source covers it."""

    address: Address
    first_seen: datetime
    last_seen: datetime

    @property
    def key(self) -> str:
        """The key of the entry."""
        return UNKNOWN_PREFIX + _address_key(self.address)


@dataclass(frozen=True, slots=True)
class Rounds:
    """When the last complete round of probes was, and which API servers answered by themselves in it.

    ``gaps`` say why the last one that was due was not complete.
    """

    completed: datetime | None = None
    singly: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()

    def due_in(self, now: datetime) -> timedelta:
        """Return in how long the next round is due, nothing or less where it is.

        One that is to come within a day is another replica's, whose clock is ahead.
        """
        if self.completed is None or self.completed - now >= ROUND_EVERY:
            return timedelta()
        return self.completed + ROUND_EVERY - now


NO_ROUNDS = Rounds()


@dataclass(frozen=True, slots=True)
class Memory:
    """All that is remembered; ``notes`` say which entries were not understood.

    ``orphans`` are keys of the guard's notes about places that are not remembered any more.
    """

    measured: tuple[Remembered, ...] = ()
    unknown: tuple[Unknown, ...] = ()
    orphans: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    rounds: Rounds = NO_ROUNDS


NOTHING_REMEMBERED = Memory()


def key_of(place: CallerPlace) -> str:
    """Return the key under which a place is remembered; a ConfigMap's keys have no colon.

    >>> from ipaddress import ip_address
    >>> key_of(CallerPlace(ip_address("fd00::10")))
    'fd00--10'
    >>> key_of(CallerPlace(None, "kube-system", {"app": "konnectivity-agent"}))
    'pods.kube-system.app.konnectivity-agent'
    """
    if place.address is not None:
        return _address_key(place.address)
    labels = ".".join(f"{key}.{value}" for key, value in sorted(place.labels.items()))
    return _NO_KEY.sub("-", f"pods.{place.namespace}.{labels}")


def _address_key(address: Address) -> str:
    return str(address).replace(":", "-")
