"""How long a decision takes: `Judge.compare` over all required flows, without reading or writing anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from statistics import median
from time import perf_counter

from app.admission.ports import Deadline
from app.engine.baselines import written_baselines
from app.engine.cluster import Cluster
from app.engine.judge import Judge, State
from app.engine.policy import Policy
from app.engine.regions import NamespaceTable
from app.engine.requirements import Options, guarded_namespaces, required_flows
from app.engine.search import TooComplexError
from tests.admission.world import source, webhook
from tests.bench.policies import many_values, narrow_policies, random_policies, satisfiability
from tests.engine.oracle import Object
from tests.engine.universe import NAMESPACES, OWN, engine_policy

BUDGET_SECONDS = 1.0
_SEED = 20


@dataclass(frozen=True, slots=True)
class Shape:
    """A kind of policy set: random or hostile, with or without the baselines beside it."""

    name: str
    make: Callable[[Random, int], list[Object]]
    with_baselines: bool = False


SHAPES = (
    Shape("random", random_policies),
    Shape("random, narrow", narrow_policies),
    Shape("random + baselines", random_policies, with_baselines=True),
    Shape("hostile: 3-SAT", satisfiability),
    Shape("hostile: NotIn", many_values),
)


@dataclass(frozen=True, slots=True)
class Timing:
    """The median and the slowest decision in seconds, and what was answered."""

    shape: str
    policies: int
    median_seconds: float
    slowest_seconds: float
    answers: str


def time_decisions(shape: Shape, count: int, repeats: int) -> Timing:
    """Return how long decisions over ``count`` policies take; each repeat has policies of its own."""
    cluster = Cluster(namespaces=NAMESPACES, sources=(source(),), webhooks=(webhook(OWN),))
    seconds, answers = [], []
    for repeat in range(repeats):
        made = [engine_policy(one) for one in shape.make(Random(_SEED + repeat), count)]
        standing = written_baselines(cluster, OWN) if shape.with_baselines else ()
        taken, answer = _decide(cluster, (*standing, *made))
        seconds.append(taken)
        answers.append(answer)
    counted = ", ".join(f"{one} {answers.count(one)}" for one in dict.fromkeys(answers))
    return Timing(shape.name, count, median(seconds), max(seconds), counted)


def _decide(cluster: Cluster, policies: Sequence[Policy]) -> tuple[float, str]:
    """Decide about adding the last of the policies, from states that nobody has looked at yet."""
    options = Options()
    flows = required_flows(cluster, OWN, options, guarded_namespaces(cluster))
    began = perf_counter()
    table = NamespaceTable(cluster.namespaces)
    before, after = State(tuple(policies[:-1]), table), State(tuple(policies), table)
    try:
        verdict = Judge(options, Deadline(BUDGET_SECONDS)).compare(before, after, flows)
    except TooComplexError:
        return perf_counter() - began, "too complex"
    return perf_counter() - began, "rejected" if verdict.rejected else "admitted"
