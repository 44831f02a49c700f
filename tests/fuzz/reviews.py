"""Send mutated reviews to the endpoint, in process: ``python -m tests.fuzz.reviews 100000 [SEED]``."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from time import perf_counter, process_time
from typing import Any

from app.admission.ports import Decision
from app.admission.reviewer import Reviewer
from app.admission.rules import Rules
from app.deadline import TimeLimits
from app.metrics import Metrics
from app.serving.reviews import Reply
from app.webhook.reviews import HttpReviews
from tests.admission.world import FakeState, baselines, guarded, rendered, request
from tests.fuzz.mutations import mutate, review, valid_reviews

BUDGET_SECONDS = 1.0
BOUND_SECONDS = 5.0
"""What the budget does not cover, decoding and writing the answer, has this much time with it.

Time of this process: however busy the machine is with other things, that is what an answer costs.
"""
STATUSES = frozenset({200, 400, 413, 415, 422})
_PATIENCE_SECONDS = 60.0
_SHOWN_BYTES = 2_000
_SHOWN_FAILURES = 5
_PROGRESS = 5_000


class _NoRecord:
    def decided(self, decision: Decision) -> None:
        """Forget it: a hundred thousand of them would be a log of their own."""


@dataclass(slots=True)
class Findings:
    """What came back: how often each status for each mutation, what was wrong, and the most work."""

    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    failed: int = 0
    slowest_seconds: float = 0.0
    slowest: str = ""

    def fail(self, what: str, mutation: str, body: bytes) -> None:
        """Note a failure with the body that shows it."""
        self.failed += 1
        if len(self.failures) < _SHOWN_FAILURES:
            self.failures.append(f"{mutation}: {what}\n  {body[:_SHOWN_BYTES]!r} ({len(body)} bytes)")


class Endpoint:
    """The webhook's answers over a state that is a value."""

    def __init__(self) -> None:
        self._reviews = HttpReviews(Reviewer(FakeState(guarded()), Rules(), _NoRecord()), Metrics())
        harmless = rendered(baselines()[0])
        self._valid = json.dumps(review(request("UPDATE", harmless, harmless))).encode()

    async def ask(self, body: bytes) -> Reply:
        """Return the answer to ``body``."""
        return await self._reviews.review(body, TimeLimits.of(BUDGET_SECONDS), "10.20.0.10")

    async def serves(self) -> bool:
        """Tell whether a valid request is served; with time enough for it on the busiest machine."""
        reply = await self._reviews.review(self._valid, TimeLimits.of(_PATIENCE_SECONDS), "")
        return reply.status == 200 and json.loads(reply.body)["response"]["allowed"] is True


async def fuzz(count: int, seed: int) -> Findings:
    """Return what ``count`` mutated reviews led to."""
    chance, endpoint, found = Random(seed), Endpoint(), Findings()
    valid = valid_reviews(chance)
    for index in range(count):
        mutation, body = mutate(chance, chance.choice(valid))
        await _try(endpoint, mutation, body, found)
        if (index + 1) % _PROGRESS == 0:
            print(f"  {index + 1:,} of {count:,}, {found.failed} wrong", file=sys.stderr, flush=True)
            valid = valid_reviews(chance)
    return found


async def _try(endpoint: Endpoint, mutation: str, body: bytes, found: Findings) -> None:
    began = process_time()
    try:
        reply = await endpoint.ask(body)
        seconds = process_time() - began
        wrong = "" if seconds <= BOUND_SECONDS else f"answered only after {seconds:.1f} s of work"
        found.answers[mutation, reply.status] += 1
        wrong = wrong or defect(reply, body)
        if not await endpoint.serves():
            wrong = wrong or "the next valid request was not served"
    except Exception as error:  # noqa: BLE001 - any exception is a finding
        seconds, wrong = process_time() - began, f"raised {type(error).__name__}: {str(error)[:300]}"
    if wrong:
        found.fail(wrong, mutation, body)
    if seconds > found.slowest_seconds:
        found.slowest_seconds, found.slowest = seconds, f"{mutation}, {len(body):,} bytes"


def defect(reply: Reply, body: bytes) -> str:
    """Return what is wrong with an answer, "" if nothing is."""
    if reply.status not in STATUSES:
        return f"status {reply.status}"
    try:
        answer = json.loads(reply.body.decode())
    except ValueError as error:
        return f"the answer is no JSON: {error}"
    if reply.status != 200:
        return "" if answer.get("error") and isinstance(answer.get("path"), str) else "an error without words"
    return _defect_of_review(answer, _uid(body))


def _uid(body: bytes) -> object:
    try:
        return json.loads(body)["request"]["uid"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None


def _defect_of_review(answer: Any, uid: object) -> str:  # noqa: ANN401 - any JSON
    response = answer.get("response")
    if answer.get("kind") != "AdmissionReview" or answer.get("apiVersion") != "admission.k8s.io/v1":
        return "not an AdmissionReview"
    if not isinstance(response, dict) or not isinstance(response.get("allowed"), bool):
        return "no verdict"
    if not isinstance(response.get("uid"), str) or (uid is not None and response["uid"] != uid):
        return f"uid {response.get('uid')!r} for {uid!r}"
    status = response.get("status", {})
    if not response["allowed"] and not (isinstance(status.get("message"), str) and status["message"]):
        return "denied without a message"
    texts = [*response.get("warnings", ()), *response.get("auditAnnotations", {}).values()]
    return "" if all(isinstance(text, str) for text in texts) else "a warning or annotation is no text"


def main() -> int:
    """Fuzz as often as the command line says; return 1 if anything was wrong."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    began = perf_counter()
    found = asyncio.run(fuzz(count, seed))
    mutations = sorted({mutation for mutation, _ in found.answers})
    statuses = sorted({status for _, status in found.answers})
    print(f"{'mutation':20}" + "".join(f"{status:>9}" for status in statuses))
    for mutation in mutations:
        print(f"{mutation:20}" + "".join(f"{found.answers[mutation, statuse]:9,}" for statuse in statuses))
    print(
        f"{count:,} reviews in {perf_counter() - began:.0f} s (seed {seed}), {found.failed} answered wrongly"
    )
    print(f"most work for one answer {found.slowest_seconds:.2f} s ({found.slowest})")
    for failure in found.failures:
        print(failure)
    return 1 if found.failed else 0


if __name__ == "__main__":
    sys.exit(main())
