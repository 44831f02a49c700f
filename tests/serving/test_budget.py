from __future__ import annotations

import pytest

from app.serving.budget import budget_for, go_duration


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
    ("query", "budget"),
    [
        (b"timeout=10s", 1.0),
        (b"timeout=30s&other=1", 1.0),
        (b"timeout=1500ms", 0.5),
        (b"timeout=1s", 0.1),
        (b"timeout=0", 0.1),
        (b"timeout=-5s", 0.1),
        (b"timeout=1.5s&timeout=10s", 1.0),
        (b"timeout=1%2E5s", 0.5),
    ],
)
def test_the_budget_is_the_lesser_of_the_settings_and_the_timeout_less_a_second(
    query: bytes, budget: float
) -> None:
    assert budget_for(query, 1.0) == pytest.approx(budget)


@pytest.mark.parametrize("query", [b"", b"timeout=", b"timeout=soon", b"time=1s", b"\xff\xfe", b"a&" * 50])
def test_a_timeout_that_cannot_be_read_leaves_the_settings_budget(query: bytes) -> None:
    assert budget_for(query, 0.7) == 0.7
