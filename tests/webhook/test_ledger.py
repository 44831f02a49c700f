"""The ledger in the running guard: when it is in use, what is tried, written and told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import cast

import pytest

from app.admission.offload import Offload
from app.admission.rules import Rules
from app.cluster.client.connection import ApiRequest, Method
from app.cluster.client.errors import refusal
from app.cluster.state.live import LiveState
from app.deadline import Deadline
from app.engine.cluster import Cluster
from app.engine.policy import Policy
from app.errors import StateUnreadable
from app.metrics import Metrics
from app.model.snapshot import Watched
from app.settings.model import Settings
from app.webhook import ledger as module
from app.webhook.ledger import NOT_TRIED, LedgerService

WHOLE = "whole"


@dataclass
class FakeWatches:
    """What the three watches of a live state show."""

    data: dict[str, str] | None = field(default_factory=dict)
    problem: str | None = None
    answering: frozenset[str] = frozenset()

    def waiting(self) -> str | None:
        return None

    def replicas(self) -> frozenset[str]:
        return self.answering

    def missing(self) -> str | None:
        return self.problem

    def ledger(self) -> dict[str, str] | None:
        return self.data

    def snapshot(self) -> Watched[Policy]:
        return Watched({}, 10, {}, 10)


@dataclass
class FakeLive:
    """A live state of a cluster without anything in it."""

    watched: FakeWatches = field(default_factory=FakeWatches)
    problem: str | None = None

    def ready(self) -> str | None:
        return self.problem

    def facts(self) -> Cluster:
        return Cluster()


@dataclass
class FakeConnection:
    """An API server that keeps the ledger; the watch sees a write at once if ``watches`` are given."""

    data: dict[str, str] = field(default_factory=dict)
    watches: FakeWatches | None = None
    status: int = 200
    requests: list[ApiRequest] = field(default_factory=list)
    is_closed: bool = False

    async def fetch(self, request: ApiRequest, deadline: Deadline) -> bytes:  # noqa: ARG002 - the interface
        self.requests.append(request)
        if self.status != 200:
            raise refusal(self.status, b'{"message": "no"}', request.purpose)
        if request.method is Method.MERGE:
            for key, value in json.loads(request.body or b"")["data"].items():
                if value is None:
                    self.data.pop(key, None)
                else:
                    self.data[key] = value
        if self.watches is not None:
            self.watches.data = dict(self.data)
        return json.dumps({"metadata": {"resourceVersion": "7"}, "data": self.data}).encode()

    async def close(self) -> None:
        self.is_closed = True


@dataclass
class World:
    """A service over a fake cluster."""

    live: FakeLive
    api: FakeConnection
    metrics: Metrics
    service: LedgerService

    @property
    def in_use(self) -> float | None:
        return self.metrics.registry.get_sample_value("netpol_guard_ledger_in_use")

    @property
    def unusable(self) -> str | None:
        return self.service.judge.unusable()

    def run(self, then: Callable[[], Awaitable[None]]) -> None:
        """Run the service while something happens beside it."""

        async def both() -> None:
            task = asyncio.create_task(self.service.run())
            try:
                await then()
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

        asyncio.run(both())

    async def merge(self, **changes: str | None) -> dict[str, str]:
        """Write to the ledger as a review does."""
        written = await self.service._store.merge(changes)
        return dict(written)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a service that has not tried anything yet."""
    api, live, metrics = FakeConnection(), FakeLive(), Metrics()
    monkeypatch.setattr(module, "configuration", lambda *_: None)
    monkeypatch.setattr(module, "AsyncConnection", lambda _: api)
    for name in ("_TICK_SECONDS", "_FAILED_SECONDS", "_PATIENCE_SECONDS", "_REFUSED_SECONDS"):
        monkeypatch.setattr(module, name, 0.005)
    service = LedgerService(Settings(), cast("LiveState", live), Rules(), metrics, Offload())
    return World(live, api, metrics, service)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.002)


def test_it_is_in_use_once_it_was_tried_whether_it_may_be_written_to(world: World) -> None:
    assert world.unusable == NOT_TRIED
    assert world.in_use == 0

    async def then() -> None:
        await until(lambda: world.unusable is None)
        await until(lambda: world.in_use == 1)

    world.run(then)
    word = {"replica.netpol-guard": "1"}
    assert json.loads(world.api.requests[0].body or b"") == {"data": word}
    assert world.api.data == word, "that it keeps the ledger is all that is written to try it"
    assert world.api.is_closed


def test_the_first_sync_comes_before_the_watches_the_config_map_and_the_format(world: World) -> None:
    world.live.problem = "the nodes: not read yet"
    world.live.watched = FakeWatches(None, "the NetworkPolicies: 403")
    assert world.unusable == "the nodes: not read yet"
    world.live.problem = None
    assert world.unusable == "the NetworkPolicies: 403"
    world.live.watched.problem = None
    assert "the ledger's ConfigMap is not there" in str(world.unusable)
    world.live.watched.data = {"format": "2"}
    assert "it has format '2', and this version knows '1' alone" in str(world.unusable)
    world.live.watched.data = {"format": "1", "entry.a.b": "whole", "something": "else"}
    assert world.unusable == NOT_TRIED


def test_an_unknown_format_is_not_written_over(world: World) -> None:
    world.live.watched.data = {"format": "2"}

    async def then() -> None:
        await asyncio.sleep(0.05)

    world.run(then)
    assert world.api.requests == []
    assert world.in_use == 0


def test_beside_a_replica_that_keeps_no_ledger_it_is_not_in_use_and_that_is_told(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.api.watches = world.live.watched

    async def then() -> None:
        await until(lambda: world.in_use == 1)
        world.live.watched.answering = frozenset({"netpol-guard", "old-1"})
        await until(lambda: world.in_use == 0)
        assert "replicas that keep no ledger answer beside this one" in str(world.unusable)
        await until(lambda: "the ledger cannot be used" in caplog.text)
        assert world.metrics.registry.get_sample_value("netpol_guard_replicas_without_ledger") == 1
        world.api.data["replica.old-1"] = "1"
        world.live.watched.data = dict(world.api.data)
        assert "answered a moment ago" in str(world.unusable)

    world.run(then)


def test_a_replica_is_not_ready_before_it_has_tried_to_say_that_it_keeps_the_ledger(world: World) -> None:
    assert world.service.waiting() == NOT_TRIED

    async def then() -> None:
        world.api.status = 503
        await until(lambda: world.service.waiting() is None)

    world.run(then)
    assert world.unusable == NOT_TRIED


def test_a_ledger_in_which_nothing_but_such_words_stood_hides_nothing_when_it_is_made_anew(
    world: World,
) -> None:
    world.api.watches = world.live.watched

    async def then() -> None:
        await until(lambda: world.in_use == 1)
        world.api.data = {}
        world.live.watched.data = {}
        await until(lambda: "replica.netpol-guard" in world.api.data)
        assert WHOLE not in (await world.merge(format="1", first="x")).values()

    world.run(then)


@pytest.mark.parametrize("status", [403, 404])
def test_without_the_right_to_write_it_is_not_in_use_until_there_is_one(world: World, status: int) -> None:
    async def then() -> None:
        await until(lambda: world.in_use == 1)
        world.api.status = status
        with pytest.raises(StateUnreadable):
            await world.merge(key="value")
        assert str(status) in str(world.unusable)
        await until(lambda: world.in_use == 0)
        world.api.status = 200
        await until(lambda: world.in_use == 1)

    world.run(then)


@pytest.mark.parametrize("status", [409, 500, 503])
def test_a_write_that_fails_for_a_moment_leaves_it_in_use(world: World, status: int) -> None:
    async def then() -> None:
        await until(lambda: world.in_use == 1)
        world.api.status = status
        with pytest.raises(StateUnreadable):
            await world.merge(key="value")
        assert world.unusable is None

    world.run(then)


def test_why_it_is_not_in_use_is_told_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.live.watched.data = None

    async def then() -> None:
        await until(lambda: "the ledger cannot be used" in caplog.text)
        await asyncio.sleep(0.05)

    world.run(then)
    assert caplog.text.count("the ledger cannot be used") == 1


def test_a_start_that_takes_a_moment_is_not_worth_a_line(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_PATIENCE_SECONDS", 60.0)
    world.live.problem = "the nodes: not read yet"

    async def then() -> None:
        await asyncio.sleep(0.03)
        world.live.problem = None
        await until(lambda: world.in_use == 1)

    world.run(then)
    assert "the ledger cannot be used" not in caplog.text


def test_a_ledger_that_is_written_to_for_the_first_time_hides_nothing(world: World) -> None:
    async def then() -> None:
        await world.merge(format="1", first="x")
        # The watch has not brought the first write yet.
        assert WHOLE not in (await world.merge(format="1", second="x")).values()

    asyncio.run(then())


def test_a_ledger_that_was_emptied_counts_as_changing_everywhere(world: World) -> None:
    world.api.watches = world.live.watched

    async def then() -> None:
        await world.merge(format="1", first="x")
        assert world.unusable == NOT_TRIED or world.unusable is None
        world.api.data = {}
        world.live.watched.data = {}
        written = await world.merge(format="1", second="x")
        assert next(key for key, value in written.items() if value == WHOLE).startswith("entry._.")
        again = await world.merge(third="x")
        assert list(again.values()).count(WHOLE) == 1

    asyncio.run(then())


def test_what_others_wrote_counts_too(world: World) -> None:
    world.live.watched.data = {"format": "1", "entry.a.other": "policy moved 5 p"}
    assert world.unusable == NOT_TRIED
    world.live.watched.data = None
    assert "not there" in str(world.unusable)
    world.live.watched.data = {}
    written = asyncio.run(world.merge(format="1", own="x"))
    assert WHOLE in written.values()


def test_a_failed_write_that_makes_it_anew_is_made_up_for(world: World) -> None:
    async def then() -> None:
        world.live.watched.data = {"format": "1"}
        assert world.unusable == NOT_TRIED
        world.live.watched.data = {}
        world.api.status = 503
        with pytest.raises(StateUnreadable):
            await world.merge(format="1", own="x")
        world.api.status = 200
        assert WHOLE in (await world.merge(format="1", own="x")).values()

    asyncio.run(then())


def test_what_is_settled_is_dropped_in_the_background(world: World) -> None:
    world.api.watches = world.live.watched
    world.api.data = {"format": "1", "entry.a.gone": "policy moved 5 p"}
    world.live.watched.data = dict(world.api.data)

    async def then() -> None:
        await until(lambda: "entry.a.gone" not in world.api.data)

    world.run(then)
    assert world.api.data["format"] == "1"


def test_a_tick_that_fails_is_tried_again(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.api.watches = world.live.watched

    async def then() -> None:
        await until(lambda: world.in_use == 1)
        world.api.status = 503
        world.live.watched.data = {"format": "1", "entry.a.gone": "policy moved 5 p"}
        world.api.data = dict(world.live.watched.data)
        await until(lambda: "could not be brought up to date" in caplog.text)
        world.api.status = 200
        await until(lambda: "entry.a.gone" not in world.api.data)

    world.run(then)
