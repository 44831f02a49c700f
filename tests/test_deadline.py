"""A moment by which an answer is due."""

from __future__ import annotations

from time import sleep, thread_time

from app.deadline import AtOnce, Deadline, ReviewTime, TimeLimits


def test_what_is_past_is_exhausted_and_what_is_to_come_is_not() -> None:
    assert Deadline.after(0).exhausted()
    assert not Deadline.after(60).exhausted()


def test_an_earlier_deadline_is_never_put_off() -> None:
    assert Deadline.after(0).at_most(60).exhausted()
    assert 0 < Deadline.after(60).at_most(1).left <= 1


def test_waiting_is_no_computing_and_nothing_outlasts_the_answer() -> None:
    time = ReviewTime(TimeLimits(computing=1.0, reading=10.0, answer=1.5))
    before = time.computing.ends
    with time.waiting():
        sleep(0.01)
    assert before + 0.01 <= time.computing.ends <= time.answer.ends
    with time.waiting():
        sleep(0.6)
    assert time.computing.ends == time.answer.ends < time.reading.ends


def test_a_thread_that_has_to_wait_has_not_worked() -> None:
    budget = AtOnce(0.005, Deadline.after(60))
    sleep(0.02)
    assert not budget.exhausted()


def test_work_is_at_an_end_when_its_processor_time_is_used_up() -> None:
    began = thread_time()  # before the budget begins: it may not end earlier than that
    budget = AtOnce(0.005, Deadline.after(60))
    while not budget.exhausted():
        pass
    assert thread_time() - began >= 0.005


def test_work_never_outlasts_the_deadline() -> None:
    assert AtOnce(60, Deadline.after(0)).exhausted()
    assert not AtOnce(60, Deadline.after(60)).exhausted()
