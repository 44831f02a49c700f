"""Lists page by page."""

from __future__ import annotations

import json

from msgspec import Raw

from app.cluster.client.connection import ApiRequest
from app.cluster.client.listing import list_kept
from app.deadline import Deadline
from tests.cluster.fake_api import THINGS, FakeStream, page, thing


class _Paged:
    """Answers with one page after another, and writes down what happens."""

    def __init__(self, *pages: bytes) -> None:
        self._pages = list(pages)
        self.happened: list[str] = []

    def fetch(self, request: ApiRequest, deadline: Deadline) -> bytes:  # noqa: ARG002 - the interface
        self.happened.append(f"asked from {request.query.get('continue', 'the start')}")
        return self._pages.pop(0)

    def watch(self, request: ApiRequest, seconds: float) -> FakeStream:
        """Nobody watches here."""
        raise NotImplementedError

    def keep(self, items: tuple[Raw, ...]) -> list[str]:
        names = [json.loads(bytes(item))["metadata"]["name"] for item in items]
        self.happened.append(f"kept {', '.join(names)}")
        return names


def test_what_is_kept_of_a_page_is_made_before_the_next_one_is_asked_for() -> None:
    api = _Paged(page(thing("a", "1"), thing("b", "1"), resume="next"), page(thing("c", "1"), version="7"))
    listed = list_kept(api, THINGS, Deadline.after(10), api.keep)
    assert api.happened == ["asked from the start", "kept a, b", "asked from next", "kept c"]
    assert (listed.items, listed.resource_version) == (("a", "b", "c"), "7")
