"""Judgements that take long are made aside, so that the reviews behind them are answered meanwhile.

Nearly every judgement takes less than a millisecond, and handing it to a thread would cost more than that.
One that is built to be hard may take all of its budget: on the event loop it would hold up every other review
for as long, and a few of them at once would outlast the time that the API server waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from app.deadline import Deadline
from app.engine.budget import Budget, TooComplexError

T = TypeVar("T")

_AT_ONCE_SECONDS = 0.02
"""How long a judgement may hold up the event loop; what does not suffice begins anew, aside."""
_THREADS = 1
"""More of them would only take turns: the interpreter does one thing at a time."""


class Offload:
    """Makes judgements, the long ones in a thread of their own."""

    def __init__(self, at_once_seconds: float = _AT_ONCE_SECONDS) -> None:
        self._at_once_seconds = at_once_seconds
        self._aside = ThreadPoolExecutor(_THREADS, thread_name_prefix="long-judgement")

    async def ask(self, question: Callable[[Budget], T], deadline: Deadline) -> tuple[T, bool]:
        """Return the answer to ``question``, and whether others were answered meanwhile.

        It must be pure, as it may be asked twice. Raises ``TooComplexError`` past the deadline, which counts
        the time until its turn comes, too.
        """
        at_once = deadline.at_most(self._at_once_seconds)
        try:
            answer = question(at_once)
        except TooComplexError:
            if deadline.exhausted():
                raise
        else:
            # What ran out of time may be known without its fix: that is worth a second try.
            if not at_once.exhausted() or deadline.exhausted():
                return answer, False
        return await self.ask_aside(question, deadline), True

    async def ask_aside(self, question: Callable[[Budget], T], deadline: Deadline) -> T:
        """Return the answer to ``question``, which never is to hold up others. Raises ``TooComplexError``."""
        return await asyncio.get_running_loop().run_in_executor(self._aside, question, deadline)
