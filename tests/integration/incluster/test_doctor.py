"""doctor on a real cluster: healthy, broken in every way of ``tests/doctor/cases.yaml``, and repaired."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rich.console import Console

from app.cli.repair import Consent, repair
from app.cli.site import LiveSite
from app.cli.terminal import LineTerminal
from app.doctor.findings import Report
from tests.doctor import world
from tests.doctor.test_cases import FIVE
from tests.doctor.world import Case, all_checks
from tests.integration.incluster.doctored import Doctored
from tests.integration.incluster.scenes import eventually
from tests.kube.cluster import Cluster

# A ledger that is made anew counts everything as changing for a minute, in the way of the repairs that come
# next; `test_permissions.py` takes it away and brings it back.
_ANEW = "the guard's ledger is missing"
CASES = tuple(case for case in world.cases() if case.scene == "any" and case.name != _ANEW)
FIXED = tuple(case for case in CASES if case.repair == "fix")
COMMANDED = tuple(case for case in CASES if case.repair == "command")


@pytest.fixture(scope="module")
def doctored(cluster: Cluster) -> Doctored:
    return Doctored(cluster)


@pytest.fixture
def broken(doctored: Doctored, request: pytest.FixtureRequest) -> Iterator[tuple[Doctored, Case]]:
    case: Case = request.param
    doctored.break_by(case.change)
    try:
        yield doctored, case
    finally:
        doctored.mend(case.change)


def healthy_again(doctored: Doctored) -> Report:
    assert eventually(lambda: doctored.look().is_healthy), doctored.look()
    return doctored.look()


def counted(report: Report) -> list[str]:
    return [finding.check.value for finding in report.findings if finding.severity.counts]


def test_a_healthy_cluster_is_green_five_times_in_a_row(doctored: Doctored) -> None:
    for _ in range(5):
        done = doctored.run("--verbose")
        assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
        assert "healthy: nothing is cut off\n" in done.stdout
        assert "webhook iomete-system/spark-operator-webhook: the API server reaches it" in done.stdout


@pytest.mark.parametrize("broken", CASES, ids=lambda case: case.name, indirect=True)
def test_the_cause_is_found_first_and_repaired(broken: tuple[Doctored, Case]) -> None:
    doctored, case = broken
    assert eventually(lambda: first_of(doctored.look()) == case.finds), doctored.look().findings
    report = doctored.look()
    first = report.findings[0]
    assert first.severity.value == case.severity
    assert case.says in first.title
    assert counted(report)[1:] == []
    assert set(case.follows) <= set(all_checks(first.symptoms))
    if case.repair == "fix":
        fixed(doctored, report)
        healthy_again(doctored)
    elif case.repair == "command" and first.repair is not None and "IMAGE" not in first.repair.command:
        done = doctored.shell(first.repair.command)
        assert done.returncode == 0, done.stderr
        healthy_again(doctored)


def first_of(report: Report) -> str:
    return report.findings[0].check.value if report.findings else ""


def fixed(doctored: Doctored, report: Report) -> None:
    with doctored.cluster.entered():
        site = LiveSite.connect(doctored.cluster.kubeconfig(), None)
        console, consent = Console(stderr=True), Consent(yes=True, pause=0.0)
        assert repair(report, console, consent, site=site, terminal=LineTerminal())


def test_five_at_once_are_all_found_the_gravest_first_and_repaired_in_one_go(doctored: Doctored) -> None:
    cases = [case for case in CASES if case.name in FIVE]
    change = [each for case in cases for each in case.change]
    doctored.break_by(change)
    try:
        expected = {case.finds for case in cases}
        assert eventually(lambda: set(counted(doctored.look())) == expected), doctored.look()
        report = doctored.look()
        severities = [finding.severity.rank for finding in report.findings]
        assert severities == sorted(severities)
        done = doctored.run("--fix", "--yes", "--pause", "0")
        assert "--fix would do 5 thing(s)" in done.stdout, done.stdout + done.stderr
        healthy_again(doctored)
    finally:
        doctored.mend(change)


def test_nothing_is_repaired_where_nobody_can_be_asked(doctored: Doctored) -> None:
    label = {
        "patch": "Namespace data-plane",
        "with": {"metadata": {"labels": {"iomete.com/managed": "True"}}},
    }
    doctored.break_by([label])
    try:
        done = doctored.run("--fix")
        assert done.returncode == 2
        assert "nobody can be asked here" in done.stderr
        assert first_of(doctored.look()) == "label-missing"
    finally:
        doctored.mend([label])


def test_kubectl_finds_doctor_as_a_plugin(doctored: Doctored) -> None:
    done = doctored.shell("kubectl netpol-guard doctor --verbose")
    assert (done.returncode, done.stderr) == (0, "")
    assert "healthy: nothing is cut off" in done.stdout


def test_a_user_who_may_only_read_sees_the_same(doctored: Doctored) -> None:
    done = doctored.run(user="readonly")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "healthy: nothing is cut off\n"


def test_the_map_of_a_healthy_cluster_is_one_group(doctored: Doctored) -> None:
    done = doctored.cluster.guard("map")
    assert done.returncode == 0
    assert "g1   data-plane, data-plane-2 and 1 more  (3 namespaces)" in done.stdout
    assert "yes   10.99.0.1" in done.stdout


def test_namespaces_that_are_deleted_meanwhile_do_no_harm(doctored: Doctored) -> None:
    labels = {"iomete.com/managed": "true"}
    for number in range(5):
        name = f"passing-{number}"
        doctored.client.request("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
        doctored.client.request("DELETE", f"/api/v1/namespaces/{name}")
        checks = {finding.check.value for finding in doctored.look().findings}
        assert checks <= {"baseline-missing"}
    healthy_again(doctored)
