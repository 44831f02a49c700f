"""The endpoint alone: what no client on a real connection can bring about at will."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, MutableMapping
from typing import Any

import pytest

from app.deadline import TimeLimits
from app.serving.bodies import BodyReader
from app.serving.endpoint import RequestLimits, Validate
from app.serving.reviews import Reply


class Recorded:
    """Remembers what it was given; waits until told to go on where asked to."""

    def __init__(self, gate: asyncio.Event | None = None) -> None:
        self.bodies: list[bytes] = []
        self.limits: list[TimeLimits] = []
        self.peers: list[str] = []
        self._gate = gate

    async def review(self, body: bytes, limits: TimeLimits, peer: str) -> Reply:
        self.bodies.append(body)
        self.limits.append(limits)
        self.peers.append(peer)
        if self._gate is not None:
            await self._gate.wait()
        return Reply(200, b"{}")


class Client:
    """One request, in the pieces given, each on time or late."""

    def __init__(self, *pieces: bytes, ends: bool = True, delay: float = 0) -> None:
        self.sent: list[MutableMapping[str, Any]] = []
        self._ends = ends
        self._delay = delay
        self._messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
        if self._messages and ends:
            self._messages[-1]["more_body"] = False

    async def receive(self) -> dict[str, Any]:
        if self._delay:
            await asyncio.sleep(self._delay)
        if self._messages:
            return self._messages.pop(0)
        if self._ends:
            return {"type": "http.disconnect"}
        await asyncio.Event().wait()
        raise AssertionError

    async def send(self, message: MutableMapping[str, Any]) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def answer(self) -> dict[str, str]:
        return dict(json.loads(self.sent[1]["body"]))


async def _ask(
    endpoint: Validate,
    client: Client,
    headers: Iterable[tuple[bytes, bytes]] | None = None,
    peer: tuple[str, int] | None = ("10.20.0.10", 40000),
) -> Client:
    given = [(b"content-type", b"application/json")] if headers is None else list(headers)
    scope = {"headers": given, "query_string": b"timeout=3s", "client": peer}
    await endpoint(scope, client.receive, client.send)
    return client


@pytest.mark.parametrize(("peer", "told"), [(("10.20.0.10", 40000), "10.20.0.10"), (None, "")])
def test_the_reviewer_is_told_the_tcp_peer_whatever_headers_say(
    peer: tuple[str, int] | None, told: str
) -> None:
    reviews = Recorded()
    headers = [(b"content-type", b"application/json"), (b"x-forwarded-for", b"192.0.2.7")]
    asyncio.run(_ask(Validate(reviews, RequestLimits()), Client(b"{}"), headers, peer))
    assert reviews.peers == [told]


@pytest.mark.parametrize("delay", [0, 0.001])
@pytest.mark.parametrize("pieces", [(b"{}",), (b"", b"{}"), (b"{", b"", b"}")])
def test_the_reviewer_gets_the_whole_body_however_it_arrives(pieces: tuple[bytes, ...], delay: float) -> None:
    reviews = Recorded()
    client = asyncio.run(_ask(Validate(reviews, RequestLimits()), Client(*pieces, delay=delay)))
    assert (client.status, reviews.bodies, reviews.limits) == (200, [b"{}"], [TimeLimits(1.0, 1.5, 2.5)])


@pytest.mark.parametrize("delay", [0, 0.001])
def test_a_body_is_refused_as_soon_as_it_is_too_large_without_reading_on(delay: float) -> None:
    reviews = Recorded()
    client = Client(b"x" * 6, b"x" * 5, b"never read", delay=delay)
    asyncio.run(_ask(Validate(reviews, RequestLimits(body_bytes=10)), client))
    assert (client.status, client.answer["error"]) == (413, "the body is larger than 10 bytes")
    assert len(client._messages) == 1
    assert reviews.bodies == []


def test_a_body_of_exactly_the_limit_is_reviewed() -> None:
    reviews = Recorded()
    asyncio.run(_ask(Validate(reviews, RequestLimits(body_bytes=10)), Client(b"x" * 4, b"x" * 6)))
    assert reviews.bodies == [b"x" * 10]


@pytest.mark.parametrize("pieces", [(), (b"{",)])
def test_a_body_that_stops_arriving_is_given_up(pieces: tuple[bytes, ...]) -> None:
    limits = RequestLimits(body_seconds=0.01)
    client = asyncio.run(_ask(Validate(Recorded(), limits), Client(*pieces, ends=False)))
    assert (client.status, client.answer["error"]) == (408, "the body took longer than 0.01 seconds")


@pytest.mark.parametrize("delay", [0, 0.001])
def test_a_client_that_goes_away_before_its_body_is_complete_gets_no_answer(delay: float) -> None:
    reviews = Recorded()
    client = Client(b"{", b"{", delay=delay)
    client._messages[-1]["more_body"] = True
    asyncio.run(_ask(Validate(reviews, RequestLimits()), client))
    assert client.sent == []
    gone = asyncio.run(_ask(Validate(reviews, RequestLimits()), Client(delay=delay)))
    assert gone.sent == []
    assert reviews.bodies == []


def test_many_large_bodies_in_arrival_are_refused_and_leave_nothing_held() -> None:
    async def scenario() -> None:
        reader = BodyReader(most=10, most_held=15, seconds=5)
        stalled = Client(b"x" * 8, ends=False)
        first = asyncio.create_task(reader.read(stalled.receive))
        await asyncio.sleep(0)
        assert reader.held == 8
        assert str(await reader.read(Client(b"x" * 8, b"x").receive)) == "NoBody.TOO_MANY"
        assert await reader.read(Client(b"x" * 6, b"x").receive) == b"x" * 7
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert reader.held == 0

    asyncio.run(scenario())


def test_more_reviews_than_the_limit_are_told_to_try_again_and_the_others_are_answered() -> None:
    async def scenario() -> None:
        gate = asyncio.Event()
        refusals: list[str] = []
        endpoint = Validate(Recorded(gate), RequestLimits(in_flight=2), refusals.append)
        running = [asyncio.create_task(_ask(endpoint, Client(b"{}"))) for _ in range(2)]
        await asyncio.sleep(0)
        assert endpoint.in_flight == 2
        refused = await _ask(endpoint, Client(b"{}"))
        assert refused.status == 503
        assert (b"retry-after", b"1") in refused.sent[0]["headers"]
        assert refusals == ["overload"]
        gate.set()
        assert [(await answer).status for answer in running] == [200, 200]
        assert endpoint.in_flight == 0
        assert (await _ask(endpoint, Client(b"{}"))).status == 200

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("media_type", "status"),
    [
        (b"application/json", 200),
        (b"application/json; charset=utf-8", 200),
        (b"Application/JSON ;charset=UTF-8", 200),
        (b"application/yaml", 415),
        (b"application/jsonp", 415),
        (b"text/plain", 415),
        (b"", 415),
    ],
)
def test_only_json_is_taken(media_type: bytes, status: int) -> None:
    endpoint = Validate(Recorded(), RequestLimits())
    client = asyncio.run(_ask(endpoint, Client(b"{}"), [(b"content-type", media_type)]))
    assert client.status == status


def test_a_request_without_a_content_type_says_what_is_missing() -> None:
    client = asyncio.run(_ask(Validate(Recorded(), RequestLimits()), Client(b"{}"), []))
    assert (client.status, client.answer) == (
        415,
        {"error": "the body must be application/json, not of no stated type", "path": ""},
    )


def test_a_stated_length_above_the_limit_is_refused_before_anything_is_read() -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"11")]
    client = Client(b"never read")
    asyncio.run(_ask(Validate(Recorded(), RequestLimits(body_bytes=10)), client, headers))
    assert client.status == 413
    assert len(client._messages) == 1
