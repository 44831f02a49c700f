"""The frames of report formats that several commands fill: SARIF logs and JUnit suites."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from app import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from enum import Enum

_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def sarif_log(rules: Iterable[tuple[Enum, str]], results: Iterable[dict[str, object]]) -> str:
    """Return a SARIF 2.1.0 log, as code scanning services take it; each rule with what it means."""
    driver = {
        "name": "netpol-guard",
        "version": __version__,
        "rules": [
            {
                "id": one.value,
                "name": one.name.title().replace("_", ""),
                "shortDescription": {"text": meaning},
            }
            for one, meaning in rules
        ],
    }
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": list(results)}
    return json.dumps({"$schema": _SARIF, "version": "2.1.0", "runs": [run]}, indent=2)


@dataclass(frozen=True, slots=True)
class TestCase:
    """One test of a JUnit suite; it failed where ``failure`` says why, as message, type and text."""

    name: str
    failure: tuple[str, str, str] | None = None
    output: str = ""


def junit_suites(command: str, cases: Sequence[TestCase]) -> str:
    """Return the suites of one run of a command, as CI systems take them."""
    suite = ET.Element("testsuite", name=f"netpol-guard {command}")
    for one in cases:
        case = ET.SubElement(suite, "testcase", name=in_xml(one.name), classname=f"netpol-guard.{command}")
        if one.failure is not None:
            message, kind, text = one.failure
            ET.SubElement(case, "failure", message=in_xml(message), type=kind).text = in_xml(text)
        if one.output:
            ET.SubElement(case, "system-out").text = in_xml(one.output)
    failures = sum(one.failure is not None for one in cases)
    counts = {"tests": str(len(cases)), "failures": str(failures), "errors": "0", "skipped": "0"}
    suite.attrib.update(counts)
    suites = ET.Element("testsuites", counts)
    suites.append(suite)
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True)


def in_xml(text: str) -> str:
    """Return ``text`` without the characters that XML cannot hold."""
    return _NOT_IN_XML.sub("\ufffd", text)
