from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from app.wire.networkpolicy.parse import Validation, parse_policy
from tests.corpus.cases import (
    ALL_CASES,
    FLOW_CASES,
    MANIFEST_CASES,
    RULES,
    SPECIAL,
    SPECIAL_CASES,
    Object,
    fails,
    gaps,
    passes,
)
from tests.corpus.flows import is_for_oracle, oracle_allows, product_allows
from tests.corpus.requests import answer


def _name(case: Object) -> str:
    return str(case["name"])


@pytest.mark.parametrize("case", FLOW_CASES, ids=_name)
def test_flow(case: Object) -> None:
    assert product_allows(case) is (case["expect"] == "allowed")


@pytest.mark.parametrize("case", [case for case in FLOW_CASES if is_for_oracle(case)], ids=_name)
def test_flow_by_the_independent_oracle(case: Object) -> None:
    assert oracle_allows(case) is (case["expect"] == "allowed")


@pytest.mark.parametrize("case", MANIFEST_CASES, ids=_name)
def test_manifest(case: Object) -> None:
    manifest = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "example", "namespace": "data-plane"},
        **case["manifest"],
    }
    parsed = parse_policy(manifest, validation=Validation(case.get("object", "new")))
    errors, dropped = [error.path for error in parsed.errors], [field.path for field in parsed.unknown_fields]
    wrong, lost = case["expect"] == "invalid", case["expect"] == "dropped"
    assert errors == ([case["field"]] if wrong else [])
    assert dropped == ([case["field"]] if lost else [])


@pytest.mark.parametrize("case", SPECIAL_CASES, ids=_name)
def test_special_case(case: Object) -> None:
    reply = answer(case)
    assert reply.allowed is (case["expect"] != "rejected")
    assert bool(reply.warnings) is (case["expect"] == "warned") or not reply.allowed
    said = reply.warnings if reply.allowed else reply.message
    for fragment in case.get("says", []):
        assert fragment in said
    for fragment in case.get("never says", []):
        assert fragment not in said


def test_every_rule_and_every_special_case_has_a_passing_and_a_failing_case() -> None:
    assert gaps(ALL_CASES) == []


@pytest.mark.parametrize(("word", "is_one"), [("passing", passes), ("failing", fails)])
@pytest.mark.parametrize(
    ("kind", "subject"), [*(("rule", rule) for rule in RULES), *(("case", case) for case in SPECIAL)]
)
def test_a_rule_or_special_case_that_loses_its_cases_is_noticed(
    kind: str, subject: object, word: str, is_one: Callable[[Object], bool]
) -> None:
    left = [case for case in ALL_CASES if case.get(kind) != subject or not is_one(case)]
    assert gaps(left) == [f"{kind} {subject}: no {word} case"]


def test_there_are_at_least_120_cases_and_each_has_a_name_of_its_own() -> None:
    assert len(ALL_CASES) >= 120
    assert [name for name, count in Counter(map(_name, ALL_CASES)).items() if count > 1] == []


def test_every_case_belongs_to_a_known_rule_or_special_case() -> None:
    assert {case["case"] for case in SPECIAL_CASES} == set(SPECIAL)
    assert {case["rule"] for case in (*FLOW_CASES, *MANIFEST_CASES)} == set(RULES)
    outcomes = {case["expect"] for case in ALL_CASES}
    assert outcomes <= {
        *("allowed", "denied", "valid", "invalid", "dropped"),
        *("admitted", "warned", "rejected"),
    }
