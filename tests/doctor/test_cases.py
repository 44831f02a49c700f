from __future__ import annotations

import pytest

from app.doctor.findings import Check, Report
from tests.doctor import world
from tests.doctor.world import Case, all_checks, changed, examined, healthy

CASES = world.cases()
SPECIFIED_ELSEWHERE = {"api-server-unknown", "too-complex", "unchecked"}
"""Checks that no change of an object brings about: see ``test_limits.py``."""


def report_of(case: Case) -> Report:
    return examined(changed(healthy(), case.change), calls=case.calls)


def test_a_healthy_cluster_has_no_finding() -> None:
    assert examined(healthy()).findings == ()


@pytest.mark.parametrize("case", CASES, ids=lambda one: one.name)
def test_the_cause_is_found_first(case: Case) -> None:
    first = report_of(case).findings[0]
    assert first.check.value == case.finds
    assert first.severity.value == case.severity
    assert case.says in first.title


@pytest.mark.parametrize("case", CASES, ids=lambda one: one.name)
def test_nothing_but_the_cause_is_a_finding_and_what_follows_hangs_below_it(case: Case) -> None:
    findings = report_of(case).findings
    assert [one.check.value for one in findings if one.severity.counts][1:] == []
    assert set(all_checks(findings[0].symptoms)) == set(case.follows)


@pytest.mark.parametrize("case", CASES, ids=lambda one: one.name)
def test_every_finding_says_how_it_is_known_what_follows_and_what_to_do(case: Case) -> None:
    for one in report_of(case).findings:
        assert one.evidence
        assert one.consequence
        assert one.repair is not None
        assert one.repair.command
        assert (one.repair.step is not None) is (case.repair == "fix")


def test_there_are_more_than_twenty_cases_with_different_names() -> None:
    assert len({one.name for one in CASES}) == len(CASES) > 20


def test_every_check_has_a_case() -> None:
    found = {name for case in CASES for name in (case.finds, *case.follows)}
    found |= SPECIFIED_ELSEWHERE
    assert {one.value for one in Check} - found == set()
