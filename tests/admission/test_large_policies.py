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
    InProcess,
    Log,
    Object,
    ask,
    cluster,
    manifest,
    request,
)
from tests.engine.test_bounds import Looks

_RULES: list[Object] = [
    {
        "from": [{"podSelector": {"matchLabels": {"app": f"app-{number}"}}}],
        "ports": [{"protocol": "TCP", "port": 1 + number}],
    }
    for number in range(9_000)
]
HOUR = 3600.0
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


def asked(policies: tuple[Policy, ...], change: Object, *, ledger: bool) -> Answer:
    """Return the answer to ``change`` in a namespace of ``policies``."""
    if ledger:
        return LedgerWorld(list(policies)).ask(change, seconds=HOUR)
    return ask(cluster(*policies), change, seconds=HOUR)


@pytest.fixture
def _little_effort(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the worker look at its budget so often and no more: searches of large policies take far more."""
    monkeypatch.setattr(InProcess, "budget", lambda *_: Looks(300))


with_and_without_a_ledger = pytest.mark.parametrize("ledger", [True, False], ids=["ledger", "lists"])


@pytest.mark.usefixtures("_little_effort")
@with_and_without_a_ledger
def test_one_beside_a_similar_one_is_admitted_as_it_isolates_nobody_anew(*, ledger: bool) -> None:
    assert is_long(stored(large("similar")))
    answer = asked((stored(large("similar")),), request("CREATE", large("big")), ledger=ledger)
    assert answer.allowed, answer.message


@pytest.mark.usefixtures("_little_effort")
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


@pytest.mark.usefixtures("_little_effort")
@with_and_without_a_ledger
def test_what_is_too_complex_can_be_deleted_if_that_only_opens(*, ledger: bool) -> None:
    other = world.parsed(manifest("other", {"podSelector": {"matchLabels": {"app": "other"}}}))
    big = large("big")
    big["spec"]["podSelector"] = {"matchLabels": {"app": "big"}}
    assert asked((other, stored(big)), request("DELETE", old=big), ledger=ledger).allowed


@pytest.mark.usefixtures("_little_effort")
@with_and_without_a_ledger
def test_what_has_to_be_searched_is_too_complex_with_so_little_effort(*, ledger: bool) -> None:
    similar, big = stored(large("similar")), stored(large("big", TO_ALL))
    answer = asked((similar, big), request("DELETE", old=large("big", TO_ALL)), ledger=ledger)
    assert "too complex to verify" in answer.message


@with_and_without_a_ledger
def test_one_that_lets_required_traffic_to_pods_that_another_isolates_stays(*, ledger: bool) -> None:
    deny = world.parsed({**DENY_ALL, "spec": {**DENY_ALL["spec"], "policyTypes": ["Ingress"]}})
    big = stored(large("big", TO_ALL))
    answer = asked((deny, big), request("DELETE", old=large("big", TO_ALL)), ledger=ledger)
    assert not answer.allowed
    assert f"deleting NetworkPolicy {NS}/big would cut" in answer.message
