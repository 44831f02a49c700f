from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace

from app.admission.assumed import AssumedChanges
from app.admission.outcome import PolicyChange
from app.admission.reviewer import Reviewer
from app.admission.rules import Rules
from app.deadline import TimeLimits
from app.engine.cluster import Cluster
from app.engine.policy import Policy
from app.model.access import Access
from app.names import OVERRIDE_ANNOTATION
from tests.admission import world
from tests.admission.world import NS, FakeState, Log, Object, request

OPEN = {"policyTypes": ["Ingress", "Egress"], "ingress": [{}], "egress": [{}]}
ONE, TWO = (world.parsed(world.manifest(name, OPEN)) for name in ("one", "two"))
KEEPER = world.baselines()[0]


@dataclass
class Clock:
    """Tells the time that a test says."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


def _states(changes: AssumedChanges, *policies: Policy) -> list[set[str]]:
    return [{policy.name for policy in state} for state, _ in changes.possible(NS, policies)]


def _deletion(policy: Policy) -> PolicyChange:
    return PolicyChange(NS, policy.name, policy, None)


def test_a_deletion_is_remembered_until_the_state_shows_it() -> None:
    changes = AssumedChanges(5.0, Clock())
    changes.admitted(_deletion(ONE))
    assert _states(changes, ONE, TWO) == [{"two"}]
    assert _states(changes, TWO) == []
    assert _states(changes, ONE, TWO) == [], "what was seen once is settled"


def test_a_change_is_forgotten_when_it_has_not_come_about_in_time() -> None:
    clock = Clock()
    changes = AssumedChanges(5.0, clock)
    changes.admitted(_deletion(ONE))
    clock.now = 5.0
    assert _states(changes, ONE, TWO) == []


def test_a_creation_and_an_update_are_remembered_alike() -> None:
    changes = AssumedChanges(5.0, Clock())
    narrowed = replace(ONE, ingress=())
    changes.admitted(PolicyChange(NS, "one", ONE, narrowed))
    changes.admitted(PolicyChange(NS, "two", None, TWO))
    possible = [set(state) for state, _ in changes.possible(NS, (ONE,))]
    assert possible == [{narrowed}, {ONE, TWO}, {narrowed, TWO}]


def test_what_somebody_else_made_of_the_policy_since_settles_a_change() -> None:
    changes = AssumedChanges(5.0, Clock())
    changes.admitted(_deletion(ONE))
    assert _states(changes, replace(ONE, egress=()), TWO) == []


def test_of_very_many_changes_the_latest_count() -> None:
    changes = AssumedChanges(5.0, Clock())
    policies = [replace(ONE, name=f"p{index}") for index in range(20)]
    for policy in policies:
        changes.admitted(_deletion(policy))
    assert len(_states(changes, *policies)) == 9


def test_namespaces_whose_changes_are_long_past_are_forgotten() -> None:
    clock = Clock()
    changes = AssumedChanges(5.0, clock)
    for index in range(1_000):
        changes.admitted(replace(_deletion(ONE), namespace=f"ns-{index}"))
    clock.now = 6.0
    changes.admitted(_deletion(ONE))
    assert list(changes._known) == [NS]


class _SlowState(FakeState):
    """A state of which two readers get the same before either is answered."""

    async def read(self, *args: object, **more: object) -> Cluster:
        await asyncio.sleep(0)
        return await super().read(*args, **more)  # type: ignore[arg-type]


def _deletions(*, dry_run: bool = False) -> list[Object]:
    """Return the answers to two deletions that are under review at the same time."""
    state = _SlowState(world.cluster(KEEPER, ONE, TWO))
    reviewer = Reviewer(state, Rules(settling_seconds=5.0), Log())

    async def ask(policy: Policy) -> Object:
        asked = request("DELETE", old=world.rendered(policy), dryRun=dry_run)
        body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": asked}
        answer, _ = await reviewer.respond(json.dumps(body).encode(), TimeLimits.of(5.0))
        return json.loads(answer)["response"]  # type: ignore[no-any-return]

    async def both() -> list[Object]:
        return list(await asyncio.gather(ask(ONE), ask(TWO)))

    return asyncio.run(both())


def test_two_deletions_under_review_at_the_same_time_do_not_both_pass() -> None:
    first, second = _deletions()
    assert (first["allowed"], second["allowed"]) == (True, False)
    assert "not done yet: deleting NetworkPolicy data-plane/one" in second["status"]["message"]


def test_a_dry_run_is_not_remembered() -> None:
    first, second = _deletions(dry_run=True)
    assert (first["allowed"], second["allowed"]) == (True, True)


def test_what_an_override_let_through_is_remembered_too() -> None:
    managed = world.baselines()[1]
    annotated = {**world.rendered(managed)}
    annotated["metadata"] = {**annotated["metadata"], "annotations": {OVERRIDE_ANNOTATION: "moving out"}}
    state = FakeState(world.guarded(), grants=Access(allowed=True))
    reviewer = Reviewer(state, Rules(settling_seconds=5.0), Log())

    def ask(asked: Object) -> Object:
        body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": asked}
        answer, _ = asyncio.run(reviewer.respond(json.dumps(body).encode(), TimeLimits.of(5.0)))
        return json.loads(answer)["response"]  # type: ignore[no-any-return]

    assert ask(request("CREATE", world.DENY_ALL))["allowed"]
    assert ask(request("DELETE", old=annotated))["allowed"]
    refused = ask(request("CREATE", world.manifest("other", world.DENY_ALL["spec"])))
    assert not refused["allowed"]
    assert "not done yet: " in refused["status"]["message"]
