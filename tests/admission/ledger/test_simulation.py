"""The small twins of the soak: nothing is lost, and each rule that is taken away shows."""

from __future__ import annotations

import pytest

from tests.admission.ledger.mutants import MUTANTS
from tests.admission.ledger.runs import ENGINE, POINTS, one_run, violations
from tests.admission.ledger.simulation import Counts, Model

_MOST = 10_000


@pytest.mark.parametrize("replicas", [2, 3])
def test_no_run_loses_what_was_open(replicas: int) -> None:
    counts = Counts()
    assert not list(violations(range(2_000), POINTS, replicas=replicas, counts=counts))
    assert counts.commits > 2_000
    assert counts.refusals > 500


def test_no_run_with_the_real_engine_loses_what_was_open() -> None:
    assert not list(violations(range(100), ENGINE))


@pytest.mark.parametrize("name", MUTANTS)
def test_a_rule_that_is_taken_away_shows(name: str) -> None:
    assert next(violations(range(_MOST), POINTS, mutant=MUTANTS[name]), None) is not None


@pytest.mark.parametrize("name", MUTANTS)
def test_the_clients_that_show_it_lose_nothing_with_all_rules(name: str) -> None:
    place = list(MUTANTS).index(name)
    seeds = range(2 * place, 2 * len(MUTANTS) * 20, 2 * len(MUTANTS))
    assert not [seed for seed in seeds if one_run(seed, POINTS)[0]]


@pytest.mark.parametrize("model", [POINTS, ENGINE])
def test_a_seed_reproduces_a_run(model: Model) -> None:
    traces = [one_run(seed, model, trace=True)[1].trace for seed in (7, 8, 7, 8)]
    assert traces[:2] == traces[2:]
    assert traces[0] != traces[1]
