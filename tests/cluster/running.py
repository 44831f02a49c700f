"""A state that is kept up to date while somebody uses it: for commands, which start it and soon end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Protocol

from app.errors import StateUnreadable

_LOOK_SECONDS = 0.02


class Runnable(Protocol):
    """What ``DirectoryState`` and ``LiveState`` have in common here."""

    def ready(self) -> str | None:
        """Return None when the state can be read, else why not."""

    async def run(self) -> None:
        """Keep it up to date until cancelled."""


@asynccontextmanager
async def running(state: Runnable, *, timeout: float) -> AsyncIterator[None]:  # noqa: ASYNC109 - the reason is told
    """Run ``state`` in the background from when it is ready until the block ends.

    Raises ``StateUnreadable``, with the reason, where it is not ready within ``timeout`` seconds.
    """
    task = asyncio.create_task(state.run())
    try:
        await _until_ready(state, task, timeout)
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _until_ready(state: Runnable, task: asyncio.Task[None], seconds: float) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while (reason := state.ready()) is not None:
        if task.done():
            await task
        if loop.time() >= deadline:
            raise StateUnreadable("the state", f"not ready after {seconds:.0f} s: {reason}")
        await asyncio.sleep(_LOOK_SECONDS)
