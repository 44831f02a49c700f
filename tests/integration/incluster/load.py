"""Questions put to the guard through the API server, one after the other all the time, by several clients.

Each question has one right answer, and shows that the guard gave it: a rejection in its words, or a warning
of its own with an admission. So an admission that went past the guard counts as wrong, too.
"""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Any, Self

from tests.integration.incluster.scenes import deny_all
from tests.kube.api import ApiResponse, Send
from tests.kube.cluster import Cluster

_POLICIES = "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies"
_PAUSE_SECONDS = 0.01
_BROKEN = (OSError, http.client.HTTPException, json.JSONDecodeError)
_MERGE = "application/merge-patch+json"


class Outcome(Enum):
    """How a question was answered."""

    RIGHT = "right"
    WRONG = "wrong"
    FAILED = "failed"
    """The API server did not get the guard's answer, and so refused the request."""


@dataclass(frozen=True, slots=True)
class Question:
    """A request (a dry run, so that it can be repeated), and a piece of the only right answer to it."""

    method: str
    path: str
    body: dict[str, Any]
    is_admitted: bool
    says: str
    content_type: str = "application/json"

    def outcome(self, answer: ApiResponse) -> Outcome:
        """Judge the answer."""
        if not answer.ok and "failed calling webhook" in answer.message:
            return Outcome.FAILED
        words = "".join(answer.warnings) if answer.ok else answer.message
        is_right = answer.ok is self.is_admitted and self.says in words
        return Outcome.RIGHT if is_right else Outcome.WRONG


@dataclass(frozen=True, slots=True)
class Answered:
    """One question asked: when (monotonic time), how it went, and what the API server said."""

    began: float
    ended: float
    outcome: Outcome
    text: str


def questions(bare: str, baselined: str) -> tuple[Question, ...]:
    """Return one question of each kind about a namespace without policies and one with both baselines."""
    return (
        Question("POST", f"{_POLICIES.format(bare)}?dryRun=All", deny_all(bare), False, "would cut"),  # noqa: FBT003
        Question(
            "POST",
            f"{_POLICIES.format(baselined)}?dryRun=All",
            deny_all(baselined),
            True,  # noqa: FBT003 - whether it is admitted
            "no effect",
        ),
        Question(
            "PATCH",
            f"{_POLICIES.format(baselined)}/iomete-ingress-egress?dryRun=All",
            {"spec": {"ingress": []}},
            False,  # noqa: FBT003
            "would cut",
            _MERGE,
        ),
    )


class Load:
    """Asks from the start of a `with` to its end; `answered` grows meanwhile."""

    def __init__(self, cluster: Cluster, asked: Sequence[Question], *, clients: int = 2) -> None:
        """Nothing is asked yet."""
        self._cluster = cluster
        self._asked = asked
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self.answered: list[Answered] = []
        self._threads = [
            threading.Thread(target=self._ask, args=(each,), name=f"load {each}", daemon=True)
            for each in range(clients)
        ]

    def __enter__(self) -> Self:
        """Start to ask."""
        for each in self._threads:
            each.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and wait for the last answers."""
        self._stopped.set()
        for each in self._threads:
            each.join()

    def of(self, outcome: Outcome) -> list[Answered]:
        """Return the answers with this outcome so far."""
        with self._lock:
            return [each for each in self.answered if each.outcome is outcome]

    def wait_for(self, more: int) -> None:
        """Return when that many more questions have been answered, however."""
        with self._lock:
            wanted = len(self.answered) + more
        while len(self.answered) < wanted:
            time.sleep(_PAUSE_SECONDS)

    def _ask(self, first: int) -> None:
        client = self._cluster.client()
        questions = itertools.islice(itertools.cycle(self._asked), first, None)
        while not self._stopped.is_set():
            with suppress(*_BROKEN), client.kept() as send:
                while not self._stopped.wait(_PAUSE_SECONDS):
                    self._put(next(questions), send)

    def _put(self, question: Question, send: Send) -> None:
        """Put a question; a connection that breaks over it is a failure, and is raised."""
        began = time.monotonic()
        broken: Exception | None = None
        try:
            answer = send(question.method, question.path, question.body, content_type=question.content_type)
            outcome, text = question.outcome(answer), answer.text + "".join(answer.warnings)
        except _BROKEN as error:
            outcome, text, broken = Outcome.FAILED, repr(error), error
        with self._lock:
            self.answered.append(Answered(began, time.monotonic(), outcome, text))
        if broken is not None:
            raise broken
