"""Many runs, one seed each."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from tests.admission.ledger.engine import EngineModel
from tests.admission.ledger.mutants import MUTANTS, Mutant
from tests.admission.ledger.points import PointModel
from tests.admission.ledger.scenarios import Generator, random_scenario
from tests.admission.ledger.simulation import Counts, Model, Parts, Run, Violation

POINTS: Model = PointModel()
ENGINE: Model = EngineModel()
DIRECTED: tuple[Generator, ...] = tuple(mutant.scenario for mutant in MUTANTS.values())


def one_run(
    seed: int,
    model: Model,
    *,
    replicas: int = 2,
    counts: Counts | None = None,
    mutant: Mutant | None = None,
    trace: bool = False,
) -> tuple[list[Violation], Run]:
    """Return what is lost in the run of ``seed``, and the run; the same each time.

    Without a mutant, every second run is one of those that are directed at some mutant.
    """
    chance = Random(seed)
    if mutant is not None:
        make: Generator = mutant.scenario
    else:
        make = random_scenario if seed % 2 else DIRECTED[seed // 2 % len(DIRECTED)]
    parts = Parts() if mutant is None else mutant.parts
    run = Run(make(chance, model), model, chance, (replicas, parts, counts or Counts()))
    if trace:
        run.trace = []
    return run.go(), run


def violations(
    seeds: range,
    model: Model,
    *,
    replicas: int = 2,
    counts: Counts | None = None,
    mutant: Mutant | None = None,
) -> Iterator[tuple[int, list[Violation]]]:
    """Yield the seeds whose runs lose something, with what."""
    for seed in seeds:
        found, _ = one_run(seed, model, replicas=replicas, counts=counts, mutant=mutant)
        if found:
            yield seed, found
