"""Where the network plugin cannot express what the policies say, that is told instead of claimed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.cluster.state.facts import Agent
from app.cluster.state.sources import discover
from app.cluster.survey.cilium import limit_of
from app.engine.cluster import Source
from app.model.declared_sources import declared_source
from tests.cluster.builders import facts, node

NODES = (node("cp", "10.20.0.10", "fd00::10"), replace(node("cp-2"), pod_cidrs=("10.244.1.0/24",)))
OUTSIDE, OF_NODE, TUNNEL = map(declared_source, ("192.0.2.7", "10.20.0.10", "10.244.1.0"))


@pytest.mark.parametrize(
    "source", [OF_NODE, declared_source("fd00::10"), TUNNEL, declared_source("10.0.0.0/8")]
)
def test_cilium_cannot_let_a_nodes_address_in_by_default(source: Source) -> None:
    limit = limit_of({}, (OUTSIDE, source), NODES)
    assert limit is not None
    assert limit.sources == (source,)
    assert "policyCIDRMatchMode to nodes" in limit.how
    assert "CiliumNetworkPolicy" in str(limit)


@pytest.mark.parametrize("mode", ["nodes", "nodes,other", "other nodes"])
def test_with_node_matching_it_can(mode: str) -> None:
    assert limit_of({"policy-cidr-match-mode": mode}, (OF_NODE,), NODES) is None


def test_another_mode_whose_name_begins_alike_is_not_node_matching() -> None:
    assert limit_of({"policy-cidr-match-mode": "nodesque"}, (OF_NODE,), NODES) is not None


def test_an_api_server_outside_the_nodes_is_matched_by_its_address_as_on_eks() -> None:
    assert limit_of({}, (OUTSIDE,), NODES) is None


def test_a_pod_cidr_that_is_none_as_a_folder_may_have_it_does_no_harm() -> None:
    assert limit_of({}, (OUTSIDE,), (replace(node("cp"), pod_cidrs=("nonsense",)),)) is None


def test_proxy_pods_are_matched_by_their_labels() -> None:
    agents = discover(facts(slices=(), agents=frozenset({Agent("app")}))).sources
    assert limit_of({}, agents, NODES) is None


def test_where_nodes_are_not_known_every_address_may_be_one() -> None:
    limit = limit_of({}, (OUTSIDE,), None)
    assert limit is not None
    assert "192.0.2.7" in limit.why
