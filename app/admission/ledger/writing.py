"""One write for all reviews that wait for one, and no more than the cluster's store can take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.admission.ledger.contents import FORMAT, FORMAT_KEY, Contents
from app.admission.ledger.entries import Entry, encoded, key_of
from app.admission.ledger.ports import Future, Ledger, Runtime
from app.errors import StateUnreadable

BYTES_PER_SECOND = 1_000_000
"""What a replica lets go to the store: each write stores all of the ConfigMap anew."""


@dataclass(frozen=True, slots=True)
class Written:
    """An entry that stands in the ledger, with what stood there before it."""

    key: str
    contents: Contents
    earlier: Mapping[str, Entry]


class _Waiting:
    """A review that waits for its entry to be written; it leads the next write if told so."""

    __slots__ = ("entry", "failed", "is_to_lead", "key", "told", "written")

    def __init__(self, key: str, entry: Entry, told: Future[bool]) -> None:
        self.key = key
        self.entry = entry
        self.told = told
        self.written: Written | None = None
        self.failed: StateUnreadable | None = None
        self.is_to_lead = False

    @property
    def is_answered(self) -> bool:
        """Tell whether it is known what became of the entry."""
        return self.written is not None or self.failed is not None


class Writer:
    """Writes entries; while one write is under way, those that come wait for the next and share it."""

    def __init__(self, ledger: Ledger, runtime: Runtime) -> None:
        """Nothing is written yet."""
        self._ledger = ledger
        self._runtime = runtime
        self._queue: list[_Waiting] = []
        self._is_writing = False
        self._free_at = 0.0
        self.abandoned: set[str] = set()
        """Keys of this replica that nobody needs: whoever settles entries takes them out."""

        self.outlived: set[str] = set()
        """Keys that nobody understands, and whose changes must be over: they stay, and count no more."""

    def standing(self, entries: Mapping[str, Entry]) -> Mapping[str, Entry]:
        """Return the entries that count."""
        if not self.outlived:
            return entries
        return {key: entry for key, entry in entries.items() if key not in self.outlived}

    async def add(self, entry: Entry) -> Written:
        """Write an entry; return what stands in the ledger then. Raises ``StateUnreadable``."""
        mine = _Waiting(key_of(entry, self._runtime.token()), entry, self._runtime.future())
        self._queue.append(mine)
        try:
            if not self._is_writing or await mine.told:
                await self._lead(mine)
        except BaseException:
            self._leave(mine)
            self.abandon(mine.key)
            raise
        if mine.written is None:
            self.abandon(mine.key)
            raise mine.failed or StateUnreadable("the ledger", "it was not written", "try again")
        return mine.written

    def abandon(self, key: str) -> None:
        """Have a key taken out soon: it was refused, or nobody knows whether it was written."""
        self.abandoned.add(key)

    def _leave(self, mine: _Waiting) -> None:
        """Wait no more; who was told to lead and did not get to it has the next lead."""
        if mine in self._queue:
            self._queue.remove(mine)
        if mine.is_to_lead:
            self._is_writing = False
            self._hand_over()

    async def _lead(self, mine: _Waiting) -> None:
        """Write all that wait, then have one of those that came meanwhile lead.

        Where the leader is cancelled, nobody knows what was written: the others write their keys again.
        """
        self._is_writing, mine.is_to_lead = True, False
        group: list[_Waiting] = []
        try:
            await self._pause()
            group, self._queue = self._queue, []
            await self._write(group)
        finally:
            self._is_writing = False
            if mine in self._queue:
                self._queue.remove(mine)
            self._queue[:0] = [review for review in group if review is not mine and not review.is_answered]
            for review in group:
                if review.is_answered and not review.told.done():
                    review.told.set_result(False)
            self._hand_over()

    def _hand_over(self) -> None:
        for review in self._queue:
            if not review.told.done():
                self._is_writing = review.is_to_lead = True
                review.told.set_result(True)
                return

    async def _pause(self) -> None:
        wait = self._free_at - self._runtime.now()
        if wait > 0:
            await self._runtime.sleep(wait)

    async def _write(self, group: list[_Waiting]) -> None:
        keys: dict[str, str | None] = {review.key: encoded(review.entry) for review in group}
        try:
            contents = Contents.decode(await self._ledger.merge({FORMAT_KEY: FORMAT, **keys}))
        except StateUnreadable as error:
            for review in group:
                review.failed = error
            return
        self._free_at = self._runtime.now() + contents.size / BYTES_PER_SECOND
        for review, earlier in zip(group, self.earlier(contents, list(keys)), strict=True):
            review.written = Written(review.key, contents, earlier)

    def earlier(self, contents: Contents, keys: list[str]) -> list[Mapping[str, Entry]]:
        """Return, for each of the ``keys`` of one write, what stands before it."""
        before = {key: entry for key, entry in contents.entries.items() if key not in keys}
        found: list[Mapping[str, Entry]] = []
        for key in keys:
            found.append(before)
            if key in contents.entries:
                before = {**before, key: contents.entries[key]}
        return found
