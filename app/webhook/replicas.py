"""Which replicas answer beside this one, and whether all keep the ledger: an older version does not."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet

from app.admission.ledger.contents import FORMAT, REPLICA_PREFIX, Contents
from app.admission.ledger.settling import LONGEST_SECONDS

GONE_SECONDS = 60.0
"""How long a Pod must be gone before its word is taken back; one that is there after all gives it again."""


class Replicas:
    """The replicas of the guard, as one of them sees them.

    Each says in the ledger that it keeps it. Whoever answers and has not said so writes nothing down that it
    admits, so nobody may rely on the ledger: until it is gone, and what it admitted is made or over.
    """

    def __init__(
        self,
        pod: str,
        answering: Callable[[], AbstractSet[str]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``pod`` is this one; ``answering`` are the Pods that reviews may reach, as far as is known."""
        self._pod = pod
        self._answering = answering
        self._clock = clock
        self._until = 0.0
        self._names = ""
        self._known: AbstractSet[str] = frozenset()
        self._gone_since: dict[str, float] = {}

    def without_ledger(self, contents: Contents) -> AbstractSet[str]:
        """Return the Pods that answer and have not said that they keep the ledger."""
        answering = self._answering()
        # A Pod keeps its version: that a ledger is made anew, and its word is gone, does not change that.
        self._known = (self._known & answering) | contents.replicas
        return answering - self._known - {self._pod}

    def unusable(self, contents: Contents) -> str | None:
        """Return why the ledger must not be relied on, None where it may be."""
        others = self.without_ledger(contents)
        if others:
            self._until, self._names = self._clock() + LONGEST_SECONDS, ", ".join(sorted(others))
        elif not self._until or self._clock() >= self._until:
            self._until = 0.0
            return None
        answer = "answer" if others else "answered a moment ago"
        return f"replicas that keep no ledger {answer} beside this one, as during an update: {self._names}"

    def changes(self, contents: Contents) -> Mapping[str, str | None]:
        """Return what is to be written to the ledger: the own word, and that of Pods that are gone is not."""
        changes: dict[str, str | None] = {}
        if self._pod not in contents.replicas:
            # Not the format's own key: that is there once a change was written, which an empty ledger hides.
            changes[REPLICA_PREFIX + self._pod] = FORMAT
        answering, now = self._answering(), self._clock()
        gone = contents.replicas - answering - {self._pod} if answering else frozenset[str]()
        self._gone_since = {pod: self._gone_since.get(pod, now) for pod in gone}
        over = [pod for pod, since in self._gone_since.items() if now - since >= GONE_SECONDS]
        return {**changes, **dict.fromkeys(REPLICA_PREFIX + pod for pod in over)}
