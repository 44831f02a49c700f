from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given

from app.engine.addresses import block_set
from app.engine.intervals import IntervalSet
from app.engine.policy import ALLOW_ALL, Direction, Peers, PodPeer, Policy, Rule
from app.engine.ports import PortSet, Protocol, port_range
from app.engine.selectors import EVERYTHING, NOTHING, LabelSet, Operator, Selector
from app.wire.networkpolicy.cidrs import read_cidr
from app.wire.networkpolicy.parse import Validation, parse_policy, parse_stored
from app.wire.networkpolicy.render import render_policy, render_selector
from tests.wire.strategies import policies

INGRESS = frozenset({Direction.INGRESS})


def addresses(cidr: str, *excepts: str) -> IntervalSet:
    read = [read_cidr(text) for text in (cidr, *excepts)]
    networks = [parsed.network for parsed in read if parsed]
    return block_set(networks[0], networks[1:])


def rendered(rule: Rule) -> object:
    spec = render_policy(Policy("ns", "p", EVERYTHING, INGRESS, (rule,)))["spec"]
    assert isinstance(spec, dict)
    return spec["ingress"][0]


def same(read: Policy | None, policy: Policy) -> bool:
    """Compare without the order of a rule's pod peers, which random policies do not keep."""
    assert read is not None

    def as_sets(rules: Sequence[Rule]) -> list[object]:
        return [
            (rule.ports, rule.peers and (frozenset(rule.peers.pods), rule.peers.addresses)) for rule in rules
        ]

    return (
        (read.namespace, read.name, read.pods, read.types)
        == (policy.namespace, policy.name, policy.pods, policy.types)
        and as_sets(read.ingress) == as_sets(policy.ingress)
        and as_sets(read.egress) == as_sets(policy.egress)
    )


@given(policies())
def test_a_rendered_policy_is_a_valid_manifest_and_parses_back_to_the_same(policy: Policy) -> None:
    manifest = render_policy(policy)
    new = parse_policy(manifest, validation=Validation.NEW)
    assert new.errors == ()
    assert new.unknown_fields == ()
    assert same(new.policy, policy)


@given(policies())
def test_rendering_what_was_read_and_reading_it_again_changes_nothing(policy: Policy) -> None:
    once = parse_stored(json.dumps(render_policy(policy)).encode()).policy
    assert once is not None
    assert parse_stored(json.dumps(render_policy(once)).encode()).policy == once


def test_labels_are_written_as_match_labels_where_that_says_it() -> None:
    selector = Selector.labels({"app": "db", "tier": ""})
    assert render_selector(selector) == {"matchLabels": {"app": "db", "tier": ""}}


def test_other_requirements_are_written_as_expressions() -> None:
    selector = Selector.of(
        [
            ("a", LabelSet.of(Operator.IN, ["2", "1"])),
            ("b", LabelSet.of(Operator.NOT_IN, ["1"])),
            ("c", LabelSet.of(Operator.EXISTS) & LabelSet.of(Operator.NOT_IN, ["x"])),
            ("d", LabelSet.of(Operator.DOES_NOT_EXIST)),
        ]
    )
    assert render_selector(selector) == {
        "matchExpressions": [
            {"key": "a", "operator": "In", "values": ["1", "2"]},
            {"key": "b", "operator": "NotIn", "values": ["1"]},
            {"key": "c", "operator": "Exists"},
            {"key": "c", "operator": "NotIn", "values": ["x"]},
            {"key": "d", "operator": "DoesNotExist"},
        ]
    }


def test_a_peer_of_the_own_namespace_is_a_pod_selector_alone() -> None:
    rule = Rule(Peers((PodPeer.own("ns", Selector.labels({"app": "db"})),)))
    assert rendered(rule) == {"from": [{"podSelector": {"matchLabels": {"app": "db"}}}]}


def test_all_pods_of_all_namespaces_are_an_empty_namespace_selector() -> None:
    assert rendered(Rule(Peers((PodPeer(),)))) == {"from": [{"namespaceSelector": {}}]}


def test_a_rule_without_restriction_is_empty() -> None:
    assert rendered(ALLOW_ALL) == {}


def test_a_peer_that_nobody_is_stays_one() -> None:
    policy = Policy("ns", "p", NOTHING, INGRESS, (Rule(Peers()),))
    assert parse_policy(render_policy(policy), validation=Validation.NEW).policy == policy


def test_a_block_with_a_hole_is_written_with_except() -> None:
    rule = Rule(Peers((), addresses("10.0.0.0/8", "10.1.2.3/32")))
    assert rendered(rule) == {"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.2.3/32"]}}]}


def test_a_few_blocks_are_written_one_by_one() -> None:
    both = addresses("10.0.0.1/32") | addresses("192.168.0.1/32")
    assert rendered(Rule(Peers((), both))) == {
        "from": [{"ipBlock": {"cidr": "10.0.0.1/32"}}, {"ipBlock": {"cidr": "192.168.0.1/32"}}]
    }


def test_ports_are_written_as_numbers_ranges_protocols_and_names() -> None:
    ports = PortSet.of(
        [port_range(Protocol.TCP, 80, 80), port_range(Protocol.TCP, 8000, 8010), port_range(Protocol.UDP)],
        [(Protocol.SCTP, "diameter")],
    )
    assert rendered(Rule(None, ports)) == {
        "ports": [
            {"protocol": "TCP", "port": 80},
            {"protocol": "TCP", "port": 8000, "endPort": 8010},
            {"protocol": "UDP"},
            {"protocol": "SCTP", "port": "diameter"},
        ]
    }


def test_what_the_api_cannot_say_is_refused() -> None:
    absent_or_one = LabelSet(frozenset({"a"}), cofinite=False, absent=True)
    with pytest.raises(ValueError, match="absent or one of"):
        render_selector(Selector.of([("app", absent_or_one)]))
    with pytest.raises(ValueError, match="without types"):
        render_policy(Policy("ns", "p", EVERYTHING, frozenset()))
    with pytest.raises(ValueError, match="no port passes"):
        rendered(Rule(None, PortSet(IntervalSet())))
