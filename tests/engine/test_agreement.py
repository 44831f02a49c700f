from __future__ import annotations

from random import Random

import pytest

from tests.engine import brute, oracle
from tests.engine.agreement import brute_force_agrees, cyclonus_agrees, flows_agree
from tests.engine.small import POD_ADDRESSES, space
from tests.engine.universe import SMALL, Generator
from tests.engine.verdicts import verdicts_agree
from tests.kube.binaries import Program, find


def test_single_flows_agree_with_the_oracle() -> None:
    assert flows_agree(20_000, seed=7) >= 20_000


def test_the_exact_search_agrees_with_brute_force_before_and_after() -> None:
    assert brute_force_agrees(1_000, seed=7) == 1_000


def test_whole_verdicts_agree_with_brute_force_before_and_after() -> None:
    assert verdicts_agree(1_000, seed=7) == 1_000


@pytest.mark.parametrize("pod_cidr", [None, *POD_ADDRESSES])
def test_brute_force_says_of_every_flow_what_the_oracle_does(pod_cidr: str | None) -> None:
    flows, chance = space(pod_cidr), Random(7)
    for direction in ("Ingress", "Egress") * 10:
        policies = Generator(chance, SMALL).policies(3)
        allowed = brute.allowed(flows, policies, direction)
        for _ in range(200):
            place = tuple(chance.randrange(len(axis)) for axis in (flows.own, flows.peers, flows.ports))
            own, peer, port = place
            expected = oracle.allowed(policies, flows.flow((own, peer, port), direction), direction)
            assert bool(allowed[own][peer] >> port & 1) is expected


@pytest.mark.skipif(find(Program.CYCLONUS) is None, reason="cyclonus is not built: make test builds it")
def test_flows_agree_with_an_engine_nobody_here_wrote() -> None:
    assert cyclonus_agrees(10_000, seed=7) >= 10_000
