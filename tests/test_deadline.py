"""A moment by which an answer is due."""

from __future__ import annotations

from app.deadline import Deadline


def test_what_is_past_is_exhausted_and_what_is_to_come_is_not() -> None:
    assert Deadline.after(0).exhausted()
    assert not Deadline.after(60).exhausted()


def test_an_earlier_deadline_is_never_put_off() -> None:
    assert Deadline.after(0).at_most(60).exhausted()
    assert 0 < Deadline.after(60).at_most(1).left <= 1
