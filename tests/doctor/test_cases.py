from __future__ import annotations

import random

import pytest

from app.doctor.findings import Check, Report
from tests.doctor import world
from tests.doctor.world import Case, Manifest, all_checks, changed, examined, healthy

CASES = world.cases()
SPECIFIED_ELSEWHERE = {"api-server-unknown", "too-complex", "unchecked"}
"""Checks that no change of an object brings about: see ``test_limits.py``."""


def report_of(case: Case) -> Report:
    return examined(changed(healthy(), case.change), calls=case.calls)


def test_a_healthy_cluster_has_no_finding() -> None:
    assert examined(healthy()).findings == ()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_cause_is_found_first(case: Case) -> None:
    first = report_of(case).findings[0]
    assert first.check.value == case.finds
    assert first.severity.value == case.severity
    assert case.says in first.title


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_nothing_but_the_cause_is_a_finding_and_what_follows_hangs_below_it(case: Case) -> None:
    findings = report_of(case).findings
    assert [finding.check.value for finding in findings if finding.severity.counts][1:] == []
    assert set(all_checks(findings[0].symptoms)) == set(case.follows)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_finding_says_how_it_is_known_what_follows_and_what_to_do(case: Case) -> None:
    for finding in report_of(case).findings:
        assert finding.evidence
        assert finding.consequence
        assert finding.repair is not None
        assert finding.repair.command
        assert (finding.repair.step is not None) is (case.repair == "fix")


def test_there_are_more_than_twenty_cases_with_different_names() -> None:
    assert len({case.name for case in CASES}) == len(CASES) > 20


def test_every_check_has_a_case() -> None:
    found = {name for case in CASES for name in (case.finds, *case.follows)}
    found |= SPECIFIED_ELSEWHERE
    assert {check.value for check in Check} - found == set()


FIVE = (
    "one baseline of a data plane is missing",
    "the address in the baseline is the one that kubectl shows, not the API server's",
    "the webhook is called at a port that its Service does not have",
    "the guard runs as a single pod",
    "somebody isolated the DNS pods",
)


def test_five_at_once_are_all_found_the_gravest_first() -> None:
    cases = [case for case in CASES if case.name in FIVE]
    findings = examined(changed(healthy(), [each for case in cases for each in case.change])).findings
    assert {finding.check.value for finding in findings} == {case.finds for case in cases}
    ranks = [finding.severity.rank for finding in findings]
    assert ranks == sorted(ranks)


def place_of(change: Manifest) -> str:
    """Return the namespace that a change is in, or the name of what has none; a webhook is in its own."""
    if "create" in change:
        return str(change["create"]["metadata"].get("namespace", "the cluster"))
    key = change.get("patch") or change.get("delete") or change["edit"]
    return str(key).partition(" ")[2].partition("/")[0].removeprefix("spark-operator-")


@pytest.mark.parametrize("number", range(10))
def test_any_five_at_once_are_all_found(number: int) -> None:
    chosen: list[Case] = []
    touched: set[str] = set()
    for case in random.Random(number).sample(CASES, len(CASES)):
        names = {place_of(change) for change in case.change}
        if not case.calls and not names & touched and case.scene == "any":
            touched |= names
            chosen.append(case)
    chosen = chosen[:5]
    calls = {key: value for pick in chosen for key, value in pick.calls.items()}
    report = examined(changed(healthy(), [each for pick in chosen for each in pick.change]), calls=calls)
    found = set(all_checks(report.findings))
    assert {pick.finds for pick in chosen} <= found, [pick.name for pick in chosen]
