from __future__ import annotations

import pytest

from tests.cluster.binaries import Program, find
from tests.engine.agreement import brute_force_agrees, cyclonus_agrees, flows_agree, no_effect_is_true


def test_single_flows_agree_with_the_oracle() -> None:
    assert flows_agree(20_000, seed=7) >= 20_000


def test_the_exact_search_agrees_with_brute_force_before_and_after() -> None:
    assert brute_force_agrees(1_000, seed=7) == 1_000


def test_every_no_effect_is_true_and_there_are_some() -> None:
    assert no_effect_is_true(1_000, seed=7) > 0


@pytest.mark.skipif(find(Program.CYCLONUS) is None, reason="cyclonus is not built: make test builds it")
def test_flows_agree_with_an_engine_nobody_here_wrote() -> None:
    assert cyclonus_agrees(10_000, seed=7) >= 10_000
