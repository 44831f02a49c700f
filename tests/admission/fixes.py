"""Every fix that a rejection shows, applied as a developer would and judged by brute force."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, replace
from random import Random

from app.admission.ports import Rules
from app.engine.baselines import written_baselines
from app.engine.policy import Policy
from app.wire.networkpolicy import Validation, parse_policy
from app.wire.render import render_policy
from tests.admission.jsonpatch import apply_patch
from tests.admission.world import Answer, ask, request
from tests.engine.oracle import Object
from tests.engine.small import Small
from tests.engine.universe import OWN, SMALL, Generator
from tests.engine.verdicts import Views, fate

_PATCH = "  patch: "


@dataclass(frozen=True)
class Change:
    """A policy that is created, or changed, beside others."""

    others: tuple[Object, ...]
    old: Object | None
    new: Object

    @property
    def before(self) -> list[Object]:
        """The policies that stand before."""
        return [*self.others, *([] if self.old is None else [self.old])]


def fixes_hold(count: int, seed: int) -> int:
    """Check ``count`` fixes of rejections; return the count."""
    return kinds_of_fixes(count, seed).total()


def kinds_of_fixes(count: int, seed: int) -> Counter[str]:
    """Check ``count`` fixes of rejections; return how often which kind of operation led the patch."""
    chance, found = Random(seed), Counter[str]()
    while found.total() < count:
        small = Small.random(chance)
        change = _random_change(chance, small)
        answer = _answer(change, small)
        if answer.allowed:
            continue
        patch = _patch_of(answer)
        if patch is None:
            continue
        again = replace(change, new=apply_patch(change.new, patch))
        wrong = _defect(again, small) or _second_thought(_answer(again, small))
        assert not wrong, (seed, wrong, small, change, patch)
        found[_kind(patch[0])] += 1
    return found


def _kind(operation: Object) -> str:
    """Return the operation with every index as a star: ``add /spec/ingress/*/from/-``."""
    return f"{operation['op']} {re.sub(r'[0-9]+', '*', operation['path'])}"


def _random_change(chance: Random, small: Small) -> Change:
    """Return the creation of a policy, or the change of one; now and then baselines stand, or are changed."""
    generator = Generator(chance, SMALL)
    standing = generator.policies(2) + _some_baselines(chance, small)
    name = chance.choice(standing)["metadata"]["name"] if standing and chance.random() < 0.5 else "new"
    old = next((one for one in standing if one["metadata"]["name"] == name), None)
    new = generator.policy(name)
    if old is not None and chance.random() < 0.5:
        new = _narrowed(chance, old, new)
    return Change(tuple(one for one in standing if one is not old), old, new)


def _some_baselines(chance: Random, small: Small) -> list[Object]:
    if chance.random() < 0.5:
        return []
    made = [json.loads(json.dumps(render_policy(one))) for one in written_baselines(small.cluster, OWN)]
    return made if chance.random() < 0.7 else [chance.choice(made)]


def _narrowed(chance: Random, old: Object, other: Object) -> Object:
    """Return ``old`` with one member of its spec taken from ``other``."""
    member = chance.choice(("ingress", "egress", "policyTypes", "podSelector"))
    return {**old, "spec": {**old["spec"], member: other["spec"][member]}}


def _answer(change: Change, small: Small) -> Answer:
    policies = tuple(_parsed(one) for one in change.before)
    cluster = replace(small.cluster, policies={OWN: policies})
    operation = "CREATE" if change.old is None else "UPDATE"
    return ask(cluster, request(operation, change.new, change.old), Rules(options=small.options))


def _parsed(manifest: Object) -> Policy:
    parsed = parse_policy(manifest, validation=Validation.NEW)
    assert parsed.policy is not None, parsed.errors
    assert not parsed.errors, parsed.errors
    return parsed.policy


def _patch_of(answer: Answer) -> list[Object] | None:
    lines = [one for one in answer.message.splitlines() if one.startswith(_PATCH)]
    return json.loads(lines[0].removeprefix(_PATCH)) if lines else None


def _second_thought(answer: Answer) -> str:
    return "" if answer.allowed else f"the guard rejects its own fix: {answer.message}"


def _defect(change: Change, small: Small) -> str:
    """Return what is wrong with a fixed policy, "" if nothing is: it parses, and loses nothing new."""
    parsed = parse_policy(change.new, validation=Validation.NEW)
    if parsed.errors:
        return f"the API server would refuse it: {parsed.errors}"
    before = Views.of(change.before, small)
    after = Views.of([*change.others, change.new], small)
    for flow in small.required():
        for with_addresses in small.views:
            if fate(flow, before, after, with_addresses=with_addresses) == "new":
                return f"the fixed policy still cuts {flow.key}"
    return ""
