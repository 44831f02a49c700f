from __future__ import annotations

import asyncio

import pytest

from app.errors import StateUnreadable
from tests.cluster.running import running


class State:
    """Becomes ready when told to; knows whether it runs."""

    def __init__(self, reason: str | None = None, error: Exception | None = None) -> None:
        self.reason = reason
        self.is_running = False
        self._error = error

    def ready(self) -> str | None:
        return self.reason if self.is_running else "not started"

    async def run(self) -> None:
        if self._error is not None:
            raise self._error
        self.is_running = True
        try:
            await asyncio.Event().wait()
        finally:
            self.is_running = False


def test_a_state_runs_while_the_block_does_and_ends_with_it() -> None:
    state = State()

    async def scenario() -> None:
        async with running(state, timeout=5):
            assert state.is_running
        assert not state.is_running

    asyncio.run(scenario())


def test_a_state_that_does_not_become_ready_in_time_says_why_and_is_stopped() -> None:
    state = State("the namespaces were not read")

    async def scenario() -> None:
        with pytest.raises(StateUnreadable, match="the namespaces were not read"):
            async with running(state, timeout=0.05):
                pytest.fail("the block must not run")
        assert not state.is_running

    asyncio.run(scenario())


def test_a_state_that_ends_by_itself_with_an_error_passes_it_on() -> None:
    async def scenario() -> None:
        async with running(State(error=OSError("no thread to be had")), timeout=5):
            pytest.fail("the block must not run")

    with pytest.raises(OSError, match="no thread to be had"):
        asyncio.run(scenario())
