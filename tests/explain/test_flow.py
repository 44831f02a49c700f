from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

from app.engine.addresses import place_of
from app.engine.cluster import Cluster
from app.engine.policy import Direction, Namespace, Peers, PodPeer, Policy, Rule
from app.engine.ports import Protocol, position
from app.engine.selectors import EVERYTHING, Selector
from app.explain.flow import End, Explanation, Flow, FlowAnswer, explain_flow
from tests.wire.networkpolicy.test_render import addresses

TCP_80 = position(Protocol.TCP, 80)
FRONT = Rule(Peers((PodPeer.own("shop", Selector.labels({"app": "front"})),)))
OFFICE = Rule(Peers(addresses=addresses("192.168.0.0/24")))
ONE = place_of(ip_address("192.168.0.1"))


def shop(*policies: Policy) -> Cluster:
    return Cluster({"shop": Namespace.of("shop")}, {"shop": policies})


def ingress(*rules: Rule) -> Policy:
    return Policy("shop", "p", EVERYTHING, frozenset({Direction.INGRESS}), rules)


def explained(cluster: Cluster, source: End, destination: End | None = None) -> Explanation:
    return explain_flow(cluster, Flow(source, destination or End("shop"), TCP_80))


def test_both_ends_must_allow_and_an_address_has_no_policies() -> None:
    explanation = explained(shop(ingress(OFFICE)), End(address=ONE))
    assert explanation.answer is FlowAnswer.ALLOWED
    assert [half.direction for half in explanation.halves] == [Direction.INGRESS]


def test_a_denial_names_who_isolates_and_the_closest_rule() -> None:
    (_, half) = explained(shop(ingress(FRONT)), End("shop", {"app": "back"})).halves
    assert half.answer is FlowAnswer.DENIED
    assert [policy.name for policy in half.isolating] == ["p"]
    assert str(half.closest) == "ingress[0] of p"


def test_a_pod_that_only_an_ip_block_lets_in_depends_on_the_network_plugin() -> None:
    explanation = explained(shop(ingress(OFFICE)), End("shop", {}, ONE))
    assert explanation.answer is FlowAnswer.UNCERTAIN
    assert [str(half) for half in explanation.halves[1].allowing] == ["ingress[0] of p"]


def test_a_pod_in_its_hosts_network_is_an_address_to_others_and_has_no_policies() -> None:
    host = End("shop", {"app": "front"}, ONE, is_host_network=True)
    assert explained(shop(ingress(OFFICE)), host).answer is FlowAnswer.ALLOWED
    assert explained(shop(ingress(FRONT)), host).answer is FlowAnswer.DENIED
    assert explained(shop(ingress()), End(address=ONE), host).halves == ()


def test_a_policy_that_is_being_deleted_still_lets_through_until_it_is_gone() -> None:
    going = replace(ingress(FRONT), terminating=True)
    assert explained(shop(going), End("shop", {"app": "front"})).answer is FlowAnswer.ALLOWED
