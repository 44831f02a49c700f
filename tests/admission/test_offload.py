"""Judgements that take long are made aside."""

from __future__ import annotations

import asyncio
import json
import threading
from dataclasses import replace

import pytest

from app.admission.offload import Offload
from app.admission.outcome import ReviewOutcome
from app.admission.policy_judgement import PolicyJudgement
from app.admission.reviewer import Reviewer
from app.admission.rules import Rules
from app.deadline import Deadline, TimeLimits
from app.engine.budget import Budget, TooComplexError
from tests.admission.world import DENY_ALL, NS, FakeState, Log, cluster, guarded, parsed, rendered, request


def is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def hard(budget: Budget) -> str:
    """A question that takes more than may be spent at once."""
    if is_main_thread():
        raise TooComplexError
    assert not budget.exhausted()
    return "answered aside"


def test_what_is_answered_at_once_is_not_handed_over() -> None:
    answer = asyncio.run(Offload().ask(lambda _: is_main_thread(), Deadline.after(5)))
    assert answer == (True, False)


def test_what_takes_long_is_answered_aside() -> None:
    assert asyncio.run(Offload().ask(hard, Deadline.after(5))) == ("answered aside", True)


def test_what_is_only_half_known_when_its_time_is_up_is_asked_again_aside() -> None:
    def half(budget: Budget) -> str:
        if not is_main_thread():
            return "whole"
        while not budget.exhausted():
            threading.Event().wait(0.001)
        return "half"

    assert asyncio.run(Offload(0.01).ask(half, Deadline.after(5))) == ("whole", True)


def test_others_are_answered_while_a_hard_question_is_open() -> None:
    async def scenario() -> tuple[str, bool]:
        offload, release = Offload(), threading.Event()

        def waiting(budget: Budget) -> str:
            answer = hard(budget)
            assert release.wait(10)
            return answer

        open_question = asyncio.create_task(offload.ask(waiting, Deadline.after(10)))
        easy = await offload.ask(lambda _: "easy", Deadline.after(10))
        assert easy == ("easy", False)
        release.set()
        return await open_question

    assert asyncio.run(scenario()) == ("answered aside", True)


def test_a_question_without_time_left_is_too_complex_and_never_handed_over() -> None:
    with pytest.raises(TooComplexError):
        asyncio.run(Offload().ask(hard, Deadline.after(0)))


def test_the_time_until_its_turn_comes_counts_too() -> None:
    async def scenario() -> bool:
        offload, deadline = Offload(), Deadline.after(0.05)

        def blocking(budget: Budget) -> None:
            hard(budget)
            while not deadline.exhausted():
                threading.Event().wait(0.01)

        first = asyncio.create_task(offload.ask(blocking, Deadline.after(10)))
        await asyncio.sleep(0)
        second = await offload.ask_aside(lambda budget: budget.exhausted(), deadline)
        await first
        return second

    assert asyncio.run(scenario())


def test_a_judgement_made_aside_is_made_anew_where_the_state_moved_on_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Deleting either of two policies that carry a flow is harmless; one goes while the other is judged."""
    carrying = rendered(guarded().policies[NS][-1])
    twin = {**carrying, "metadata": {**carrying["metadata"], "name": "twin"}}
    isolating, one, two = parsed(DENY_ALL), parsed(carrying), parsed(twin)
    operator = guarded().policies[NS][0]
    state = FakeState(cluster(operator, isolating, one, two))
    judge = PolicyJudgement.outcome

    def slow(judgement: PolicyJudgement) -> ReviewOutcome:
        if is_main_thread():
            raise TooComplexError
        outcome = judge(judgement)
        state.now = replace(state.now, policies={NS: (operator, isolating, one)})
        return outcome

    monkeypatch.setattr(PolicyJudgement, "outcome", slow)
    reviewer = Reviewer(state, Rules(), Log(), state)
    body = {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": request("DELETE", old=carrying),
    }
    reply, _ = asyncio.run(reviewer.respond(json.dumps(body).encode(), TimeLimits.of(5.0)))
    assert not json.loads(reply)["response"]["allowed"]
