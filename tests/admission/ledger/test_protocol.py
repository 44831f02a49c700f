"""The protocol on ``asyncio``, as it runs in production: what it writes, and when it writes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import pytest

from app.admission.ledger.contents import Contents
from app.admission.ledger.entries import Moved, PolicyEntry
from app.admission.ledger.marks import Marks
from app.admission.ledger.protocol import (
    MOST_OF_A_NAMESPACE,
    Admission,
    Decision,
    Reason,
    Refusal,
    Reviews,
    Way,
)
from app.admission.ledger.settling import Settler
from app.admission.ledger.values import Effect, LabelChange, PolicyChange
from app.admission.ledger.writing import Writer
from app.errors import StateUnreadable
from app.model.snapshot import Resource, Stored, StoredNamespace, Watched
from tests.admission.ledger.points import ALLOW_ALL, DENY_ALL, HALF_A, HALF_B, PointJudge, PointPolicy

_MANAGED = {"managed": "true"}
Change = PolicyChange[PointPolicy]


@dataclass
class Cluster:
    """One namespace, one replica, everything at once; and the runtime of production in five lines."""

    policies_: dict[str, Stored[PointPolicy]] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=lambda: dict(_MANAGED))
    data: dict[str, str] = field(default_factory=dict)
    version: int = 100
    merges: list[Mapping[str, str | None]] = field(default_factory=list)
    reads: int = 0
    lists: int = 0
    time: float = 0.0
    slept: float = 0.0
    is_down: bool = False

    def __post_init__(self) -> None:
        self._tokens = count()
        self.writer = Writer(self, self)
        self.reviews = Reviews(PointJudge(), self, self, (self, self.writer))
        self.settler = Settler(PointJudge(), self, self, (self, self.writer, self))

    def snapshot(self) -> Watched[PointPolicy]:
        namespace = StoredNamespace("n", 50, self.labels)
        return Watched({"a": dict(self.policies_)}, self.version, {"a": namespace}, self.version)

    def contents(self) -> Contents:
        return Contents.decode(self.data)

    async def merge(self, changes: Mapping[str, str | None]) -> Mapping[str, str]:
        await asyncio.sleep(0)
        if self.is_down:
            raise StateUnreadable("the ledger", "no answer")
        self.merges.append(changes)
        for key, value in changes.items():
            if value is None:
                self.data.pop(key, None)
            else:
                self.data[key] = value
        return dict(self.data)

    async def read(self) -> Mapping[str, str]:
        self.reads += 1
        return dict(self.data)

    async def policies(self, namespaces: Collection[str]) -> tuple[Mapping[str, Any], int]:
        self.lists += 1
        return {name: dict(self.policies_) for name in namespaces}, self.version

    async def namespaces(self) -> tuple[Mapping[str, StoredNamespace], int]:
        return self.snapshot().namespaces, self.version

    async def touch(self, resource: Resource) -> int:
        del resource
        self.version += 1
        return self.version

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.time += seconds

    def token(self) -> str:
        return f"t{next(self._tokens)}"

    def future(self) -> asyncio.Future[bool]:
        return asyncio.get_running_loop().create_future()

    def deletion(self, name: str) -> Change:
        """Return the deletion of a policy that is there."""
        return PolicyChange("a", name, self.policies_[name].uid, self.policies_[name], None)

    def ask(self, *changes: Change | LabelChange) -> list[Decision[PointPolicy, Any]]:
        """Have changes reviewed at the same moment."""

        async def together() -> list[Decision[PointPolicy, Any]]:
            return list(await asyncio.gather(*(self.reviews.review(change) for change in changes)))

        return asyncio.run(together())


@pytest.fixture
def cluster() -> Cluster:
    """Return a cluster in which one policy isolates, and four let everything in."""
    stored = {f"p{place}": Stored(f"u{place}", 10 + place, ALLOW_ALL) for place in range(4)}
    return Cluster({**stored, "deny": Stored("u9", 19, DENY_ALL)})


def _create(value: PointPolicy, name: str = "new") -> Change:
    return PolicyChange("a", name, "u100", None, value)


def test_a_harmless_change_reads_and_writes_nothing(cluster: Cluster) -> None:
    (decision,) = cluster.ask(_create(ALLOW_ALL))
    assert decision == Admission(Way.HARMLESS)
    assert (cluster.merges, cluster.reads, cluster.lists) == ([], 0, 0)


def test_a_hazardous_change_writes_once_and_lists_nothing(cluster: Cluster) -> None:
    (decision,) = cluster.ask(cluster.deletion("p0"))
    assert isinstance(decision, Admission)
    assert decision.way is Way.WATCHED
    assert (len(cluster.merges), cluster.reads, cluster.lists) == (1, 0, 0)
    assert list(cluster.contents().entries.values()) == [PolicyEntry("a", "p0", Moved(10))]


def test_what_loses_something_is_refused_without_a_write(cluster: Cluster) -> None:
    cluster.policies_ = {"p0": cluster.policies_["p0"], "deny": cluster.policies_["deny"]}
    (decision,) = cluster.ask(cluster.deletion("p0"))
    assert isinstance(decision, Refusal)
    assert decision.reason is Reason.LOSS
    assert (cluster.merges, cluster.lists) == ([], 1)


def test_of_changes_that_meet_the_last_is_refused_and_told_why(cluster: Cluster) -> None:
    decisions = cluster.ask(*(cluster.deletion(f"p{place}") for place in range(4)))
    refused = [decision for decision in decisions if isinstance(decision, Refusal)]
    assert [refusal.reason for refusal in refused] == [Reason.UNDER_WAY]
    assert len(refused[0].under_way) == 3
    # The first goes alone, the others share the next write.
    assert len(cluster.merges) == 2


def test_the_entry_of_a_refused_change_is_taken_out(cluster: Cluster) -> None:
    cluster.ask(*(cluster.deletion(f"p{place}") for place in range(4)))
    assert len(cluster.contents().entries) == 4
    asyncio.run(cluster.settler.tick())
    assert len(cluster.contents().entries) == 3


def test_a_settled_entry_goes_and_leaves_a_mark(cluster: Cluster) -> None:
    cluster.ask(cluster.deletion("p0"))
    del cluster.policies_["p0"]
    cluster.version = 120
    asyncio.run(cluster.settler.tick())
    assert cluster.contents().entries == {}
    assert cluster.contents().marks == Marks(120, 0)


def test_an_entry_that_is_not_settled_goes_when_a_later_event_is_seen(cluster: Cluster) -> None:
    cluster.ask(_create(PointPolicy(1, ((1, ("managed", "true")),))))
    asyncio.run(cluster.settler.tick())
    cluster.time += 44.0
    asyncio.run(cluster.settler.tick())
    assert cluster.version == 100
    cluster.time += 2.0
    asyncio.run(cluster.settler.tick())
    assert cluster.version == 101
    assert len(cluster.contents().entries) == 1
    asyncio.run(cluster.settler.tick())
    assert cluster.contents().entries == {}
    assert cluster.contents().marks == Marks(101, 0)


def test_a_watch_behind_the_marks_is_not_judged_by(cluster: Cluster) -> None:
    cluster.data["mark.networkpolicies.101"] = ""
    (decision,) = cluster.ask(cluster.deletion("p0"))
    assert isinstance(decision, Admission)
    assert decision.way is Way.LISTED
    assert cluster.lists > 0


def test_a_dry_run_writes_nothing(cluster: Cluster) -> None:
    (decision,) = cluster.ask(replace(cluster.deletion("p0"), effect=Effect.DRY_RUN))
    assert isinstance(decision, Admission)
    assert cluster.merges == []


def test_without_the_ledger_nothing_is_decided(cluster: Cluster) -> None:
    cluster.is_down = True
    with pytest.raises(StateUnreadable):
        cluster.ask(cluster.deletion("p0"))
    cluster.is_down = False
    assert len(cluster.writer.abandoned) == 1


def test_a_review_that_is_cut_short_leaves_the_write_to_the_others(cluster: Cluster) -> None:
    async def cut_short() -> Decision[PointPolicy, Any]:
        tasks = [
            asyncio.ensure_future(cluster.reviews.review(cluster.deletion(f"p{number}")))
            for number in range(2)
        ]
        await asyncio.sleep(0)
        tasks[0].cancel()
        return await tasks[1]

    decision = asyncio.run(cut_short())
    assert isinstance(decision, Admission)
    assert len(cluster.writer.abandoned) == 1


def test_who_is_cut_short_when_told_to_write_for_the_others_leaves_it_to_the_next(cluster: Cluster) -> None:
    class Told(asyncio.Future[bool]):
        """Whoever it tells to write is cancelled at that moment."""

        def set_result(self, result: bool, /) -> None:  # noqa: FBT001 - the interface
            super().set_result(result)
            if result and not any(task.cancelling() for task in tasks):
                tasks[1].cancel()

    async def cut_short() -> list[Decision[PointPolicy, Any] | BaseException]:
        cluster.future = lambda: Told(loop=asyncio.get_running_loop())  # type: ignore[method-assign]
        for place in range(3):
            changed = cluster.reviews.review(cluster.deletion(f"p{place}"))
            tasks.append(asyncio.ensure_future(changed))
        async with asyncio.timeout(60):
            return list(await asyncio.gather(*tasks, return_exceptions=True))

    tasks: list[asyncio.Task[Decision[PointPolicy, Any]]] = []
    first, second, third = asyncio.run(cut_short())
    assert isinstance(second, asyncio.CancelledError)
    assert isinstance(first, Admission)
    assert isinstance(third, Admission)


def test_what_was_overridden_is_written_down_for_the_others(cluster: Cluster) -> None:
    asyncio.run(cluster.reviews.note(cluster.deletion("p0")))
    assert list(cluster.contents().entries.values()) == [PolicyEntry("a", "p0", Moved(10))]


def test_the_spec_of_a_policy_that_is_being_deleted_stays(cluster: Cluster) -> None:
    old = replace(cluster.policies_["p0"], terminating=True)
    spec, finalizers = (PolicyChange("a", "p0", "u0", old, new) for new in (DENY_ALL, ALLOW_ALL))
    assert cluster.ask(spec) == [Refusal(Reason.TERMINATING, basis=cluster.snapshot())]
    cluster.labels = {}
    assert cluster.ask(spec) == [Admission(Way.UNGUARDED, cluster.snapshot())]
    assert cluster.ask(finalizers) == [Admission(Way.HARMLESS)]


def test_a_policy_over_another_is_refused_as_the_api_server_would(cluster: Cluster) -> None:
    (decision,) = cluster.ask(_create(DENY_ALL, "p0"))
    assert isinstance(decision, Refusal)
    assert decision.reason is Reason.EXISTS


def test_past_the_bound_a_namespace_waits(cluster: Cluster) -> None:
    for place in range(MOST_OF_A_NAMESPACE):
        cluster.data[f"entry.a.t{place}"] = f"policy moved 200 x{place}"
    (decision,) = cluster.ask(cluster.deletion("p0"))
    assert isinstance(decision, Refusal)
    assert decision.reason is Reason.BUSY


def test_what_is_not_understood_stays_and_counts_no_more_after_its_time(cluster: Cluster) -> None:
    cluster.data["entry.a.x"] = "epoch 7 of something"
    (decision,) = cluster.ask(cluster.deletion("p0"))
    assert isinstance(decision, Refusal)
    for seconds in (0.0, 46.0, 0.0):
        cluster.time += seconds
        asyncio.run(cluster.settler.tick())
    (decision,) = cluster.ask(cluster.deletion("p0"))
    assert isinstance(decision, Admission)
    assert "entry.a.x" in cluster.data


def test_half_of_a_pair_stays_until_the_other_half_stands(cluster: Cluster) -> None:
    cluster.policies_ = {}
    (decision,) = cluster.ask(PolicyChange("a", "half-a", "u100", None, HALF_A, (HALF_B,)))
    assert isinstance(decision, Admission)
    cluster.policies_["half-a"] = Stored("u100", 101, HALF_A)
    cluster.version, cluster.time = 101, 300.0
    asyncio.run(cluster.settler.tick())
    assert len(cluster.contents().entries) == 1
    cluster.policies_["half-b"] = Stored("u101", 102, HALF_B)
    asyncio.run(cluster.settler.tick())
    assert cluster.contents().entries == {}


def test_labels_that_are_too_long_are_refused(cluster: Cluster) -> None:
    old = StoredNamespace("n", 50, _MANAGED)
    labels = {**_MANAGED, **{f"key-{place}": "v" * 60 for place in range(400)}}
    (decision,) = cluster.ask(LabelChange("a", "n", old, labels))
    assert isinstance(decision, Refusal)
    assert decision.reason is Reason.TOO_LARGE


def test_writes_wait_where_they_would_be_too_many_bytes(cluster: Cluster) -> None:
    for place in range(1_000):
        cluster.data[f"entry.n{place}.t{place}"] = f"policy moved 200 {'x' * 80}"
    cluster.ask(cluster.deletion("p0"))
    cluster.ask(cluster.deletion("p1"))
    assert cluster.slept > 0.1
