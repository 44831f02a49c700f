"""Random changes in a small cluster, and what the guard answers to them, as the API server would hear it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from random import Random

from app.admission.rules import Rules
from app.engine.baselines import written_baselines
from app.engine.policy import Policy
from app.wire.networkpolicy.parse import Validation, parse_policy
from app.wire.networkpolicy.render import render_policy
from tests.admission.world import Answer, ask, request
from tests.engine.oracle import Object
from tests.engine.small import Small
from tests.engine.universe import OWN, SMALL, Generator
from tests.engine.verdicts import Views, expected


@dataclass(frozen=True)
class Change:
    """A policy that is created, changed or deleted beside others."""

    others: tuple[Object, ...]
    old: Object | None
    new: Object | None

    @property
    def before(self) -> list[Object]:
        """The policies that stand before."""
        return [*self.others, *([] if self.old is None else [self.old])]

    @property
    def after(self) -> list[Object]:
        """The policies that stand after it."""
        return [*self.others, *([] if self.new is None else [self.new])]


def random_change(chance: Random, small: Small) -> Change:
    """Return the creation of a policy, or the change of one; now and then baselines stand, or are changed."""
    generator = Generator(chance, SMALL)
    standing = generator.policies(2) + _some_baselines(chance, small)
    name = chance.choice(standing)["metadata"]["name"] if standing and chance.random() < 0.5 else "new"
    old = next((policy for policy in standing if policy["metadata"]["name"] == name), None)
    new = generator.policy(name)
    if old is not None and chance.random() < 0.5:
        new = _narrowed(chance, old, new)
    return Change(tuple(policy for policy in standing if policy is not old), old, new)


def _some_baselines(chance: Random, small: Small) -> list[Object]:
    if chance.random() < 0.5:
        return []
    made = [
        json.loads(json.dumps(render_policy(baseline))) for baseline in written_baselines(small.cluster, OWN)
    ]
    return made if chance.random() < 0.7 else [chance.choice(made)]


def _narrowed(chance: Random, old: Object, other: Object) -> Object:
    """Return ``old`` with one member of its spec taken from ``other``."""
    member = chance.choice(("ingress", "egress", "policyTypes", "podSelector"))
    return {**old, "spec": {**old["spec"], member: other["spec"][member]}}


def answer_to(change: Change, small: Small) -> Answer:
    """Return the guard's answer."""
    policies = tuple(_parsed(policy) for policy in change.before)
    cluster = replace(small.cluster, policies={OWN: policies})
    operation = "CREATE" if change.old is None else "DELETE" if change.new is None else "UPDATE"
    return ask(cluster, request(operation, change.new, change.old), Rules(options=small.options))


def _parsed(manifest: Object) -> Policy:
    parsed = parse_policy(manifest, validation=Validation.NEW)
    assert parsed.policy is not None, parsed.errors
    assert not parsed.errors, parsed.errors
    return parsed.policy


def _needs_a_baseline(change: Change, small: Small) -> bool:
    """Tell whether something required is cut after ``change`` that both baselines would keep open."""
    made = [
        json.loads(json.dumps(render_policy(baseline))) for baseline in written_baselines(small.cluster, OWN)
    ]
    named = [
        {**manifest, "metadata": {**manifest["metadata"], "name": f"{index}"}}
        for index, manifest in enumerate(made)
    ]
    complete, alone = Views.of([*change.after, *named], small), Views.of(change.after, small)
    return any(fate[0] == "new" for fate in expected(complete, alone, small).values())


def reviews_agree(count: int, seed: int) -> int:
    """Compare the answers to ``count`` random changes, deletions among them, with brute force."""
    chance, done = Random(seed), 0
    while done < count:
        small = Small.random(chance)
        change = random_change(chance, small)
        if change.old is not None and chance.random() < 0.5:
            change = replace(change, new=None)
        answer = answer_to(change, small)
        if answer.allowed and "apply the missing baseline" in answer.warnings:
            # Judged as if the other baseline stood. Brute force knows of no such kindness, but what is cut.
            assert _needs_a_baseline(change, small), (seed, small, change)
            continue
        fates = expected(Views.of(change.before, small), Views.of(change.after, small), small)
        cut, warned = (
            sorted({row for (row, _), fate in fates.items() if fate[:2] == ("new", worth)})
            for worth in ("reject", "warn")
        )
        assert answer.allowed is not bool(cut), (seed, small, change, cut)
        told = sorted(answer.decision.flows)
        assert told == (cut or warned), (seed, small, change, told, cut, warned)
        done += 1
    return done
