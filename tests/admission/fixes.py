"""Every fix that a rejection shows, applied as a developer would and judged by brute force."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from random import Random

from app.wire.networkpolicy.parse import Validation, parse_policy
from tests.admission.changes import Change, answer_to, random_change
from tests.admission.jsonpatch import apply_patch
from tests.admission.world import Answer
from tests.engine.oracle import Object
from tests.engine.small import Small
from tests.engine.verdicts import Views, fate

_PATCH = "  patch: "


def fixes_hold(count: int, seed: int) -> int:
    """Check ``count`` fixes of rejections; return the count."""
    return kinds_of_fixes(count, seed).total()


def kinds_of_fixes(count: int, seed: int) -> Counter[str]:
    """Check ``count`` fixes of rejections; return how often which kind of operation led the patch."""
    chance, found = Random(seed), Counter[str]()
    while found.total() < count:
        small = Small.random(chance)
        change = random_change(chance, small)
        answer = answer_to(change, small)
        if answer.allowed:
            continue
        patch = _patch_of(answer)
        if patch is None:
            continue
        again = replace(change, new=apply_patch(change.new, patch))
        wrong = _defect(again, small) or _second_thought(answer_to(again, small))
        assert not wrong, (seed, wrong, small, change, patch)
        found[_kind(patch[0])] += 1
    return found


def _kind(operation: Object) -> str:
    """Return the operation with every index as a star: ``add /spec/ingress/*/from/-``."""
    return f"{operation['op']} {re.sub(r'[0-9]+', '*', operation['path'])}"


def _patch_of(answer: Answer) -> list[Object] | None:
    lines = [line for line in answer.message.splitlines() if line.startswith(_PATCH)]
    return json.loads(lines[0].removeprefix(_PATCH)) if lines else None


def _second_thought(answer: Answer) -> str:
    return "" if answer.allowed else f"the guard rejects its own fix: {answer.message}"


def _defect(change: Change, small: Small) -> str:
    """Return what is wrong with a fixed policy, "" if nothing is: it parses, and loses nothing new."""
    parsed = parse_policy(change.new or {}, validation=Validation.NEW)
    if parsed.errors:
        return f"the API server would refuse it: {parsed.errors}"
    before = Views.of(change.before, small)
    after = Views.of(change.after, small)
    for flow in small.required():
        for with_addresses in small.views:
            if fate(flow, before, after, with_addresses=with_addresses) == "new":
                return f"the fixed policy still cuts {flow.key}"
    return ""
