"""Lists as the API server sends them, page by page; their items are left to the parser of their kind."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from msgspec import Raw

from app.cluster.client.connection import Api, ApiRequest, AsyncApi
from app.cluster.client.errors import HttpRefusal, Purpose, nonsense
from app.deadline import Deadline
from app.model.kinds import Kind
from app.wire.errors import UnusableObject
from app.wire.objects.lists import read_list

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
class Listed:
    """All items of a collection at one moment, which ``resource_version`` names for a watch to go on from."""

    items: tuple[Raw, ...]
    resource_version: str


def list_all(api: Api, collection: Collection, deadline: Deadline) -> Listed:
    """Read the whole collection as it is now: without a resourceVersion the answer is never a stale cache's.

    Raises ``StateUnreadable``. A list that takes longer than the API server keeps its pages is begun again.
    """
    while True:
        reading = pages_of(collection)
        try:
            request = next(reading)
            while True:
                request = reading.send(api.fetch(request, deadline))
        except StopIteration as end:
            found: Listed = end.value
            return found
        except HttpRefusal as error:
            if error.status != HTTPStatus.GONE:
                raise


async def list_all_async(api: AsyncApi, collection: Collection, deadline: Deadline) -> Listed:
    """Read like ``list_all``, on the event loop."""
    while True:
        reading = pages_of(collection)
        try:
            request = next(reading)
            while True:
                request = reading.send(await api.fetch(request, deadline))
        except StopIteration as end:
            found: Listed = end.value
            return found
        except HttpRefusal as error:
            if error.status != HTTPStatus.GONE:
                raise


def pages_of(collection: Collection) -> Generator[ApiRequest, bytes, Listed]:
    """Yield the request of each page, take its answer; return the whole list. Raises ``StateUnreadable``."""
    items: list[Raw] = []
    query = {**collection.selectors, "limit": str(collection.page)}
    while True:
        body = yield ApiRequest(collection.purpose("list"), collection.path, query)
        try:
            page = read_list(body)
        except UnusableObject as error:
            raise nonsense(collection.purpose("list"), str(error)) from error
        items += page.items
        if not page.continue_token:
            return Listed(tuple(items), page.resource_version)
        query = {**query, "continue": page.continue_token}
