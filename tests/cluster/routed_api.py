"""An API server of the tests' own with several collections: each with its list, and its watches."""

from __future__ import annotations

import queue
import time
from collections import defaultdict
from collections.abc import Callable

from app.cluster.client.connection import ApiAnswer, ApiRequest
from app.cluster.client.errors import refusal
from app.deadline import Deadline
from tests.cluster.fake_api import FakeStream


class RoutedApi:
    """Answers by path: a list's bytes, or the status that it is refused with."""

    def __init__(self, lists: dict[str, bytes | int]) -> None:
        self.lists = lists
        self.requests: list[ApiRequest] = []
        self.refused_watches: dict[str, int] = {}
        self._streams: defaultdict[str, queue.Queue[FakeStream]] = defaultdict(queue.Queue)

    def fetch(self, request: ApiRequest, deadline: Deadline) -> bytes:  # noqa: ARG002 - the interface
        """Return what the collection holds."""
        self.requests.append(request)
        answer = self.lists[request.path]
        if isinstance(answer, int):
            raise refusal(answer, b'{"message": "no"}', request.purpose)
        return answer

    def call(self, request: ApiRequest, deadline: Deadline) -> ApiAnswer:
        """Return the same, as an answer without warnings."""
        return ApiAnswer(self.fetch(request, deadline))

    def watch(self, request: ApiRequest, seconds: float) -> FakeStream:  # noqa: ARG002 - the interface
        """Open a stream, and hand it to the test too."""
        self.requests.append(request)
        if request.path in self.refused_watches:
            raise refusal(self.refused_watches[request.path], b"", request.purpose)
        stream = FakeStream()
        self._streams[request.path].put(stream)
        return stream

    def watched(self, path: str) -> FakeStream:
        """Return the next watch of a collection that was opened."""
        return self._streams[path].get(timeout=10)


def until(is_so: Callable[[], bool]) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.002)
