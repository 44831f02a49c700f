"""What is easy is answered at once, what is hard by the worker: one question of a namespace or user."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import TypeVar

import pytest

from app.admission.offload import BusyError, Offload, UnansweredError
from app.admission.reviewer import Reviewer
from app.admission.rules import Doubt, Mode, Rules
from app.deadline import REVIEW_TIME, AtOnce, Deadline, ReviewTime, TimeLimits
from app.engine.budget import Budget, TooComplexError
from app.engine.policy import Policy
from app.errors import WorkerAway
from app.wire.networkpolicy.parse import parse_stored
from app.wire.networkpolicy.rules import LONG
from tests.admission.world import (
    DENY_ALL,
    NS,
    FakeState,
    InProcess,
    Log,
    Object,
    cluster,
    guarded,
    manifest,
    parsed,
    rendered,
    request,
)

T = TypeVar("T")
HOUR = Deadline.after(3600)


@dataclass
class SlowWorker:
    """Answers a question when it is let go on; ``ended`` says that it ends over every question."""

    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0
    ended: bool = False

    async def ask(self, question: Callable[[Budget], T], deadline: Deadline) -> T:
        """Wait, and answer."""
        self.asked += 1
        if self.ended:
            raise WorkerAway("it ended over this question")
        await self.go_on.wait()
        if deadline.exhausted():
            raise TooComplexError
        return question(deadline)


@pytest.fixture(autouse=True)
def _time() -> Iterator[None]:
    """An hour for each question that is asked outside a review."""
    token = REVIEW_TIME.set(ReviewTime(TimeLimits.of(3600)))
    yield
    REVIEW_TIME.reset(token)


def hard(budget: Budget) -> str:
    """A question that takes more than may be spent at once."""
    if isinstance(budget, AtOnce) or budget.exhausted():
        raise TooComplexError
    return "answered aside"


def easy(budget: Budget) -> str:
    """A question that takes no time."""
    return "easy" if not budget.exhausted() else ""


async def asked_by(offload: Offload, namespace: str, user: str, question: Callable[[Budget], str]) -> str:
    """Return the answer to the question of one review."""
    with offload.review(namespace, user):
        answer, _ = await offload.ask(question, HOUR)
    return answer


def test_what_is_answered_at_once_needs_no_worker() -> None:
    assert asyncio.run(Offload().ask(easy, HOUR)) == ("easy", False)


def test_what_takes_long_is_answered_by_the_worker() -> None:
    assert asyncio.run(Offload(InProcess()).ask(hard, HOUR)) == ("answered aside", True)


def half(budget: Budget) -> str:
    """A question whose answer is only whole where there is time."""
    if isinstance(budget, AtOnce):
        while not budget.exhausted():
            pass
        return "half"
    return "whole"


def test_what_is_only_half_known_when_its_time_is_up_is_asked_again_aside() -> None:
    assert asyncio.run(Offload(InProcess()).ask(half, HOUR)) == ("whole", True)


def test_half_an_answer_is_better_than_none() -> None:
    assert asyncio.run(Offload().ask(half, HOUR))[0] == "half"


def test_a_question_without_time_left_is_too_complex_and_never_handed_over() -> None:
    worker = SlowWorker()
    with pytest.raises(TooComplexError):
        asyncio.run(Offload(worker).ask(hard, Deadline.after(0)))
    assert worker.asked == 0


def test_what_the_worker_is_not_worth_is_never_handed_over() -> None:
    worker = SlowWorker()
    assert Offload(worker).at_once(easy, HOUR) == "easy"
    with pytest.raises(TooComplexError):
        Offload(worker).at_once(hard, HOUR)
    assert worker.asked == 0


def test_without_a_worker_a_hard_question_is_too_complex() -> None:
    with pytest.raises(UnansweredError, match="there is none"):
        asyncio.run(Offload().ask(hard, HOUR))


@pytest.mark.parametrize(
    ("namespace", "user", "whose"),
    [("one", "somebody else", "this namespace"), ("another", "ann", "this user")],
)
def test_the_next_hard_question_of_a_namespace_or_user_is_denied_while_one_is_open(
    namespace: str, user: str, whose: str
) -> None:
    async def scenario() -> None:
        worker, counted = SlowWorker(), Counter[str]()
        offload = Offload(worker, lambda outcome: counted.update((outcome,)))
        first = asyncio.create_task(asked_by(offload, "one", "ann", hard))
        await asyncio.sleep(0)
        with pytest.raises(BusyError, match=whose):
            await asked_by(offload, namespace, user, hard)
        assert await asked_by(offload, namespace, user, easy) == "easy"
        worker.go_on.set()
        assert await first == "answered aside"
        assert await asked_by(offload, namespace, user, hard) == "answered aside"
        assert counted == {"busy": 1, "answered": 2}

    asyncio.run(scenario())


def test_hard_questions_of_others_wait_for_their_turn() -> None:
    async def scenario() -> None:
        worker = SlowWorker()
        offload = Offload(worker)
        first = asyncio.create_task(asked_by(offload, "one", "ann", hard))
        second = asyncio.create_task(asked_by(offload, "two", "bob", hard))
        await asyncio.sleep(0)
        worker.go_on.set()
        assert [await first, await second] == ["answered aside"] * 2

    asyncio.run(scenario())


def test_waiting_for_ones_turn_is_no_computing() -> None:
    async def scenario() -> None:
        worker = SlowWorker()
        offload = Offload(worker)
        first = asyncio.create_task(asked_by(offload, "one", "ann", hard))
        await asyncio.sleep(0)
        time = ReviewTime(TimeLimits(computing=30, reading=3600, answer=3600))
        REVIEW_TIME.set(time)
        deadline = Deadline(30, time.computing.ends)
        second = asyncio.create_task(offload.ask(hard, deadline))
        await asyncio.sleep(0.05)
        worker.go_on.set()
        assert await first == (await second)[0] == "answered aside"
        assert time.computing.ends > deadline.ends

    asyncio.run(scenario())


def test_who_is_not_served_in_time_is_told_and_leaves_the_line() -> None:
    async def scenario() -> None:
        worker = SlowWorker()
        offload = Offload(worker)
        first = asyncio.create_task(asked_by(offload, "one", "ann", hard))
        await asyncio.sleep(0)
        REVIEW_TIME.set(ReviewTime(TimeLimits.of(0.05)))
        with pytest.raises(TooComplexError):
            await asked_by(offload, "two", "bob", hard)
        worker.go_on.set()
        assert await first == "answered aside"
        assert worker.asked == 1

    asyncio.run(scenario())


def test_a_review_may_ask_several_hard_questions_and_none_comes_between() -> None:
    async def scenario() -> None:
        worker = SlowWorker()
        worker.go_on.set()
        offload = Offload(worker)
        with offload.review("one", "ann"):
            await offload.ask(hard, HOUR)
            other = asyncio.create_task(asked_by(offload, "one", "bob", hard))
            with pytest.raises(BusyError):
                await other
            assert (await offload.ask(hard, HOUR))[0] == "answered aside"

    asyncio.run(scenario())


def test_a_review_that_fails_keeps_nobody_waiting() -> None:
    async def scenario() -> None:
        worker = SlowWorker(ended=True)
        offload = Offload(worker)
        with pytest.raises(UnansweredError):
            await asked_by(offload, "one", "ann", hard)
        worker.ended = False
        worker.go_on.set()
        assert await asked_by(offload, "one", "ann", hard) == "answered aside"

    asyncio.run(scenario())


# -- reviews -------------------------------------------------------------------------------------------------


def _long_change(name: str) -> Object:
    """Return a policy that is long: it takes the worker to look at it."""
    pods = [{"podSelector": {"matchLabels": {"app": f"app-{number:04}"}}} for number in range(LONG // 40)]
    return manifest(name, {"policyTypes": ["Ingress"], "ingress": [{"from": pods}]})


def _stored(obj: Object) -> Policy:
    """Return a policy as it is read from an API server."""
    policy = parse_stored(json.dumps(obj, separators=(",", ":")).encode()).policy
    assert policy is not None
    return policy


def _body(asked: Object) -> bytes:
    review = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": asked}
    return json.dumps(review).encode()


async def _response(reviewer: Reviewer, asked: Object) -> Object:
    reply, _ = await reviewer.respond(_body(asked), TimeLimits.of(30.0))
    response: Object = json.loads(reply)["response"]
    return response


def test_sixty_hard_reviews_of_one_tenant_do_not_come_before_an_honest_one() -> None:
    """F12: all but one are told to try again, and that one is still being worked on."""

    async def scenario() -> None:
        worker, state = SlowWorker(), FakeState(guarded())
        reviewer = Reviewer(state, Rules(), Log(), state, offload=Offload(worker))
        answered: list[str] = []

        async def reviewed(name: str, new: Object) -> Object:
            response = await _response(reviewer, request("CREATE", new, name=name))
            answered.append(name)
            return response

        names = [f"hard-{number}" for number in range(60)]
        async with AsyncExitStack() as stack:
            group = await stack.enter_async_context(asyncio.TaskGroup())
            tasks = [group.create_task(reviewed(name, _long_change(name))) for name in names]
            honest = group.create_task(reviewed("honest", manifest("honest", {"policyTypes": ["Ingress"]})))
            assert (await honest)["allowed"]
            open_questions = [name for name in names if name not in answered]
            assert len(open_questions) == worker.asked == 1
            worker.go_on.set()
        refused = [task.result() for task in tasks if not task.result()["allowed"]]
        assert len(refused) == 59
        for response in refused:
            message = response["status"]["message"]
            assert "busy with another hard question of this namespace, try again" in message

    asyncio.run(scenario())


@pytest.mark.parametrize("doubt", list(Doubt))
def test_busy_is_no_answer_of_its_own_kind_that_too_complex_could_let_through(doubt: Doubt) -> None:
    async def scenario() -> Object:
        state, worker = FakeState(guarded()), SlowWorker()
        reviewer = Reviewer(state, Rules(on_too_complex=doubt), Log(), state, offload=Offload(worker))
        first = asyncio.create_task(_response(reviewer, request("CREATE", _long_change("first"))))
        await asyncio.sleep(0)
        second = await _response(reviewer, request("CREATE", _long_change("second")))
        worker.go_on.set()
        await first
        return second

    response = asyncio.run(scenario())
    assert not response["allowed"]
    assert response["auditAnnotations"]["verdict"] == "busy"


@pytest.mark.parametrize("doubt", list(Doubt))
def test_a_worker_that_ends_over_a_question_leaves_it_to_on_too_complex(doubt: Doubt) -> None:
    async def scenario() -> Object:
        state = FakeState(guarded())
        offload = Offload(SlowWorker(ended=True))
        reviewer = Reviewer(state, Rules(on_too_complex=doubt), Log(), state, offload=offload)
        return await _response(reviewer, request("CREATE", _long_change("long")))

    response = asyncio.run(scenario())
    assert response["allowed"] is (doubt is Doubt.WARN)
    told = " ".join(response.get("warnings", [])) or response["status"]["message"]
    assert "it ended over this question" in told


def test_in_the_modes_that_refuse_nothing_busy_refuses_nothing() -> None:
    async def scenario() -> Object:
        state, worker = FakeState(guarded()), SlowWorker()
        reviewer = Reviewer(state, Rules(mode=Mode.WARN), Log(), state, offload=Offload(worker))
        first = asyncio.create_task(_response(reviewer, request("CREATE", _long_change("first"))))
        await asyncio.sleep(0)
        second = await _response(reviewer, request("CREATE", _long_change("second")))
        worker.go_on.set()
        await first
        return second

    assert asyncio.run(scenario())["allowed"]


def test_a_judgement_made_aside_is_made_anew_where_the_state_moved_on_meanwhile() -> None:
    """Deleting either of two policies that carry a flow is harmless; one goes while the other is judged."""
    carrying = rendered(guarded().policies[NS][-1])
    twin = {**carrying, "metadata": {**carrying["metadata"], "name": "twin"}}
    long = _stored(_long_change("long"))
    isolating, one, two = parsed(DENY_ALL), parsed(carrying), parsed(twin)
    operator = guarded().policies[NS][0]
    state = FakeState(cluster(operator, isolating, one, two, long))

    class Meanwhile(InProcess):
        async def ask(self, question: Callable[[Budget], T], deadline: Deadline) -> T:
            answer = await super().ask(question, deadline)
            left = operator, isolating, one, long
            state.now = replace(state.now, policies={NS: left})
            return answer

    reviewer = Reviewer(state, Rules(), Log(), state, offload=Offload(Meanwhile()))
    response = asyncio.run(_response(reviewer, request("DELETE", old=carrying)))
    assert not response["allowed"]
