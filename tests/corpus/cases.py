"""Reads the cases: YAML files that a cluster admin can read, see ``README.md`` for their form."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).resolve().parent
Object = dict[str, Any]

RULES = tuple(range(1, 29))
SPECIAL = (
    "baselines-first",
    "no-effect",
    "delete",
    "finalizers",
    "namespace-deletion",
    "namespaces",
    "dry-run",
    "override",
    "two-changes",
    "a-way-out",
    "before-and-after",
    "modes",
    "webhook-ingress",
    "managed-ingress",
    "managed-egress",
    "platform-egress",
    "guessed-sources",
    "ip-block",
)
WARNS_AT_WORST = frozenset({"platform-egress"})
"""What is never worth a rejection: here a warning is the failing case."""

_PASSING = frozenset({"allowed", "valid", "admitted", "warned"})
_FAILING = frozenset({"denied", "invalid", "dropped", "rejected"})


def _read(folder: str) -> Iterator[Object]:
    for path in sorted((HERE / folder).glob("*.yaml")):
        yield from yaml.safe_load(path.read_text(encoding="utf-8"))


FLOW_CASES = [rule for rule in _read("rules") if "flow" in rule]
MANIFEST_CASES = [rule for rule in _read("rules") if "manifest" in rule]
SPECIAL_CASES = list(_read("special"))
ALL_CASES = [*FLOW_CASES, *MANIFEST_CASES, *SPECIAL_CASES]


def gaps(cases: Iterable[Object]) -> list[str]:
    """Return the rules and special cases that have no passing case, or no failing one."""
    known = list(cases)
    subjects: list[tuple[str, int | str]] = [("rule", rule) for rule in RULES]
    subjects += [("case", case) for case in SPECIAL]
    return [
        f"{kind} {subject}: no {word} case"
        for kind, subject in subjects
        for word, is_one in (("passing", passes), ("failing", fails))
        if not any(case.get(kind) == subject and is_one(case) for case in known)
    ]


def passes(case: Object) -> bool:
    """Tell whether the thing that ``case`` shows is let through, and that is not its worst outcome."""
    return case["expect"] in _PASSING and not fails(case)


def fails(case: Object) -> bool:
    """Tell whether the thing that ``case`` shows is refused, or warned of where that is the worst."""
    worst_is_warning = case.get("case") in WARNS_AT_WORST
    return case["expect"] in _FAILING or (worst_is_warning and case["expect"] == "warned")
