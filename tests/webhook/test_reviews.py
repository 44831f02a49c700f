from __future__ import annotations

import asyncio

import pytest

from app.admission.ports import Decision, OverrideOutcome
from app.admission.rules import Mode
from app.metrics import Metrics
from app.webhook.reviews import DecisionRecord
from app.wire.review.request import Operation


def _decision(name: str, **changes: object) -> Decision:
    facts = {"verdict": "admit", "seconds": 0.001, **changes}
    return Decision(
        uid="u-1",
        operation=Operation.UPDATE,
        resource="networkpolicies",
        namespace="data-plane",
        name=name,
        user="developer",
        mode=Mode.ENFORCE,
        **facts,  # type: ignore[arg-type]
    )


def _count(metrics: Metrics, sample: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"netpol_guard_{sample}", labels)


def _decided(metrics: Metrics) -> float | None:
    labels = {"operation": "UPDATE", "resource": "networkpolicies", "verdict": "admit", "mode": "enforce"}
    return _count(metrics, "decisions_total", **labels)


def test_decisions_are_written_down_after_the_answers_in_their_order(
    caplog: pytest.LogCaptureFixture,
) -> None:
    metrics = Metrics()
    record = DecisionRecord(metrics)

    async def decide() -> float | None:
        record.decided(_decision("first"))
        record.decided(_decision("second"))
        at_once = _decided(metrics)
        await asyncio.sleep(0)
        return at_once

    with caplog.at_level("INFO"):
        assert asyncio.run(decide()) is None
    assert _decided(metrics) == 2
    assert [vars(record)["facts"]["name"] for record in caplog.records if "facts" in vars(record)] == [
        "first",
        "second",
    ]


def test_what_is_left_at_the_end_can_be_written_at_once() -> None:
    metrics = Metrics()
    record = DecisionRecord(metrics)

    async def decide() -> None:
        record.decided(_decision("last"))
        record.write()

    asyncio.run(decide())
    assert _decided(metrics) == 1


def test_an_override_is_counted_and_in_a_dry_run_it_is_not() -> None:
    metrics = Metrics()
    record = DecisionRecord(metrics)

    async def decide() -> None:
        record.decided(_decision("real", override=OverrideOutcome.HONOURED))
        record.decided(_decision("dry", override=OverrideOutcome.HONOURED, dry_run=True))
        record.write()

    asyncio.run(decide())
    assert _count(metrics, "overrides_total", outcome="honoured") == 1
