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
    """Values by the bytes that they were read from, bounded in number and bytes, oldest first out.

    A value is kept when it is put for the second time. Most texts come only once, and keeping a value costs
    more than making it: what is kept has to be let go again, and the collector has to look at it.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[Key, T] = OrderedDict()
        self._seen: set[int] = set()
        self._seen_before: set[int] = set()
        self._lock = Lock()
        self.get = self._kept.get
        """Return what was kept for a key, or None."""

    def put(self, key: Key, value: T) -> T:
        """Keep ``value`` if its key was put before, unless it alone would fill the memory; return it."""
        with self._lock:
            if self._is_known(hash(key)):
                self._keep(key, value)
        return value

    def _is_known(self, seen: int) -> bool:
        """Tell whether a key of that hash was put lately, and remember that it was."""
        if seen in self._seen or seen in self._seen_before:
            return True
        if len(self._seen) >= self._most:
            self._seen_before, self._seen = self._seen, set()
        self._seen.add(seen)
        return False

    def _keep(self, key: Key, value: T) -> None:
        size = sum(map(len, key))
        if size > self._most_bytes:
            return
        if key not in self._kept:
            self._bytes += size
        self._kept[key] = value
        while len(self._kept) > self._most or self._bytes > self._most_bytes:
            oldest, _ = self._kept.popitem(last=False)
            self._bytes -= sum(map(len, oldest))

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
