"""Reads of which a refused one costs only itself: what is hidden is noted, and the rest goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TypeVar

from msgspec import Raw

from app.cluster.client.connection import Api, ApiRequest
from app.cluster.client.errors import HttpRefusal, Purpose
from app.cluster.client.listing import Collection, list_all
from app.deadline import Deadline
from app.errors import StateUnreadable
from app.model.kinds import Reference
from app.model.survey import Unread
from app.wire.errors import UnusableObject

T = TypeVar("T")

_GREETING_SECONDS = 3.0
_SECONDS = 30.0


@dataclass(slots=True)
class BestEffortReader:
    """Reads through one connection; ``unread`` and ``hidden`` tell what it was refused. Safe for threads."""

    api: Api
    unread: list[Unread] = field(default_factory=list)
    hidden: set[str] = field(default_factory=set)

    def greet(self) -> None:
        """Find out in a moment whether anybody answers, rather than after the time-out of a long list.

        Raises ``StateUnreadable``.
        """
        purpose = Purpose("the cluster", "get", "", "version")
        try:
            self.api.fetch(ApiRequest(purpose, "/version"), Deadline.after(_GREETING_SECONDS))
        except HttpRefusal as error:
            if error.status == HTTPStatus.UNAUTHORIZED:  # every other refusal shows that somebody is there
                raise

    def needed(self, collection: Collection, parse: Callable[[Raw], T]) -> list[T]:
        """Return all items. Raises ``StateUnreadable``."""
        listed = list_all(self.api, collection, Deadline.after(_SECONDS))
        return [parse(item) for item in listed.items]

    def list(self, collection: Collection, parse: Callable[[Raw], T]) -> tuple[T, ...]:
        """Return all items that can be read; nothing, and a note, where the list is refused."""
        try:
            listed = list_all(self.api, collection, Deadline.after(_SECONDS))
        except StateUnreadable as error:
            if not _is_absent(error):
                self.note(error, collection.kind.resource)
            return ()
        return tuple(_parsed(listed.items, parse))

    def get(self, reference: Reference, parse: Callable[[bytes], T]) -> T | None:
        """Return one object; None where there is none, and with a note where it is refused."""
        purpose = Purpose.of(reference, "get")
        try:
            return parse(self.api.fetch(ApiRequest(purpose, reference.path), Deadline.after(_SECONDS)))
        except StateUnreadable as error:
            if not _is_absent(error):
                self.note(error, reference.kind.resource)
        except UnusableObject:
            return None
        return None

    def note(self, error: StateUnreadable, resource: str) -> None:
        """Remember that something could not be read, and which resource is hidden by that."""
        self.unread.append(Unread(error.what, error.why, error.how))
        self.hidden.add(resource)


def _is_absent(error: StateUnreadable) -> bool:
    """Tell whether there is simply no such object, or no such kind, in this cluster."""
    return isinstance(error, HttpRefusal) and error.status == HTTPStatus.NOT_FOUND


def _parsed(items: Iterable[Raw], parse: Callable[[Raw], T]) -> Iterable[T]:
    for item in items:
        with suppress(UnusableObject):  # no API server sends one; nothing can be said about it
            yield parse(item)
