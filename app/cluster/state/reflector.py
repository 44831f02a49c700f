"""One collection kept up to date by list and watch (the protocol of ``client-go``'s reflector), in a thread.

Only what the parser makes of an object is kept, and only a change of *that* counts as one: a namespace's new
annotation or a node's heartbeat changes nothing here.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Generic, TypeVar

import msgspec

from app.cluster.client.connection import Api, ApiRequest, Stream
from app.cluster.client.errors import HttpRefusal, nonsense
from app.cluster.client.listing import Collection, list_kept
from app.deadline import Deadline
from app.errors import StateUnreadable
from app.logs import EventLog
from app.wire.errors import UnusableObject

_LOG = EventLog(__name__)

LIST_SECONDS = 30.0
WATCH_SECONDS = 240
"""How long one watch request lasts; up to half as long again, so that not all end at once."""
SILENCE_SECONDS = 130.0
"""Bookmarks come about every minute: twice that without a line, and the connection is taken for dead."""
RESYNC_SECONDS = 1_800.0
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 30.0
REFUSED_PAUSE = 60.0

T = TypeVar("T")


class Phase(Enum):
    """How much a reflector knows."""

    WAITING = "not read yet"
    REFUSED = "not permitted, or not served"
    SYNCED = "read"


class _Meta(msgspec.Struct, rename="camel", frozen=True):
    uid: str = ""
    resource_version: str = ""


class _Object(msgspec.Struct):
    metadata: _Meta = _Meta()
    code: int = 0
    message: str = ""


class WatchEvent(msgspec.Struct):
    """One line of a watch: what happened, and the object as it is then, or was last."""

    type: str
    object: msgspec.Raw


BOOKMARK, DELETED = "BOOKMARK", "DELETED"

_decode_event = msgspec.json.Decoder(WatchEvent).decode
_decode_object = msgspec.json.Decoder(_Object).decode


class _Expired(Exception):  # noqa: N818 - a signal inside this module
    """The watch cannot go on from where it was; list again."""


class Reflector(Generic[T]):
    """The parsed objects of one collection, by uid; ``start`` it once, ``stop`` it at the end.

    ``parse`` returns None for objects that are of no interest. ``changed`` is called from the reflector's
    thread after every change of ``phase`` or ``values``.
    """

    def __init__(
        self,
        api: Api,
        collection: Collection,
        *,
        parse: Callable[[msgspec.Raw], T | None],
        changed: Callable[[], None],
    ) -> None:
        """Nothing is read yet."""
        self.collection = collection
        self.phase = Phase.WAITING
        self.problem: str | None = None
        self.is_watch_refused = False
        """Whether it can be listed, but changes must not be followed."""
        self._values: Mapping[str, T] = {}
        self._api = api
        self._parse = parse
        self._changed = changed
        self._stopping = threading.Event()
        self._is_outdated = threading.Event()
        self._stream: Stream | None = None
        self._thread = threading.Thread(target=self._run, name=f"reflector {collection.words}", daemon=True)

    @property
    def values(self) -> tuple[T, ...]:
        """What is known now; in no particular order, but the same objects until they change."""
        return tuple(self._values.values())

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread soon; does not wait for it."""
        self._stopping.set()
        if self._stream is not None:
            self._stream.close()

    def relist(self) -> None:
        """Read all of it anew, soon: what is of interest has changed."""
        self._is_outdated.set()
        if self._stream is not None:
            self._stream.close()

    def join(self, seconds: float) -> None:
        """Wait for the end of the thread."""
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _run(self) -> None:
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            try:
                self._list_and_watch()
                pause = FIRST_PAUSE
                self._stopping.wait(pause)
            except StateUnreadable as error:
                if self._stopping.is_set():
                    return
                if self._is_outdated.is_set():  # the watch was ended on purpose
                    continue
                pause = self._failed(error, pause)
            except Exception as error:  # noqa: BLE001 - a thread that ends unseen would leave old state for new
                if self._stopping.is_set():
                    return
                _LOG.failure("a watch failed in an unexpected way", error, what=self.collection.words)
                pause = self._failed(StateUnreadable(self.collection.words, repr(error)), pause)

    def _failed(self, error: StateUnreadable, pause: float) -> float:
        """Note the failure, wait, and return the pause after the next one."""
        lasting = isinstance(error, HttpRefusal) and error.is_lasting
        if self.problem is None:
            _LOG.warning("cannot read a part of the state", what=error.what, why=error.why, how=error.how)
        self.problem = str(error)
        if lasting and self.phase is Phase.WAITING:
            self.phase = Phase.REFUSED
        self._changed()
        longest = REFUSED_PAUSE if lasting else pause
        self._stopping.wait(longest * random.uniform(0.75, 1.25))  # noqa: S311 - spreads load, no secret
        return min(pause * 2, LONGEST_PAUSE)

    def _list_and_watch(self) -> None:
        self._is_outdated.clear()
        self._begin()
        version = self._list()
        until = time.monotonic() + RESYNC_SECONDS
        while time.monotonic() < until and not self._stopping.is_set() and not self._is_outdated.is_set():
            try:
                version = self._watch(version)
            except _Expired:
                return
            # A proxy may end every watch at once: not a loop at full speed.
            self._stopping.wait(FIRST_PAUSE)

    def _watch(self, version: str) -> str:
        """Follow the changes for some minutes; return the version to go on from.

        Raises ``_Expired`` where that is not possible, ``StateUnreadable`` where the watch cannot be opened.
        """
        seconds = WATCH_SECONDS * random.uniform(1, 1.5)  # noqa: S311 - spreads load, no secret
        query = {
            **self.collection.selectors,
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(int(seconds)),
        }
        request = ApiRequest(self.collection.purpose("watch"), self.collection.path, query)
        try:
            stream = self._api.watch(request, SILENCE_SECONDS)
        except HttpRefusal as error:
            if error.status == 410:  # noqa: PLR2004 - Gone
                raise _Expired from error
            self.is_watch_refused = error.is_lasting
            raise
        self.is_watch_refused = False
        self._stream = stream
        if self._stopping.is_set():  # between the last look and now
            stream.close()
        for line in stream:
            version = self._apply(line) or version
        return version

    def _apply(self, line: bytes) -> str:
        """Take in one event; return the version that it brings."""
        try:
            event = _decode_event(line)
            told = _decode_object(event.object)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise nonsense(self.collection.purpose("watch"), str(error)) from error
        if event.type == "ERROR":
            # 410 Gone as a rule; whatever it is, a new list settles it.
            raise _Expired(told.message)
        self._take(event)
        return told.metadata.resource_version

    def _begin(self) -> None:
        """Prepare for a list that is about to be read."""

    def _list(self) -> str:
        """Take in a whole list; return its version."""
        listed = list_kept(self._api, self.collection, Deadline.after(LIST_SECONDS), self._page)
        self._publish(dict(listed.items))
        return listed.resource_version

    def _page(self, items: tuple[msgspec.Raw, ...]) -> Iterable[tuple[str, T]]:
        found: dict[str, T] = {}
        for item in items:
            self._put(found, item)
        return found.items()

    def _take(self, event: WatchEvent) -> None:
        """Take in one event; a bookmark brings nothing but the version that the watch has reached."""
        if event.type == BOOKMARK:
            return
        found = dict(self._values)
        if event.type == DELETED:
            found.pop(_decode_object(event.object).metadata.uid, None)
        else:
            self._put(found, event.object)
        self._publish(found)

    def _put(self, found: dict[str, T], item: msgspec.Raw) -> None:
        uid = _decode_object(item).metadata.uid
        try:
            value = self._parse(item)
        except UnusableObject as error:
            _LOG.warning("an object is not understood", what=self.collection.words, why=str(error))
            value = None
        if value is None:
            found.pop(uid, None)
        else:
            old = self._values.get(uid)
            found[uid] = old if old is not None and old == value else value

    def _publish(self, found: dict[str, T]) -> None:
        same = len(found) == len(self._values) and all(
            self._values.get(uid) is value for uid, value in found.items()
        )
        if not same:
            self._values = found
        # The values first: whoever sees that it is in sync must find them.
        self._synced(is_news=not same)

    def _synced(self, *, is_news: bool) -> None:
        """Note that the values are up to date, and tell about it if anything is different."""
        was_known = self.phase is Phase.SYNCED and self.problem is None
        if self.problem is not None:
            _LOG.info("a part of the state can be read again", what=self.collection.words)
        self.problem, self.phase = None, Phase.SYNCED
        if is_news or not was_known:
            self._changed()
