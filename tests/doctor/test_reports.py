from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest

from app.doctor.examine import examine
from app.doctor.report.machine import FORMATS, Examination
from tests.doctor.world import Manifest, changed, context, healthy

LOST: Manifest = {"delete": "NetworkPolicy data-plane/iomete-ingress-egress"}
DENY: Manifest = {
    "create": {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "default-deny", "namespace": "data-plane-2"},
        "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
    }
}


@pytest.fixture(scope="module")
def broken() -> Examination:
    given = context(changed(healthy(), [LOST, DENY]))
    return Examination(examine(given), given, "https://cluster.example:6443")


def test_json_tells_findings_with_symptoms_and_the_matrix(broken: Examination) -> None:
    shown = json.loads(FORMATS["json"](broken))
    assert shown["healthy"] is False
    first = shown["findings"][0]
    assert (first["check"], first["namespace"]) == ("baseline-missing", "data-plane")
    assert [finding["check"] for finding in first["symptoms"]] == ["flow-lost"]
    assert first["repair"]["byFix"] is True
    flows = {row["namespace"]: row["flows"] for row in shown["namespaces"]}
    assert flows["data-plane"]["managed-ingress"] == "lost"
    assert flows["iomete-system"]["webhook-ingress"] == "open"


def test_sarif_names_checks_and_objects(broken: Examination) -> None:
    (run,) = json.loads(FORMATS["sarif"](broken))["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
    levels = {result["ruleId"]: result["level"] for result in run["results"]}
    assert levels == {"baseline-missing": "error", "isolates-without-need": "note"}
    place = run["results"][0]["locations"][0]["logicalLocations"][0]
    assert place["fullyQualifiedName"] == "namespace data-plane"


def test_junit_counts_what_has_to_be_done_as_failures_and_the_rest_as_passed(broken: Examination) -> None:
    suites = ET.fromstring(FORMATS["junit"](broken))  # noqa: S314 - our own
    assert suites.attrib["failures"] == "1"
    failed = [case.attrib["name"] for case in suites.iter("testcase") if case.find("failure") is not None]
    assert failed == ["baseline-missing: namespace data-plane"]
    assert int(suites.attrib["tests"]) == 2 + len(broken.report.fine)
