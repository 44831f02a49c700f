"""Coroutines driven by hand over simulated time: deterministic, and much faster than an event loop."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from heapq import heappop, heappush
from typing import Any

Done = Callable[[Any, BaseException | None], None]


class Call:
    """Something that takes effect after some time, and is answered after some more."""

    __slots__ = ("answered_after", "effect", "effect_after", "failure")

    def __init__(
        self,
        effect: Callable[[], Any] | None,
        delays: tuple[float, float],
        failure: BaseException | None = None,
    ) -> None:
        self.effect = effect
        self.effect_after, self.answered_after = delays
        self.failure = failure

    def __await__(self) -> Generator[Call, Any, Any]:
        return (yield self)


class SimulatedFuture:
    """A value to come."""

    __slots__ = ("_done", "_result", "_scheduler", "waiting")

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._done = False
        self._result = False
        self.waiting: Task | None = None

    def set_result(self, result: bool, /) -> None:  # noqa: FBT001 - the signature of asyncio's
        self._done, self._result = True, result
        if self.waiting is not None:
            task, self.waiting = self.waiting, None
            self._scheduler.at(0.0, lambda: task.step(None))

    def done(self) -> bool:
        return self._done

    def __await__(self) -> Generator[SimulatedFuture, Any, bool]:
        if not self._done:
            yield self
        return self._result


class Task:
    """One coroutine under way; ``cancel`` is what a crash does to it."""

    __slots__ = ("_coroutine", "_done", "_scheduler", "is_over", "label")

    def __init__(
        self, scheduler: Scheduler, coroutine: Coroutine[Any, Any, Any], done: Done, label: object = None
    ) -> None:
        self._scheduler = scheduler
        self._coroutine = coroutine
        self._done = done
        self.is_over = False
        self.label: Any = label

    def cancel(self) -> None:
        if not self.is_over:
            self.is_over = True
            self._coroutine.close()

    def step(self, value: object, error: BaseException | None = None) -> None:
        """Go on until the next call."""
        if self.is_over:
            return
        scheduler = self._scheduler
        scheduler.current = self
        try:
            waited = self._coroutine.send(value) if error is None else self._coroutine.throw(error)
        except StopIteration as stop:
            self.is_over = True
            self._done(stop.value, None)
        except Exception as failure:  # noqa: BLE001 - handed on
            self.is_over = True
            self._done(None, failure)
        else:
            self._wait(waited)
        finally:
            scheduler.current = None

    def _wait(self, waited: Call | SimulatedFuture) -> None:
        if isinstance(waited, SimulatedFuture):
            waited.waiting = self
            return
        scheduler = self._scheduler

        def take_effect() -> None:
            # A crash does not call back what is on its way.
            scheduler.current = self
            result = None if waited.effect is None else waited.effect()
            scheduler.current = None
            scheduler.at(waited.answered_after, lambda: self.step(result, waited.failure))

        scheduler.at(waited.effect_after, take_effect)


class Scheduler:
    """Events in the order of their time."""

    def __init__(self) -> None:
        self.now = 0.0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self.current: Task | None = None

    @property
    def label(self) -> Any:  # noqa: ANN401 - whatever the task's maker gave it
        """What the task under way is labelled with, if any is."""
        return None if self.current is None else self.current.label

    def at(self, delay: float, act: Callable[[], None]) -> None:
        """Have something done after ``delay``."""
        self._count += 1
        heappush(self._queue, (self.now + delay, self._count, act))

    def step(self) -> bool:
        """Do what comes next; False where there is nothing."""
        if not self._queue:
            return False
        self.now, _, act = heappop(self._queue)
        act()
        return True
