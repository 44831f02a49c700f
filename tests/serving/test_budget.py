from __future__ import annotations

import pytest

from app.deadline import TimeLimits
from app.serving.budget import go_duration, limits_for


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10s", 10),
        ("1m30s", 90),
        ("500ms", 0.5),
        ("1.5h", 5400),
        (".5s", 0.5),
        ("2us", 2e-6),
        ("2\u00b5s", 2e-6),
        ("2\u03bcs", 2e-6),
        ("7ns", 7e-9),
        ("0", 0),
        ("+3s", 3),
        ("-3s", -3),
    ],
)
def test_durations_are_read_as_go_reads_them(text: str, seconds: float) -> None:
    assert go_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "10", "s", "10 s", "1e3s", "ten", "10s!", ".s", "٣s", "1s" * 40])
def test_what_go_does_not_take_for_a_duration_is_none_here_either(text: str) -> None:
    assert go_duration(text) is None


@pytest.mark.parametrize(
    ("query", "timeout"),
    [
        (b"timeout=10s", 10.0),
        (b"timeout=30s&other=1", 30.0),
        (b"timeout=2500ms", 2.5),
        (b"timeout=1.5s&timeout=5s", 5.0),
        (b"timeout=5%2E5s", 5.5),
    ],
)
def test_reading_ends_a_second_and_a_half_before_the_timeout_and_the_answer_leaves_half_a_second_before(
    query: bytes, timeout: float
) -> None:
    limits = limits_for(query, 1.0)
    assert (limits.reading, limits.answer) == pytest.approx((timeout - 1.5, timeout - 0.5))
    assert limits.computing == 1.0


@pytest.mark.parametrize(
    ("query", "limits"),
    [
        (b"timeout=2s", TimeLimits(1.0, 0.75, 1.5)),
        (b"timeout=1s", TimeLimits(0.5, 0.25, 0.5)),
        (b"timeout=0", TimeLimits(0.1, 0.05, 0.1)),
        (b"timeout=-5s", TimeLimits(0.1, 0.05, 0.1)),
    ],
)
def test_of_a_short_timeout_half_is_for_reading(query: bytes, limits: TimeLimits) -> None:
    assert limits_for(query, 1.0) == limits


@pytest.mark.parametrize("query", [b"", b"timeout=", b"timeout=soon", b"time=1s", b"\xff\xfe", b"a&" * 50])
def test_a_timeout_that_cannot_be_read_leaves_the_settings_budget_for_all(query: bytes) -> None:
    assert limits_for(query, 0.7) == TimeLimits.of(0.7)
