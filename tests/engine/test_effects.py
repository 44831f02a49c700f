"""The ways to "no effect": a sample may prove an effect, one rule may contain another; the search decides."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine.budget import Unlimited
from app.engine.effects import Question, has_no_effect
from app.engine.policy import Direction, Policy
from app.engine.regions import NamespaceTable, World
from tests.engine.no_effect import examine
from tests.engine.universe import NAMESPACES, SMALL, Generator, engine_policy

FACTS = World(NamespaceTable(NAMESPACES))


def _question(seed: int, direction: Direction) -> Question:
    make = Generator(Random(seed), SMALL)
    others = [engine_policy(policy) for policy in make.policies(3)]
    return Question(engine_policy(make.policy("new")), others, direction, FACTS)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(Direction))
def test_what_a_sample_shows_the_search_finds(seed: int, direction: Direction) -> None:
    question = _question(seed, direction)
    if question.shows_effect():
        assert question.isolates_more(Unlimited()) or question.allows_more(Unlimited())


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from(Direction))
def test_what_one_other_rule_contains_the_search_finds_nothing_new_in(
    seed: int, direction: Direction
) -> None:
    question = _question(seed, direction)
    if question.is_contained():
        assert not question.search_allows_more(Unlimited())


def _policy(name: str, **spec: object) -> Policy:
    made = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [], "egress": [], **spec}
    return engine_policy({"metadata": {"name": name, "namespace": "ns-a"}, "spec": made})


def _to_named_port(cidr: str) -> Policy:
    rule = {"to": [{"ipBlock": {"cidr": cidr}}], "ports": [{"protocol": "TCP", "port": "http"}]}
    return _policy(cidr, policyTypes=["Egress"], egress=[rule])


def test_a_wider_block_for_a_named_port_may_let_out_to_pods_and_is_not_without_effect() -> None:
    narrow, wide = _to_named_port("10.0.0.0/16"), _to_named_port("10.0.0.0/8")
    assert not has_no_effect(wide, [narrow], FACTS, Unlimited())
    assert has_no_effect(narrow, [wide], FACTS, Unlimited())


def test_beside_a_policy_that_is_being_deleted_nothing_is_without_effect() -> None:
    deny, same = _policy("deny"), _policy("same")
    assert has_no_effect(deny, [same], FACTS, Unlimited())
    assert not has_no_effect(deny, [replace(same, terminating=True)], FACTS, Unlimited())


def test_no_effect_is_told_whenever_it_is_true_and_never_otherwise() -> None:
    claims = examine(1_500, seed=7)
    assert claims.made > 100
    assert claims.missed == 0


def test_samples_settle_most_random_policies() -> None:
    shown = searched = 0
    for seed in range(300):
        questions = [_question(seed, direction) for direction in Direction]
        policy, others = questions[0].policy, questions[0].others
        if any(question.shows_effect() for question in questions):
            shown += 1
        elif not has_no_effect(policy, others, FACTS, Unlimited()):
            searched += 1
    assert shown > 4 * searched
