from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.admission.sequences.mutants import MUTANTS, mutated
from tests.admission.sequences.runs import one_run

SEEDS = range(1, 131)
"""A small twin of the parts ``sequences`` and ``sequences-lists`` of ``make soak``."""
LONGEST_SEARCH = 2_000


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    with asyncio.Runner() as runner:
        yield runner.get_loop()


@pytest.mark.parametrize("has_ledger", [True, False], ids=["by the ledger", "by lists"])
def test_nothing_is_lost_that_was_open_and_required_in_every_state_since(
    loop: asyncio.AbstractEventLoop,
    has_ledger: bool,  # noqa: FBT001 - a table
) -> None:
    runs = [one_run(seed, loop, has_ledger=has_ledger) for seed in SEEDS]
    assert [(run.seed, run.trace, run.lost) for run in runs if run.lost] == []
    assert sum(run.admitted for run in runs) > len(SEEDS)


@pytest.mark.parametrize("name", MUTANTS)
def test_each_rule_that_is_left_out_loses_something(loop: asyncio.AbstractEventLoop, name: str) -> None:
    with mutated(name):
        assert any(one_run(seed, loop).lost for seed in range(1, LONGEST_SEARCH))


def test_a_seed_gives_the_same_sequence_each_time(loop: asyncio.AbstractEventLoop) -> None:
    assert one_run(7, loop) == one_run(7, loop)
