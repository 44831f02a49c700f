"""What was read from the same bytes before: GitOps tools apply unchanged objects again and again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sized
from functools import lru_cache, wraps
from threading import Lock
from typing import Concatenate, Generic, ParamSpec, TypeVar

T = TypeVar("T")
Text = TypeVar("Text", bound=Sized)
Rest = ParamSpec("Rest")

LONGEST_KEPT = 1024
"""Longer texts are read anew each time, so that a bound on their number is one on their bytes too."""

Key = tuple[bytes, str]
"""The text that was read, and what else the reading depended on."""


class Memo(Generic[T]):
    """Values by the bytes that they were read from, bounded in number and bytes, least used first out."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[Key, T] = OrderedDict()
        self._lock = Lock()

    def get(self, key: Key) -> T | None:
        """Return what was kept for ``key``, or None."""
        with self._lock:
            value = self._kept.get(key)
            if value is not None:
                self._kept.move_to_end(key)
            return value

    def put(self, key: Key, value: T) -> T:
        """Keep ``value``, unless it alone would fill the memory; return it."""
        size = sum(map(len, key))
        if size > self._most_bytes:
            return value
        with self._lock:
            if key not in self._kept:
                self._bytes += size
            self._kept[key] = value
            while len(self._kept) > self._most or self._bytes > self._most_bytes:
                gone, _ = self._kept.popitem(last=False)
                self._bytes -= sum(map(len, gone))
        return value

    def __len__(self) -> int:
        return len(self._kept)


def kept_if_short(
    most: int,
) -> Callable[[Callable[Concatenate[Text, Rest], T]], Callable[Concatenate[Text, Rest], T]]:
    """Return a decorator that remembers the results of the last ``most`` calls, by all arguments.

    Only for calls whose first argument, a text, is at most ``LONGEST_KEPT`` long.
    """

    def decorate(function: Callable[Concatenate[Text, Rest], T]) -> Callable[Concatenate[Text, Rest], T]:
        kept = lru_cache(maxsize=most)(function)

        @wraps(function)
        def read(text: Text, /, *args: Rest.args, **kwargs: Rest.kwargs) -> T:
            return (kept if len(text) <= LONGEST_KEPT else function)(text, *args, **kwargs)  # type: ignore[arg-type]

        return read

    return decorate
