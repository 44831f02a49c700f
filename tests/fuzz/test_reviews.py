from __future__ import annotations

import asyncio

from tests.fuzz.reviews import fuzz


def test_whatever_becomes_of_a_review_it_is_answered_and_the_next_one_too() -> None:
    found = asyncio.run(fuzz(3_000, seed=3))
    assert not found.failed, "\n".join(found.failures)
    answered = {status for _, status in found.answers}
    assert {200, 400, 422} <= answered, "the mutations do not reach far enough to mean anything"
