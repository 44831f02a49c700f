"""A watch of the API server in a thread of its own: first what there is, then every change, in order."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from typing import Any

from tests.kube.api import AWAY, ApiClient, Stream, StreamError

_RETRY_SECONDS = 0.2


class Change(StrEnum):
    """What happened to an object; the values are those of the API's watch events."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


OnChange = Callable[[Change, dict[str, Any]], None]


class Watch:
    """Calls `on_change` for every object there is and for every later change, one after the other.

    A connection that breaks is no loss: the next one goes on where it was. `gaps` tells why the watch had to
    start over instead, and so may have missed states in between.
    """

    def __init__(self, client: ApiClient, path: str, on_change: OnChange) -> None:
        """Start watching the collection at `path`; return when what there is has been told."""
        self._client = client
        self._path = path
        self._on_change = on_change
        self._known: dict[str, dict[str, Any]] = {}
        self._version = ""
        self._stopped = threading.Event()
        self._stream: Stream | None = None
        self.gaps: list[str] = []
        self._relist()
        self._thread = threading.Thread(target=self._run, name=f"watch {path}", daemon=True)
        self._thread.start()

    @property
    def version(self) -> int:
        """The resource version up to which changes have been told."""
        return int(self._version)

    def stop(self) -> None:
        """End the watch and wait for its thread."""
        self._stopped.set()
        while self._thread.is_alive():
            if self._stream is not None:
                self._stream.stop()
            self._thread.join(0.05)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._follow()
            except (*AWAY, ValueError):  # no more than half an event came
                self._stopped.wait(_RETRY_SECONDS)
            except StreamError as error:
                if self._stopped.wait(_RETRY_SECONDS):
                    return
                self.gaps.append(str(error))
                with suppress(*AWAY, StreamError):
                    self._relist()

    def _follow(self) -> None:
        query = f"watch=1&allowWatchBookmarks=true&resourceVersion={self._version}"
        with self._client.stream(f"{self._path}?{query}") as stream:
            self._stream = stream
            for event in stream:
                version = _take(event)
                if event["type"] != "BOOKMARK":
                    self._tell(Change(event["type"]), event["object"])
                self._version = version

    def _relist(self) -> None:
        answer = self._client.request("GET", self._path)
        if not answer.ok:
            raise StreamError(answer.text)
        listed = answer.json()
        found = {each["metadata"]["uid"]: each for each in listed["items"]}
        for uid in self._known.keys() - found.keys():
            self._tell(Change.DELETED, self._known[uid])
        for uid, each in found.items():
            if self._known.get(uid) != each:
                self._tell(Change.MODIFIED if uid in self._known else Change.ADDED, each)
        self._version = listed["metadata"]["resourceVersion"]

    def _tell(self, change: Change, changed: dict[str, Any]) -> None:
        uid = changed["metadata"]["uid"]
        if change is Change.DELETED:
            self._known.pop(uid, None)
        else:
            self._known[uid] = changed
        self._on_change(change, changed)


def _take(event: dict[str, Any]) -> str:
    """Return the version that an event brings; StreamError if it says that the watch is over."""
    if event["type"] == "ERROR":
        raise StreamError(event["object"].get("message", ""))
    return str(event["object"]["metadata"]["resourceVersion"])
