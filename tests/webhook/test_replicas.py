"""Replicas that keep no ledger, as those of an older version, beside one that does."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from app.admission.ledger.contents import Contents
from app.admission.ledger.settling import LONGEST_SECONDS
from app.webhook.replicas import GONE_SECONDS, Replicas

OWN = {"replica.guard-1": "1"}
BOTH = {**OWN, "replica.guard-2": "1"}


@dataclass
class World:
    """What one replica sees."""

    answering: set[str] = field(default_factory=lambda: {"guard-1"})
    data: dict[str, str] = field(default_factory=lambda: dict(OWN))
    now: float = 1_000.0

    def __post_init__(self) -> None:
        self.replicas = Replicas("guard-1", lambda: frozenset(self.answering), lambda: self.now)

    @property
    def unusable(self) -> str | None:
        return self.replicas.unusable(Contents.decode(self.data))

    def write(self) -> dict[str, str | None]:
        """Write what it has to, and return that."""
        changes = dict(self.replicas.changes(Contents.decode(self.data)))
        for key, value in changes.items():
            if value is None:
                self.data.pop(key, None)
            else:
                self.data[key] = value
        return changes


@pytest.fixture
def world() -> World:
    """A replica alone, which has said its word."""
    return World()


def test_a_replica_says_once_that_it_keeps_the_ledger(world: World) -> None:
    world.data = {}
    assert world.write() == OWN
    assert world.write() == {}
    assert Contents.decode(world.data).entries == {}, "that is no change under way"


@pytest.mark.parametrize("answering", [set(), {"guard-1"}, {"guard-1", "guard-2"}])
def test_beside_those_that_have_said_so_it_is_relied_on(world: World, answering: set[str]) -> None:
    world.answering, world.data = answering, dict(BOTH)
    assert world.unusable is None


def test_beside_one_that_has_not_it_is_not_and_the_reason_names_it(world: World) -> None:
    world.answering |= {"old-1", "old-2"}
    assert world.unusable == (
        "replicas that keep no ledger answer beside this one, as during an update: old-1, old-2"
    )
    assert world.replicas.without_ledger(Contents.decode(world.data)) == {"old-1", "old-2"}


def test_what_such_a_replica_admitted_may_be_made_for_a_while_after_it_is_gone(world: World) -> None:
    world.answering |= {"old-1"}
    assert world.unusable
    world.answering -= {"old-1"}
    world.now += LONGEST_SECONDS - 1
    assert "answered a moment ago" in str(world.unusable)
    world.now += 2
    assert world.unusable is None


def test_a_ledger_that_is_made_anew_is_relied_on_beside_those_whose_word_was_known(world: World) -> None:
    world.answering, world.data = {"guard-1", "guard-2"}, dict(BOTH)
    assert world.unusable is None
    world.data = {}
    assert world.unusable is None
    world.answering = {"guard-1"}
    assert world.unusable is None
    world.answering = {"guard-1", "guard-2"}  # after it was gone, it may be another
    assert "guard-2" in str(world.unusable)


def test_the_word_of_a_pod_that_is_gone_is_taken_back_after_a_while(world: World) -> None:
    world.data = dict(BOTH)
    assert world.write() == {}
    world.now += GONE_SECONDS
    assert world.write() == {"replica.guard-2": None}


def test_a_pod_that_comes_back_or_cannot_be_seen_keeps_its_word(world: World) -> None:
    world.data = dict(BOTH)
    assert world.write() == {}
    world.now += GONE_SECONDS / 2
    world.answering |= {"guard-2"}
    assert world.write() == {}
    world.answering = set()  # nothing is known of Pods, as outside a cluster
    world.now += 10 * GONE_SECONDS
    assert world.write() == {}
