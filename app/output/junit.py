"""JUnit test suites, as CI systems take them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from collections.abc import Sequence

_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class JunitCase:
    """One test of a JUnit suite; it failed where ``failure`` says why, as message, type and text."""

    name: str
    failure: tuple[str, str, str] | None = None
    output: str = ""


def as_junit(command: str, cases: Sequence[JunitCase]) -> str:
    """Return the suites of one run of a command."""
    suite = ET.Element("testsuite", name=f"netpol-guard {command}")
    for test in cases:
        case = ET.SubElement(suite, "testcase", name=_in_xml(test.name), classname=f"netpol-guard.{command}")
        if test.failure is not None:
            message, kind, text = test.failure
            ET.SubElement(case, "failure", message=_in_xml(message), type=kind).text = _in_xml(text)
        if test.output:
            ET.SubElement(case, "system-out").text = _in_xml(test.output)
    failures = sum(test.failure is not None for test in cases)
    counts = {"tests": str(len(cases)), "failures": str(failures), "errors": "0", "skipped": "0"}
    suite.attrib.update(counts)
    suites = ET.Element("testsuites", counts)
    suites.append(suite)
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True)


def _in_xml(text: str) -> str:
    """Return ``text`` without the characters that XML cannot hold."""
    return _NOT_IN_XML.sub("\ufffd", text)
