"""The formats for programs, over results of any command."""

from __future__ import annotations

import json
from enum import Enum
from xml.etree import ElementTree as ET

import pytest

from app.output.github import as_github
from app.output.junit import JunitCase, as_junit
from app.output.results import Result
from app.output.sarif import as_sarif


class Rule(Enum):
    """What results may be about."""

    LOST_FLOW = "lost-flow"
    OLD_NAME = "old-name"


RULES = ((Rule.LOST_FLOW, "A flow is lost."), (Rule.OLD_NAME, "A name is old."))


def located(result: Result) -> dict[str, object]:
    """Return the location that SARIF names for ``result``."""
    log = json.loads(as_sarif(RULES, [result]))
    (location,) = log["runs"][0]["results"][0]["locations"]
    assert isinstance(location, dict)
    return location


@pytest.mark.parametrize(
    ("file", "uri"),
    [("my policies/deny.yaml", "my%20policies/deny.yaml"), ("/a/b.yaml", "file:///a/b.yaml"), ("", "stdin")],
)
def test_sarif_spells_names_as_uris_and_keeps_relative_ones_relative(file: str, uri: str) -> None:
    place = located(Result(Rule.LOST_FLOW, "error", "lost", file, (8, 3)))["physicalLocation"]
    assert place == {"artifactLocation": {"uri": uri}, "region": {"startLine": 8, "startColumn": 3}}


def test_sarif_names_the_object_where_there_is_no_file() -> None:
    location = located(Result(Rule.OLD_NAME, "note", "old", subject="Service a/b"))
    assert location == {"logicalLocations": [{"fullyQualifiedName": "Service a/b", "kind": "resource"}]}


def test_sarif_lists_every_rule_with_its_meaning_and_results_point_to_them() -> None:
    (run,) = json.loads(as_sarif(RULES, [Result(Rule.OLD_NAME, "note", "old", subject="x")]))["runs"]
    assert run["tool"]["driver"]["rules"][1] == {
        "id": "old-name",
        "name": "OldName",
        "shortDescription": {"text": "A name is old."},
    }
    (result,) = run["results"]
    assert (result["ruleId"], result["ruleIndex"], result["level"]) == ("old-name", 1, "note")
    assert result["message"] == {"text": "old"}


def test_junit_counts_tests_and_failures_and_is_xml_whatever_a_text_says() -> None:
    failed = JunitCase("a\x01<&", ("]]>", "lost-flow", "\x00 text"))
    root = ET.fromstring(as_junit("check", [failed, JunitCase("b", output="said\ufffe")]))  # noqa: S314 - ours
    (suite,) = root
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert [test.get("classname") for test in suite] == ["netpol-guard.check"] * 2
    assert [child.tag for test in suite for child in test] == ["failure", "system-out"]


def test_github_annotations_name_file_and_line_and_stay_on_one_line() -> None:
    result = Result(Rule.LOST_FLOW, "error", "lost: 100%,\nreally", "a,b:c%.yaml", (8, 3))
    assert as_github([result], "1 error").splitlines() == [
        "::error file=a%2Cb%3Ac%25.yaml,line=8,col=3,title=lost-flow::lost: 100%25,%0Areally",
        "::notice title=netpol-guard::1 error",
    ]


def test_standard_input_has_no_file_to_annotate() -> None:
    shown = as_github([Result(Rule.LOST_FLOW, "warning", "lost", place=(8, 3))], "")
    assert shown.startswith("::warning line=8,col=3,title=lost-flow::lost\n")
