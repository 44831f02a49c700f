"""Admission behind HTTP: what ``app.serving`` asks for, answered by ``app.admission``."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from app.admission.ports import Afterwards, OverrideOutcome
from app.logs import EventLog
from app.serving.reviews import Reply
from app.wire.errors import BadReview

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.admission.ports import Decision
    from app.admission.reviewer import Reviewer
    from app.deadline import TimeLimits
    from app.metrics import Metrics

_LOG = EventLog("app.decisions")
_LAST_ANSWER = (("connection", "close"),)


class HttpReviews:
    """Answers bodies; what is no review gets a 4xx that names the field."""

    def __init__(
        self, reviewer: Reviewer, metrics: Metrics, saw: Callable[[str], None] = lambda _: None
    ) -> None:
        """``saw`` is told the TCP peer of every review."""
        self._reviewer = reviewer
        self._metrics = metrics
        self._saw = saw

    async def review(self, body: bytes, limits: TimeLimits, peer: str) -> Reply:
        """Return the answer to the review in ``body``."""
        try:
            answer, afterwards = await self._reviewer.respond(body, limits, peer)
        except BadReview as error:
            self._metrics.record_refusal("bad review")
            told = {"error": error.message, "path": error.path}
            return Reply(error.status, json.dumps(told).encode())
        self._saw(peer)
        return Reply(200, answer, headers=_LAST_ANSWER if afterwards is Afterwards.CLOSE else ())


class DecisionRecord:
    """Writes one log line for each decision, and counts it, as soon as the answers have left.

    Nobody waits for a line then; and several of them in a row take half the time.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._pending: list[Decision] = []

    def decided(self, decision: Decision) -> None:
        """Take note of ``decision``; called from the event loop."""
        if not self._pending:
            asyncio.get_running_loop().call_soon(self.write)
        self._pending.append(decision)

    def write(self) -> None:
        """Log and count what was decided since the last time."""
        pending, self._pending = self._pending, []
        for decision in pending:
            self._write(decision)

    def _write(self, decision: Decision) -> None:
        operation, mode = decision.operation.value, decision.mode.value
        labels = operation, decision.resource, decision.verdict, mode
        self._metrics.record_decision(labels, decision.seconds)
        if decision.way:
            self._metrics.record_way(decision.way)
        if decision.override is not OverrideOutcome.NOT_ASKED and not decision.dry_run:
            self._metrics.record_override(decision.override.value)
        _LOG.info(
            "decided",
            verdict=decision.verdict,
            operation=operation,
            resource=decision.resource,
            namespace=decision.namespace,
            name=decision.name,
            user=decision.user,
            mode=mode,
            flows=list(decision.flows),
            override=decision.override.value,
            way=decision.way,
            dry_run=decision.dry_run,
            ms=round(decision.seconds * 1000, 3),
            uid=decision.uid,
        )
