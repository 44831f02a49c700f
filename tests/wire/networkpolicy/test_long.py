"""The rules of a long policy stay text until somebody asks for them, and mean the same."""

from __future__ import annotations

import json
import pickle
from typing import Any

import msgspec
import pytest

from app.engine.policy import ALLOW_ALL, Direction, Peers, Policy, Rule
from app.wire.fields import Validation
from app.wire.networkpolicy.parse import parse_policy, parse_stored
from app.wire.networkpolicy.rules import LONG, LongRules, is_long

Object = dict[str, Any]
_COUNT = LONG // 60
_RULES: list[Object] = [
    {
        "from": [{"podSelector": {"matchLabels": {"app": f"app-{number}"}}}],
        "ports": [{"protocol": "TCP", "port": 1 + number}],
    }
    for number in range(_COUNT)
]


def _object(*more: object, annotation: str = "") -> Object:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "long", "namespace": "one", "annotations": {"note": annotation}},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [*_RULES, *more]},
    }


def _read(obj: Object) -> Policy:
    policy = parse_stored(json.dumps(obj, separators=(",", ":")).encode()).policy
    assert policy is not None
    return policy


def _carefully(obj: Object) -> Policy:
    policy = parse_policy(obj, validation=Validation.STORED).policy
    assert policy is not None
    return policy


def test_a_long_policy_means_what_the_careful_reader_says() -> None:
    assert isinstance(_read(_object()).ingress, LongRules)
    assert _read(_object()) == _carefully(_object())


@pytest.mark.parametrize(
    "odd",
    [
        None,
        7,
        [],
        {"from": None, "ports": None},
        {"from": [None]},
        {"from": "everybody"},
        {"ports": [{"port": 70000}]},
        {"from": [{"ipBlock": {"cidr": "nowhere"}}]},
        {"from": [{"podSelector": {"matchExpressions": [{"key": "a", "operator": "Likes"}]}}]},
        {"unknown": {"to": "us"}},
    ],
)
def test_a_rule_out_of_the_ordinary_means_what_the_careful_reader_says(odd: object) -> None:
    assert tuple(_read(_object(odd)).ingress) == tuple(_carefully(_object(odd)).ingress)


def test_what_no_json_reader_takes_allows_nothing() -> None:
    rules = LongRules(b'[{"from":[{"podSelector":{"matchLabels":{"a":"\xff"}}}]}]', Direction.INGRESS, "one")
    assert tuple(rules) == (Rule(Peers()),)


def test_rules_that_are_no_list_need_the_careful_reader() -> None:
    with pytest.raises(msgspec.MsgspecError):
        LongRules(b"{}", Direction.INGRESS, "one")


def test_the_types_follow_from_the_rules_of_a_long_policy_too() -> None:
    obj = _object()
    del obj["spec"]["policyTypes"]
    assert _read(obj).types == {Direction.INGRESS}
    obj["spec"]["egress"] = [{}]
    assert _read(obj) == _carefully(obj)
    assert _read(obj).types == {Direction.INGRESS, Direction.EGRESS}


def test_it_is_sent_to_another_process_as_text() -> None:
    policy = _read(_object())
    sent = pickle.dumps(policy)
    received: Policy = pickle.loads(sent)  # noqa: S301 - of this process
    assert received == policy
    assert len(sent) < 1.1 * len(json.dumps(_object(), separators=(",", ":")))
    assert tuple(received.ingress) == tuple(policy.ingress)


def test_a_policy_is_long_by_its_rules_alone_and_not_if_one_allows_everything() -> None:
    assert is_long(_read(_object()))
    short = {**_object(annotation="x" * 2 * LONG)}
    short["spec"] = {"podSelector": {}, "policyTypes": ["Ingress"], "ingress": _RULES[:2]}
    assert not is_long(_read(short))
    assert not is_long(_read(_object({})))
    assert is_long(_read(_object({"ports": [{"port": 1}]})))


def test_one_rule_that_allows_everything_says_all_and_none_of_the_others_is_read() -> None:
    policy = _read(_object({}))
    assert policy.allowing(Direction.INGRESS) == (ALLOW_ALL,)
    assert isinstance(policy.ingress, LongRules)
    assert not any(isinstance(rule, Rule) for rule in policy.ingress._rules)
    assert len(policy.ingress) == _COUNT + 1
    assert policy.allowing(Direction.EGRESS) == ()


def test_equal_texts_are_equal_and_other_rules_are_not() -> None:
    assert _read(_object()) == _read(_object())
    assert _read(_object()) != _read(_object({}))
    assert hash(_read(_object()).ingress) == hash(_carefully(_object()).ingress)
