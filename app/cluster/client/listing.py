"""Lists as the API server sends them, page by page; their items are left to the parser of their kind."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Generic, TypeVar

from msgspec import Raw

from app.cluster.client.connection import Api, ApiRequest, AsyncApi
from app.cluster.client.errors import HttpRefusal, Purpose, nonsense
from app.deadline import Deadline
from app.model.kinds import Kind
from app.wire.errors import UnusableObject
from app.wire.objects.lists import read_list

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

PAGE = 500
"""Objects per page: what kubectl takes too."""


@dataclass(frozen=True, slots=True)
class Collection:
    """A list: its kind, its namespace ("" for all), selectors, and how many to ask for at a time."""

    words: str
    kind: Kind
    namespace: str = ""
    selectors: Mapping[str, str] = field(default_factory=dict)
    page: int = PAGE

    @property
    def path(self) -> str:
        """Where the API server keeps it."""
        return self.kind.path(self.namespace)

    def purpose(self, verb: str) -> Purpose:
        """Return what a request with ``verb`` is for."""
        return Purpose(self.words, verb, self.kind.group, self.kind.resource, self.namespace)


@dataclass(frozen=True, slots=True)
class Listed(Generic[T_co]):
    """All items of a collection at one moment, which ``resource_version`` names for a watch to go on from."""

    items: tuple[T_co, ...]
    resource_version: str


Keep = Callable[[tuple[Raw, ...]], Iterable[T]]
"""Makes of each page what is kept of it: the texts of a large list are never in memory all at once."""


def _whole(items: tuple[Raw, ...]) -> Iterable[Raw]:
    return items


def list_all(api: Api, collection: Collection, deadline: Deadline) -> Listed[Raw]:
    """Read the whole collection as it is now: without a resourceVersion the answer is never a stale cache's.

    Raises ``StateUnreadable``. A list that takes longer than the API server keeps its pages is begun again.
    """
    return list_kept(api, collection, deadline, _whole)


def list_kept(api: Api, collection: Collection, deadline: Deadline, keep: Keep[T]) -> Listed[T]:
    """Read like ``list_all``, and keep of each page what ``keep`` makes of it."""
    reading = _reading(collection, keep)
    try:
        request = next(reading)
        while True:
            try:
                body = api.fetch(request, deadline)
            except HttpRefusal as error:
                request = reading.throw(error)
            else:
                request = reading.send(body)
    except StopIteration as end:
        listed: Listed[T] = end.value
        return listed


async def list_all_async(api: AsyncApi, collection: Collection, deadline: Deadline) -> Listed[Raw]:
    """Read like ``list_all``, on the event loop."""
    reading = _reading(collection, _whole)
    try:
        request = next(reading)
        while True:
            try:
                body = await api.fetch(request, deadline)
            except HttpRefusal as error:
                request = reading.throw(error)
            else:
                request = reading.send(body)
    except StopIteration as end:
        listed: Listed[Raw] = end.value
        return listed


def _reading(collection: Collection, keep: Keep[T]) -> Generator[ApiRequest, bytes, Listed[T]]:
    """Yield the request of each page, take its answer; return the whole list. Raises ``StateUnreadable``."""
    while True:
        try:
            return (yield from _pages(collection, keep))
        except HttpRefusal as error:
            if error.status != HTTPStatus.GONE:
                raise


def _pages(collection: Collection, keep: Keep[T]) -> Generator[ApiRequest, bytes, Listed[T]]:
    kept: list[T] = []
    query = {**collection.selectors, "limit": str(collection.page)}
    while True:
        body = yield ApiRequest(collection.purpose("list"), collection.path, query)
        try:
            page = read_list(body)
        except UnusableObject as error:
            raise nonsense(collection.purpose("list"), str(error)) from error
        kept += keep(page.items)
        if not page.continue_token:
            return Listed(tuple(kept), page.resource_version)
        query = {**query, "continue": page.continue_token}
