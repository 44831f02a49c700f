"""SARIF 2.1.0, as code scanning services take it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from app import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable
    from enum import Enum

    from app.output.results import Result

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def as_sarif(rules: Iterable[tuple[Enum, str]], results: Iterable[Result]) -> str:
    """Return a log of ``results``; ``rules`` are all that there are, each with what it means."""
    meanings = dict(rules)
    order = list(meanings)
    driver = {
        "name": "netpol-guard",
        "version": __version__,
        "rules": [
            {
                "id": rule.value,
                "name": rule.name.title().replace("_", ""),
                "shortDescription": {"text": meaning},
            }
            for rule, meaning in meanings.items()
        ],
    }
    shown = [
        {
            "ruleId": result.rule.value,
            "ruleIndex": order.index(result.rule),
            "level": result.level,
            "message": {"text": result.text},
            "locations": [_location(result)],
        }
        for result in results
    ]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": shown}
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _location(result: Result) -> dict[str, object]:
    if result.place is None:
        return {"logicalLocations": [{"fullyQualifiedName": result.subject, "kind": "resource"}]}
    line, column = result.place
    place = {
        "artifactLocation": {"uri": _uri(result.file)},
        "region": {"startLine": line, "startColumn": column},
    }
    return {"physicalLocation": place}


def _uri(file: str) -> str:
    """Return a file's name as a URI: relative ones stay relative, to the root of the checkout."""
    if not file:
        return "stdin"
    path = Path(file)
    return path.as_uri() if path.is_absolute() else quote(os.fsencode(path.as_posix()))
