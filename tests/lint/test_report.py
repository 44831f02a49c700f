"""Findings in the formats of programs, as their consumers take them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from app.lint.report import as_github, as_json, as_junit, as_sarif
from app.wire.text.files import read_manifests
from tests.lint.policies import DENY, OPEN, UNKNOWN, judge


@pytest.fixture
def deny(tmp_path: Path) -> Path:
    file = tmp_path / "deny.yaml"
    file.write_text(DENY)
    return file


def shown(file: Path, form: Callable[..., str], *, strict: bool = False) -> str:
    return form(judge(read_manifests([str(file)])), strict=strict)


def test_json_holds_everything_a_program_needs(deny: Path) -> None:
    report = json.loads(shown(deny, as_json))
    (finding,) = report["findings"]
    assert (finding["level"], finding["rule"]) == ("error", "managed-ingress")
    assert (finding["line"], finding["column"]) == (8, 3)
    assert finding["onlyAsWholeSet"] is True
    assert finding["patch"][0]["path"] == "/spec/ingress"
    assert (report["errors"], report["warnings"], report["policies"]) == (1, 0, 1)


def test_sarif_names_the_rule_and_the_region(deny: Path) -> None:
    log = json.loads(shown(deny, as_sarif))
    (run,) = log["runs"]
    (result,) = run["results"]
    rules = run["tool"]["driver"]["rules"]
    assert log["version"] == "2.1.0"
    assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == "managed-ingress"
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == deny.as_uri()
    assert place["region"] == {"startLine": 8, "startColumn": 3}


def test_junit_has_a_test_for_each_file(deny: Path) -> None:
    (deny.parent / "open.yaml").write_text(OPEN.replace("default-deny", "open").replace("plane", "x"))
    (deny.parent / "unknown.yaml").write_text(UNKNOWN.replace("default-deny", "u").replace("plane", "y"))
    root = ET.fromstring(shown(deny.parent, as_junit))  # noqa: S314 - ours
    (suite,) = root
    assert {test.get("name"): [child.tag for child in test] for test in suite} == {
        str(deny): ["failure"],
        str(deny.parent / "open.yaml"): [],
        str(deny.parent / "unknown.yaml"): ["system-out"],
    }
    assert (suite.get("tests"), suite.get("failures")) == ("3", "1")
    strict = ET.fromstring(shown(deny.parent, as_junit, strict=True))  # noqa: S314 - ours
    assert strict.get("failures") == "2"


def test_junit_is_xml_whatever_a_manifest_says(tmp_path: Path) -> None:
    (tmp_path / "odd.yaml").write_text(OPEN + '  "\\u0001]]><&": 1\n')
    ET.fromstring(shown(tmp_path, as_junit))  # noqa: S314 - ours


def test_github_annotations_come_with_the_explanation_and_a_summary(deny: Path) -> None:
    first, notice = shown(deny, as_github).splitlines()
    assert first.startswith(f"::error file={deny},line=8,col=3,title=managed-ingress::cuts managed")
    assert "%0A  example: a pod in data-plane" in first
    assert notice.startswith("::notice title=netpol-guard::1 error and 0 warnings")
