"""The nonce probe: a dry run that asks where the API server's call came from."""

from __future__ import annotations

import pytest

from app.admission.ports import Afterwards
from app.admission.rules import Mode, Replica, Rules
from app.model.access import Access
from app.model.probe import PROBE_ANNOTATION, ProbeRefusal, Refusal, read_answer
from tests.admission import world
from tests.admission.world import DENY_ALL, NS, Answer, FakeState, Object, ask, request

NONCE = "0123456789abcdef-_"
HARMLESS: Object = {"policyTypes": ["Ingress"], "ingress": [{}]}
REPLICA = Rules(replica=Replica("netpol-guard-6f9c-x2x", "worker-1"))
MAY = Access(allowed=True)


def probe(nonce: str = NONCE, spec: Object = HARMLESS) -> Object:
    return world.manifest("probe", spec, annotations={PROBE_ANNOTATION: nonce})


def probed(
    grants: Access = MAY,
    *,
    policy: Object | None = None,
    rules: Rules = REPLICA,
    peer: str = "10.20.0.10",
    dry_run: bool = True,
) -> Answer:
    state = FakeState(world.guarded(), grants=grants)
    return ask(state, request("CREATE", policy or probe(), dryRun=dry_run), rules, peer)


def test_a_probe_is_told_the_peer_the_pod_and_the_node_and_ends_the_connection() -> None:
    answer = probed()
    assert answer.allowed
    assert answer.response["warnings"][0] == (
        f"netpol-guard probe {NONCE}: peer=10.20.0.10 pod=netpol-guard-6f9c-x2x node=worker-1"
    )
    assert answer.afterwards is Afterwards.CLOSE


def test_a_peer_on_loopback_is_told_to_be_hidden() -> None:
    assert "peer=hidden" in probed(peer="127.0.0.6").response["warnings"][0]


def test_a_probe_asks_for_the_verb_probe_in_the_name_of_the_requesting_user() -> None:
    state = FakeState(world.guarded(), grants=MAY)
    ask(state, request("CREATE", probe(), dryRun=True))
    asked = state.asked[0]
    assert (asked.username, asked.groups) == ("dev", ("system:authenticated",))
    assert (asked.verb, asked.group, asked.resource, asked.namespace) == (
        "probe",
        "networking.k8s.io",
        "networkpolicies",
        NS,
    )


@pytest.mark.parametrize(
    ("grants", "kind", "said"),
    [
        (
            Access(allowed=False, reason="no rule"),
            Refusal.FORBIDDEN,
            f"dev may not use verb probe on networkpolicies.networking.k8s.io in namespace {NS}. no rule",
        ),
        (
            Access.unknown("timed out"),
            Refusal.UNDECIDED,
            "whether dev may use verb probe could not be found out. timed out",
        ),
    ],
)
def test_whoever_may_not_probe_is_told_so_and_nothing_else(grants: Access, kind: Refusal, said: str) -> None:
    answer = probed(grants)
    assert answer.allowed
    assert read_answer(answer.response["warnings"], NONCE) == ProbeRefusal(NONCE, kind, said)
    assert "10.20.0.10" not in answer.warnings


@pytest.mark.parametrize("nonce", ["", "short", "x" * 65, f"{NONCE}: peer=1.2.3.4 pod=forged"])
def test_a_nonce_of_another_form_is_ignored_with_a_warning_that_does_not_repeat_it(nonce: str) -> None:
    state = FakeState(world.guarded(), grants=MAY)
    answer = ask(state, request("CREATE", probe(nonce), dryRun=True), REPLICA)
    assert answer.response["warnings"][0].startswith(
        f"netpol-guard: the annotation {PROBE_ANNOTATION} is ignored"
    )
    assert state.asked == []
    assert not nonce or nonce not in answer.warnings


def test_only_a_dry_run_is_a_probe() -> None:
    answer = probed(dry_run=False)
    assert answer.allowed
    assert "probe" not in answer.warnings
    assert answer.afterwards is Afterwards.KEEP


def test_a_dry_run_without_the_annotation_keeps_the_connection() -> None:
    assert probed(policy=world.manifest("plain", HARMLESS)).afterwards is Afterwards.KEEP


def test_a_probe_is_no_way_around_the_guard() -> None:
    state = FakeState(world.cluster(), grants=MAY)
    answer = ask(state, request("CREATE", probe(spec=DENY_ALL["spec"]), dryRun=True), REPLICA)
    assert not answer.allowed
    assert "would cut the API server" in answer.message
    assert answer.response["warnings"][0].startswith(f"netpol-guard probe {NONCE}: peer=")


@pytest.mark.parametrize(
    "rules",
    [Rules(exempt_users=frozenset({"dev"})), Rules(exempt_namespaces=frozenset({NS})), Rules(mode=Mode.OFF)],
    ids=["exempt user", "exempt namespace", "mode off"],
)
def test_a_probe_is_answered_where_nothing_is_judged(rules: Rules) -> None:
    assert "peer=10.20.0.10" in probed(rules=rules).warnings


def test_a_probe_is_answered_although_the_state_cannot_be_read() -> None:
    state = FakeState(world.guarded(), grants=MAY, broken=True)
    answer = ask(state, request("CREATE", probe(), dryRun=True), REPLICA)
    assert not answer.allowed
    assert "peer=10.20.0.10" in answer.warnings


def test_an_update_and_a_policy_that_cannot_be_read_can_probe_too() -> None:
    garbled = {**probe(), "spec": {"podSelector": {"matchExpressions": "nonsense"}}}
    for policy in (probe(), garbled):
        answer = ask(
            FakeState(world.guarded(), grants=MAY), request("UPDATE", policy, probe(), dryRun=True), REPLICA
        )
        assert read_answer(answer.response["warnings"], NONCE) is not None


@pytest.mark.parametrize("name", [NS, "netpol-guard"], ids=["a managed namespace", "the guard's own"])
def test_a_namespace_can_be_probed_through_too(name: str) -> None:
    old = world.namespace(name, {})
    new = world.namespace(name, world.MANAGED, annotations={PROBE_ANNOTATION: NONCE})
    state = FakeState(world.guarded(), grants=MAY)
    answer = ask(state, request("UPDATE", new, old, dryRun=True), REPLICA)
    assert read_answer(answer.response["warnings"], NONCE) is not None
    assert (state.asked[0].resource, state.asked[0].name) == ("namespaces", name)


def test_what_is_neither_policy_nor_namespace_is_no_probe() -> None:
    review = request("CREATE", probe(), dryRun=True)
    review["resource"] = {"group": "", "version": "v1", "resource": "configmaps"}
    answer = ask(FakeState(world.guarded(), grants=MAY), review, REPLICA)
    assert "probe" not in answer.warnings
