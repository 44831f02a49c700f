"""An API server of the tests' own: answers what it is told to, and remembers what it was asked."""

from __future__ import annotations

import json
import queue
from collections.abc import Callable, Iterator

from app.cluster.client.connection import ApiRequest
from app.cluster.client.errors import refusal
from app.cluster.client.listing import Collection
from app.deadline import Deadline
from app.model.kinds import Kind

THINGS = Collection("the things", Kind("example.test/v1", "Thing", "things"))


def thing(uid: str, value: str, version: str = "1") -> dict[str, object]:
    """Return an object with a value."""
    return {"metadata": {"uid": uid, "name": uid, "resourceVersion": version, "labels": {"value": value}}}


def page(*items: object, version: str = "1", resume: str = "") -> bytes:
    """Return one page of a list."""
    metadata = {"resourceVersion": version, "continue": resume}
    return json.dumps({"metadata": metadata, "items": items}).encode()


def event(kind: str, body: object) -> bytes:
    """Return one line of a watch."""
    return json.dumps({"type": kind, "object": body}).encode()


class FakeStream:
    """The lines of a watch: those put into it, until it is ended."""

    def __init__(self) -> None:
        self._lines: queue.Queue[bytes | Exception | None] = queue.Queue()

    def send(self, *lines: bytes) -> None:
        """Let the reader see these lines."""
        for line in lines:
            self._lines.put(line)

    def fail(self, error: Exception) -> None:
        """Break the connection."""
        self._lines.put(error)

    def close(self) -> None:
        """End the answer."""
        self._lines.put(None)

    def __iter__(self) -> Iterator[bytes]:
        """Yield the lines as they come."""
        while (line := self._lines.get(timeout=10)) is not None:
            if isinstance(line, Exception):
                raise line
            yield line


class FakeApi:
    """Answers each request with the next thing in line: bytes, or a status to refuse with."""

    def __init__(self, *answers: bytes | int) -> None:
        self.requests: list[ApiRequest] = []
        self.streams: queue.Queue[FakeStream] = queue.Queue()
        self.refuse_watch: list[int] = []
        self.answers = list(answers)
        self.before_answer: Callable[[], None] = lambda: None

    def fetch(self, request: ApiRequest, deadline: Deadline) -> bytes:  # noqa: ARG002 - the interface
        """Return the next answer; the last one again and again."""
        self.requests.append(request)
        self.before_answer()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, int):
            raise refusal(answer, b'{"message": "no"}', request.purpose)
        return answer

    def watch(self, request: ApiRequest, seconds: float) -> FakeStream:  # noqa: ARG002 - the interface
        """Open a stream, and hand it to the test too."""
        self.requests.append(request)
        if self.refuse_watch:
            raise refusal(self.refuse_watch.pop(0), b"", request.purpose)
        stream = FakeStream()
        self.streams.put(stream)
        return stream

    def watched(self) -> FakeStream:
        """Return the next watch that was opened."""
        return self.streams.get(timeout=10)
