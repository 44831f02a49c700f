"""A guessed source less is a rejection only where some pod behind the webhook has none left."""

from __future__ import annotations

from itertools import product
from random import Random
from typing import Any

from app.engine.budget import Unlimited
from app.engine.cluster import Provenance
from app.engine.judge import Judge, State
from app.engine.regions import NamespaceTable
from app.engine.required_flows import Options, Severity, required_flows
from tests.admission import world
from tests.engine import oracle
from tests.engine.oracle import End, Flow

Object = dict[str, Any]
SOURCES = {"10.0.0.1/32": ("10.0.0.1",), "10.0.0.4/31": ("10.0.0.4", "10.0.0.5")}
HOOK = {"service": "spark-operator"}
PODS = [
    {**HOOK, **{key: value for key, value in zip("ab", values, strict=True) if value}}
    for values in product(("", "x", "other"), repeat=2)
]


def _policy(chance: Random, name: str) -> Object:
    keys = chance.sample("ab", chance.choice((0, 1, 1, 2)))
    terms: list[Object] = [
        {"key": key, "operator": how, **({"values": ["x"]} if how.endswith("In") else {})}
        for key in keys
        for how in [chance.choice(("In", "NotIn", "Exists", "DoesNotExist"))]
    ]
    blocks = chance.sample((*SOURCES, "10.0.0.5/32", "10.0.0.4/32"), chance.choice((0, 1, 1, 2)))
    rules = [{"from": [{"ipBlock": {"cidr": block}}]} for block in blocks]
    return world.manifest(
        name, {"podSelector": {"matchExpressions": terms}, "policyTypes": ["Ingress"], "ingress": rules}
    )


def _is_let_in(policies: list[Object], labels: dict[str, str], source: str) -> bool:
    pod = End(world.NS, {}, labels)
    return all(
        oracle.allowed(policies, Flow(End(ip=address), pod, "TCP", 9443, frozenset()), "Ingress")
        for address in SOURCES[source]
    )


def _has_one(policies: list[Object], labels: dict[str, str]) -> bool:
    return any(_is_let_in(policies, labels, source) for source in SOURCES)


def test_a_lost_guess_is_a_rejection_exactly_where_a_pod_has_no_source_left_that_had_one() -> None:
    chance, rejected, warned = Random(7), 0, 0
    guesses = [world.source(cidr, Provenance.GUESSED) for cidr in SOURCES]
    cluster = world.with_sources(world.cluster(), *guesses)
    flows = required_flows(cluster, world.NS, Options(), frozenset())
    table = NamespaceTable(cluster.namespaces)
    for _ in range(300):
        before = [_policy(chance, f"p{index}") for index in range(chance.randint(0, 4))]
        after = chance.sample(before, chance.randint(0, len(before)))
        after += [_policy(chance, f"q{index}") for index in range(chance.randint(0, 2))]
        states = [State(tuple(map(world.parsed, side)), table) for side in (before, after)]
        verdict = Judge(Options(), Unlimited()).compare(states[0], states[1], flows)
        losses = [loss for loss in verdict.losses if loss.flow.webhook is not None]
        shut_out = [pod for pod in PODS if _has_one(before, pod) and not _has_one(after, pod)]
        told = any(loss.severity is Severity.REJECT for loss in losses)
        assert told == bool(shut_out), (before, after, shut_out, losses)
        if told:
            assert verdict.rejected
            assert any(
                _has_one(before, dict(loss.point.labels)) and not _has_one(after, dict(loss.point.labels))
                for loss in verdict.rejected
            )
        rejected += told
        warned += bool(verdict.warned) and not told
    assert rejected > 30
    assert warned > 30
