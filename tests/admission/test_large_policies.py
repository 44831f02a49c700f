"""Policies of 0.9 MB (F16): what is large need not be hard, with the ledger and without."""

from __future__ import annotations

import asyncio
import json

import pytest

from app.admission.reviewer import Reviewer
from app.admission.rules import Rules
from app.deadline import TimeLimits
from app.engine.policy import Policy
from app.wire.networkpolicy.parse import parse_stored
from app.wire.networkpolicy.rules import is_long
from tests.admission import world
from tests.admission.ledger_world import LedgerWorld, uid_of
from tests.admission.world import (
    DENY_ALL,
    NS,
    Answer,
    FakeState,
    Log,
    Object,
    ask,
    cluster,
    manifest,
    request,
)

_RULES: list[Object] = [
    {
        "from": [{"podSelector": {"matchLabels": {"app": f"app-{number}"}}}],
        "ports": [{"protocol": "TCP", "port": 1 + number}],
    }
    for number in range(9_000)
]
OPEN: Object = {}
TO_ALL: Object = {"from": [{"namespaceSelector": {}}]}


def large(name: str, *more: Object) -> Object:
    """Return a policy of 0.9 MB, as an API server keeps it."""
    spec = {"policyTypes": ["Ingress"], "ingress": [*_RULES, *more]}
    return manifest(name, spec, uid=uid_of(name), resourceVersion="50")


def stored(obj: Object) -> Policy:
    """Return a policy as it is read from an API server."""
    text = json.dumps(obj, separators=(",", ":")).encode()
    assert len(text) > 900_000
    policy = parse_stored(text).policy
    assert policy is not None
    return policy


def asked(policies: tuple[Policy, ...], change: Object, *, ledger: bool, seconds: float = 2.0) -> Answer:
    """Return the answer to ``change`` in a namespace of ``policies``; searches there take minutes."""
    if ledger:
        return LedgerWorld(list(policies)).ask(change, seconds=seconds)
    return ask(cluster(*policies), change, seconds=seconds)


with_and_without_a_ledger = pytest.mark.parametrize("ledger", [True, False], ids=["ledger", "lists"])


@with_and_without_a_ledger
def test_one_beside_a_similar_one_is_admitted_as_it_isolates_nobody_anew(*, ledger: bool) -> None:
    assert is_long(stored(large("similar")))
    answer = asked((stored(large("similar")),), request("CREATE", large("big")), ledger=ledger)
    assert answer.allowed, answer.message


@with_and_without_a_ledger
@pytest.mark.parametrize("similar", ["similar", ""])
def test_one_that_allows_everything_is_created_and_deleted(similar: str, *, ledger: bool) -> None:
    others = (stored(large(similar, OPEN)),) if similar else ()
    assert asked(others, request("CREATE", large("big", OPEN)), ledger=ledger).allowed
    change = request("DELETE", old=large("big", OPEN))
    assert asked((*others, stored(large("big", OPEN))), change, ledger=ledger).allowed


def test_one_that_allows_everything_is_settled_at_once() -> None:
    """Without a worker: what is hard would be refused."""
    state = FakeState(cluster(stored(large("similar", OPEN))))
    reviewer = Reviewer(state, Rules(), Log(), state)
    change = request("CREATE", large("big", OPEN))
    body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": change}
    reply, _ = asyncio.run(reviewer.respond(json.dumps(body).encode(), TimeLimits.of(30.0)))
    assert json.loads(reply)["response"]["allowed"]


@with_and_without_a_ledger
def test_what_is_too_complex_can_be_deleted_if_that_only_opens(*, ledger: bool) -> None:
    other = world.parsed(manifest("other", {"podSelector": {"matchLabels": {"app": "other"}}}))
    big = large("big")
    big["spec"]["podSelector"] = {"matchLabels": {"app": "big"}}
    assert asked((other, stored(big)), request("DELETE", old=big), ledger=ledger).allowed


@with_and_without_a_ledger
def test_one_that_lets_required_traffic_to_pods_that_another_isolates_stays(*, ledger: bool) -> None:
    deny = world.parsed({**DENY_ALL, "spec": {**DENY_ALL["spec"], "policyTypes": ["Ingress"]}})
    big = stored(large("big", TO_ALL))
    answer = asked((deny, big), request("DELETE", old=large("big", TO_ALL)), ledger=ledger, seconds=60)
    assert not answer.allowed
    assert f"deleting NetworkPolicy {NS}/big would cut" in answer.message
