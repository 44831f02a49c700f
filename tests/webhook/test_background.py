from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from app.certificates.reconcile import Reconciler, Result
from app.errors import ChangeFailed, StateUnreadable
from app.metrics import Metrics
from app.names import FailurePolicy
from app.webhook.background import Background
from tests.certificates.cluster import Counters, FakeCluster

UNREADABLE = StateUnreadable("Secret netpol-guard/netpol-guard-tls", "not permitted")


class Scripted(Reconciler):
    """Rounds that end as a test says, the last one for ever."""

    def __init__(self, *outcomes: Result | Exception) -> None:
        super().__init__(FakeCluster(), None, FailurePolicy.FAIL, Counters())
        self.outcomes = list(outcomes)
        self.done = asyncio.Event()
        self.is_missing = True

    @property
    def missing(self) -> str | None:
        return "no certificate yet" if self.is_missing else None

    def reconcile(self) -> Result:
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        self.is_missing = False
        return outcome


def run(reconciler: Scripted, until: int) -> tuple[list[str], str]:
    """Run until that many outcomes are left; return the reasons seen on the way, and the metrics."""
    metrics = Metrics()
    background = Background(reconciler, metrics, seconds=0.01)
    seen: list[str] = []

    async def main() -> None:
        task = asyncio.create_task(background.run())
        while len(reconciler.outcomes) > until or not (reconciler.outcomes and background.reason() is None):
            reason = background.reason()
            if reason is not None and reason not in seen:
                seen.append(reason)
            await asyncio.sleep(0.001)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(main(), 20))
    return seen, metrics.render()[0].decode()


@pytest.mark.parametrize(
    "failure",
    [UNREADABLE, ChangeFailed("create Secret", "not permitted"), RuntimeError("nobody expected this")],
    ids=["cannot read", "cannot write", "a fault of ours"],
)
def test_whatever_fails_is_tried_again_and_counted(failure: Exception) -> None:
    seen, metrics = run(Scripted(failure, failure, Result.CHANGED, Result.SETTLED), until=1)
    assert seen[0] == "serving certificate: no certificate yet"
    assert 'netpol_guard_upkeep_total{what="failed"} 2.0' in metrics


def test_why_there_is_no_certificate_is_a_reason_not_to_be_ready() -> None:
    seen, _ = run(Scripted(UNREADABLE, UNREADABLE, UNREADABLE, Result.SETTLED), until=1)
    assert f"serving certificate: {UNREADABLE}" in seen
