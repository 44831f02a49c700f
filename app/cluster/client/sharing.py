"""One read for all who wait for the same: whoever asks gets what was read after he asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from app.cluster.client.errors import overdue
from app.deadline import Deadline

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_GATHERING_SECONDS = 0.05
"""A read that is under way began too early for who asks now: he waits for its end, but no longer than so."""


class _Read(Generic[V]):
    """A read that those who wait share; ``deadline`` is the latest of theirs."""

    __slots__ = ("deadline", "task", "waiting")

    def __init__(self, deadline: Deadline) -> None:
        self.deadline = deadline
        self.task: asyncio.Task[V]
        self.waiting = 0


class SharedReads(Generic[K, V]):
    """Reads by key, on one event loop.

    However many ask, there are few reads; and nobody waits much longer than for a read of his own.
    """

    def __init__(self, read: Callable[[K, Deadline], Awaitable[V]], words: Callable[[K], str]) -> None:
        """``read`` reads what a key names, or raises ``StateUnreadable``; ``words`` say what that is."""
        self._read = read
        self._words = words
        self._next: dict[K, _Read[V]] = {}
        self._under_way: dict[K, asyncio.Task[V]] = {}

    async def get(self, key: K, deadline: Deadline) -> V:
        """Return what was read after this call. Raises ``StateUnreadable``, at the deadline if need be."""
        shared = self._next.get(key)
        if shared is None:
            shared = self._next[key] = _Read(deadline)
            shared.task = asyncio.create_task(self._begun(key, shared))
        elif shared.deadline.ends < deadline.ends:
            shared.deadline = deadline
        shared.waiting += 1
        try:
            async with asyncio.timeout(deadline.left):
                return await asyncio.shield(shared.task)
        except TimeoutError as error:
            raise overdue(self._words(key), deadline.seconds) from error
        finally:
            shared.waiting -= 1
            if not shared.waiting:
                self._close(key, shared)
                shared.task.cancel()

    async def _begun(self, key: K, shared: _Read[V]) -> V:
        """Read, for all who asked until it begins."""
        earlier = self._under_way.get(key)
        if earlier is not None:
            await asyncio.wait({earlier}, timeout=_GATHERING_SECONDS)
        self._close(key, shared)
        self._under_way[key] = shared.task
        try:
            return await self._read(key, shared.deadline)
        finally:
            if self._under_way.get(key) is shared.task:
                del self._under_way[key]

    def _close(self, key: K, shared: _Read[V]) -> None:
        """Let nobody join any more."""
        if self._next.get(key) is shared:
            del self._next[key]
