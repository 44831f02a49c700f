"""How long a decision takes: `Judge.compare` over all required flows, without reading or writing anything."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from statistics import median
from time import perf_counter, process_time

from app.deadline import Deadline
from app.engine.baselines import written_baselines
from app.engine.budget import TooComplexError
from app.engine.cluster import Cluster
from app.engine.judge import Judge, State
from app.engine.policy import Policy
from app.engine.regions import NamespaceTable
from app.engine.required_flows import Options, guarded_namespaces, required_flows
from tests.admission.world import source, webhook
from tests.bench.policies import many_values, narrow_policies, random_policies, satisfiability
from tests.engine.oracle import Object
from tests.engine.universe import NAMESPACES, OWN, engine_policy

BUDGET_SECONDS = 1.0
_SEED = 20
_TRIES = 3
"""Each decision is made as often, from states built anew; the fastest counts: others share this machine."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of policy set: random or hostile, with or without the baselines beside it."""

    name: str
    make: Callable[[Random, int], list[Object]]
    with_baselines: bool = False
    is_hostile: bool = False


SHAPES = (
    Shape("random", random_policies),
    Shape("random, narrow", narrow_policies),
    Shape("random + baselines", random_policies, with_baselines=True),
    Shape("hostile: 3-SAT", satisfiability, is_hostile=True),
    Shape("hostile: NotIn", many_values, is_hostile=True),
)


@dataclass(frozen=True, slots=True)
class Timing:
    """Processor time of the median decision, clock time of the slowest, and what was answered."""

    shape: Shape
    policies: int
    cpu_seconds: float
    slowest_seconds: float
    answers: str


@dataclass(frozen=True, slots=True)
class _Decided:
    cpu_seconds: float
    seconds: float
    answer: str


def time_decisions(shape: Shape, count: int, repeats: int) -> Timing:
    """Return how long decisions over ``count`` policies take; each repeat has policies of its own."""
    cluster = Cluster(namespaces=NAMESPACES, sources=(source(),), webhooks=(webhook(OWN),))
    cpu, slowest, answers = [], 0.0, []
    for repeat in range(repeats):
        made = [engine_policy(manifest) for manifest in shape.make(Random(_SEED + repeat), count)]
        standing = written_baselines(cluster, OWN) if shape.with_baselines else ()
        tries = [_decide(cluster, (*standing, *made)) for _ in range(1 if shape.is_hostile else _TRIES)]
        cpu.append(min(run.cpu_seconds for run in tries))
        slowest = max(slowest, min(run.seconds for run in tries))
        answers.append(tries[0].answer)
    counted = ", ".join(f"{answers.count(answer)} {answer}" for answer in dict.fromkeys(answers))
    return Timing(shape, count, median(cpu), slowest, counted)


def _decide(cluster: Cluster, policies: Sequence[Policy]) -> _Decided:
    """Decide about adding the last of the policies, from states that nobody has looked at yet."""
    options = Options()
    flows = required_flows(cluster, OWN, options, guarded_namespaces(cluster))
    gc.collect()
    began, cpu = perf_counter(), process_time()
    table = NamespaceTable(cluster.namespaces)
    before, after = State(tuple(policies[:-1]), table), State(tuple(policies), table)
    try:
        verdict = Judge(options, Deadline.after(BUDGET_SECONDS)).compare(before, after, flows)
        answer = "rejected" if verdict.rejected else "admitted"
    except TooComplexError:
        answer = "too complex"
    return _Decided(process_time() - cpu, perf_counter() - began, answer)
