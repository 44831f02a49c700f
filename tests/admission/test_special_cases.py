from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from random import Random

import pytest

from app.admission.outcome import OutcomeKind, PolicyChange, ReviewOutcome
from app.admission.policy_judgement import PolicyJudgement
from app.admission.ports import OverrideOutcome
from app.admission.rules import Doubt, Mode, Rules
from app.admission.standing import StandingMemory
from app.engine.budget import TooComplexError
from app.engine.cluster import Cluster, Provenance
from app.engine.policy import Policy
from app.engine.selectors import Selector
from app.model.access import Access
from app.model.declared_sources import declared_source
from app.names import MODE_LABEL, OVERRIDE_ANNOTATION
from tests.admission import world
from tests.admission.world import DENY_ALL, MANAGED, NS, FakeState, ask, request
from tests.engine.universe import Generator

OPERATOR, INGRESS_EGRESS = world.baselines()


def test_the_first_policy_of_a_namespace_without_baselines_is_rejected_with_flow_reason_and_fix() -> None:
    answer = ask(world.cluster(), request("CREATE", DENY_ALL))
    assert not answer.allowed
    assert answer.response["status"]["code"] == 403
    assert answer.response["status"]["reason"] == "Forbidden"
    first, *_ = answer.message.splitlines()
    assert first == (
        "NetworkPolicy data-plane/default-deny would cut the API server from webhook spark-operator-webhook "
        "in data-plane (and 2 more required flows)."
    )
    assert "isolated for Ingress by default-deny" in answer.message
    assert "patch: [" in answer.message
    assert "netpol-guard bootstrap --baselines-only -n data-plane" in answer.message
    assert {cause["reason"] for cause in answer.response["status"]["details"]["causes"]} == {
        "webhook-ingress",
        "managed-ingress",
        "managed-egress",
    }


def test_a_default_deny_beside_the_baselines_is_admitted_with_the_news_that_it_has_no_effect() -> None:
    answer = ask(world.guarded(), request("CREATE", DENY_ALL))
    assert answer.allowed
    assert "default-deny has no effect: iomete-spark-operator and iomete-ingress-egress" in answer.warnings
    assert all(len(warning) <= 120 for warning in answer.response["warnings"])


def test_no_effect_is_not_mentioned_when_switched_off() -> None:
    answer = ask(world.guarded(), request("CREATE", DENY_ALL), Rules(tell_no_effect=False))
    assert (answer.allowed, answer.warnings) == (True, "")


def test_a_policy_that_lets_somebody_new_in_beside_the_baselines_is_admitted_silently() -> None:
    opened = world.manifest(
        "gateway",
        {
            "policyTypes": ["Ingress"],
            "ingress": [
                {"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "web"}}}]}
            ],
        },
    )
    answer = ask(world.guarded(), request("CREATE", opened))
    assert (answer.allowed, answer.warnings) == (True, "")


@pytest.mark.parametrize("first", [OPERATOR, INGRESS_EGRESS], ids=["operator", "managed"])
def test_either_baseline_applied_alone_is_admitted_and_names_the_other(first: object) -> None:
    other = INGRESS_EGRESS if first is OPERATOR else OPERATOR
    answer = ask(world.cluster(), request("CREATE", world.rendered(first)))  # type: ignore[arg-type]
    assert answer.allowed
    assert (
        f"apply the missing baseline too, until then required traffic is cut: {other.name}" in answer.warnings
    )


@pytest.mark.parametrize("gone", [OPERATOR, INGRESS_EGRESS], ids=["operator", "managed"])
def test_deleting_a_baseline_is_rejected_and_names_the_safe_way(gone: object) -> None:
    answer = ask(world.guarded(), request("DELETE", old=world.rendered(gone)))  # type: ignore[arg-type]
    assert not answer.allowed
    assert "netpol-guard uninstall --baselines -n data-plane" in answer.message


def test_deletecollection_sends_no_name_and_is_judged_all_the_same() -> None:
    answer = ask(world.guarded(), request("DELETE", old=world.rendered(OPERATOR), name=""))
    assert not answer.allowed
    assert answer.message.startswith("deleting NetworkPolicy data-plane/iomete-spark-operator would cut")


def test_after_one_baseline_is_gone_deleting_the_other_frees_the_pods_and_is_admitted() -> None:
    answer = ask(world.cluster(INGRESS_EGRESS), request("DELETE", old=world.rendered(INGRESS_EGRESS)))
    assert answer.allowed


def test_a_narrowed_baseline_is_rejected_and_the_fix_is_its_documented_text() -> None:
    narrowed = world.rendered(INGRESS_EGRESS)
    narrowed["spec"]["ingress"][0]["ports"] = [{"protocol": "TCP", "port": 443}]
    answer = ask(world.guarded(), request("UPDATE", narrowed, world.rendered(INGRESS_EGRESS)))
    assert not answer.allowed
    assert "restore the documented text of this baseline" in answer.message


def test_a_fix_that_goes_half_the_way_is_admitted_and_says_what_is_still_cut() -> None:
    deny = world.parsed(DENY_ALL)
    better = world.manifest(
        "default-deny", {"policyTypes": ["Ingress", "Egress"], "egress": [{}], "ingress": []}
    )
    answer = ask(world.cluster(deny), request("UPDATE", better, DENY_ALL))
    assert answer.allowed
    assert "still cut off, as before" in answer.warnings


def test_a_policy_with_a_deletion_timestamp_no_longer_counts_as_allowing() -> None:
    going = replace(OPERATOR, terminating=True)
    answer = ask(world.cluster(going, INGRESS_EGRESS), request("CREATE", DENY_ALL))
    assert answer.allowed
    assert "still cut off, as before: the API server" in answer.warnings


GOING: dict[str, object] = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["example.com/wait"]}


def test_of_a_policy_that_is_being_deleted_all_but_the_spec_may_change() -> None:
    going = {"policyTypes": ["Ingress"]}
    old = world.manifest("x", going, **GOING)
    state = world.cluster(world.parsed(old))
    for metadata in (
        {"deletionTimestamp": GOING["deletionTimestamp"]},
        {**GOING, "annotations": {"a": "b"}},
    ):
        assert ask(state, request("UPDATE", world.manifest("x", going, **metadata), old)).allowed
    open_to_all = world.manifest("x", {**going, "ingress": [{}]}, **GOING)
    beside = world.cluster(world.parsed(open_to_all), world.parsed(DENY_ALL))
    assert ask(beside, request("DELETE", old=open_to_all)).allowed


def test_the_spec_of_a_policy_that_is_being_deleted_cannot_be_changed_any_more() -> None:
    old = world.manifest(
        "x", {"podSelector": {"matchLabels": {"no": "pod"}}, "policyTypes": ["Ingress"]}, **GOING
    )
    new = world.manifest("x", {"policyTypes": ["Ingress"], "ingress": [{}]}, **GOING)
    answer = ask(world.cluster(world.parsed(old)), request("UPDATE", new, old))
    assert not answer.allowed
    assert answer.message.startswith(
        "NetworkPolicy data-plane/x is being deleted: its spec cannot be changed"
    )
    assert "under another name" in answer.message
    unmanaged = world.cluster(world.parsed(old), namespaces={NS: {}, "iomete-system": MANAGED})
    assert ask(unmanaged, request("UPDATE", new, old)).allowed


def test_what_a_policy_that_is_being_deleted_keeps_open_is_cut_by_whoever_relies_on_it() -> None:
    every = {"policyTypes": ["Ingress", "Egress"]}
    going = world.manifest("allow-all", {**every, "ingress": [{}], "egress": [{}]}, **GOING)
    answer = ask(world.cluster(world.parsed(going)), request("CREATE", DENY_ALL))
    assert not answer.allowed
    assert "no rule lets it through but those of allow-all, being deleted" in answer.message


def test_a_policy_that_is_being_deleted_isolates_only_where_it_allows_nothing() -> None:
    every = {"policyTypes": ["Ingress", "Egress"]}
    going = world.manifest("allow-all", {**every, "ingress": [{}], "egress": [{}]}, **GOING)
    harmless = world.manifest("more", {**every, "ingress": [{}], "egress": [{}]})
    assert not ask(world.cluster(world.parsed(going)), request("CREATE", harmless)).response.get("warnings")


def test_policies_of_a_namespace_that_is_being_deleted_may_go() -> None:
    state = world.guarded()
    dying = replace(state.namespaces[NS], terminating=True)
    state = replace(state, namespaces={**state.namespaces, NS: dying})
    assert ask(state, request("DELETE", old=world.rendered(OPERATOR))).allowed


def test_a_namespace_that_is_not_managed_is_not_judged() -> None:
    state = world.cluster(namespaces={NS: {}, "iomete-system": MANAGED})
    answer = ask(state, request("CREATE", DENY_ALL))
    assert (answer.allowed, answer.warnings) == (True, "")


def test_a_dry_run_gets_the_same_answer() -> None:
    answer = ask(world.cluster(), request("CREATE", DENY_ALL, dryRun=True))
    assert not answer.allowed
    assert answer.decision.dry_run


@pytest.mark.parametrize(
    ("mode", "allowed", "warned"),
    [(Mode.WARN, True, True), (Mode.AUDIT, True, False), (Mode.OFF, True, False)],
)
def test_modes_weaker_than_enforce_admit(mode: Mode, allowed: bool, warned: bool) -> None:  # noqa: FBT001
    state = world.cluster(namespaces={NS: {**MANAGED, MODE_LABEL: mode.value}, "iomete-system": MANAGED})
    answer = ask(state, request("CREATE", DENY_ALL))
    assert answer.allowed is allowed
    assert bool(answer.warnings) is warned
    assert ("auditAnnotations" in answer.response) is (mode is not Mode.OFF)


def test_exempt_users_groups_and_namespaces_are_admitted() -> None:
    for rules in (
        Rules(exempt_users=frozenset({"dev"})),
        Rules(exempt_groups=frozenset({"system:authenticated"})),
        Rules(exempt_namespaces=frozenset({NS})),
        Rules(guard_namespace=NS),
    ):
        assert ask(world.cluster(), request("CREATE", DENY_ALL), rules).allowed


def _annotated(reason: str) -> world.Object:
    annotations = {OVERRIDE_ANNOTATION: reason}
    spec = {"policyTypes": ["Ingress", "Egress"]}
    return world.manifest("default-deny", spec, annotations=annotations)


def test_an_override_by_a_user_who_may_is_admitted_with_a_warning_and_an_audit_annotation() -> None:
    state = FakeState(world.cluster(), grants=Access(allowed=True))
    answer = ask(state, request("CREATE", _annotated("migration on Friday")))
    assert answer.allowed
    assert "override by dev: migration on Friday" in answer.warnings
    assert answer.response["auditAnnotations"]["override"] == "migration on Friday"
    asked = state.asked[0]
    assert (asked.verb, asked.group, asked.resource, asked.namespace) == (
        "override",
        "networking.k8s.io",
        "networkpolicies",
        NS,
    )


@pytest.mark.parametrize(
    ("grants", "reason", "said"),
    [
        (Access(allowed=False), "because", "dev may not use verb override"),
        (Access(allowed=True), "  ", "is empty"),
        (Access.unknown("timed out"), "because", "could not be found out"),
    ],
)
def test_an_override_that_is_empty_refused_or_unanswered_does_not_count(
    grants: Access, reason: str, said: str
) -> None:
    answer = ask(FakeState(world.cluster(), grants=grants), request("CREATE", _annotated(reason)))
    assert not answer.allowed
    assert said in answer.message


def test_taking_the_managed_label_away_is_rejected() -> None:
    answer = ask(world.guarded(), request("UPDATE", world.namespace(NS, {}), world.namespace(NS, MANAGED)))
    assert not answer.allowed
    assert answer.message.startswith("taking the label iomete.com/managed from namespace data-plane")


def test_an_annotation_on_a_namespace_is_admitted_without_reading_any_state() -> None:
    state = FakeState(world.guarded(), broken=True)
    old, new = world.namespace(NS, MANAGED), world.namespace(NS, MANAGED, annotations={"a": "b"})
    assert ask(state, request("UPDATE", new, old)).allowed


def test_a_new_managed_namespace_is_admitted_and_warned_about_policies_that_do_not_let_it_in() -> None:
    by_name = world.manifest(
        "by-name",
        {
            "policyTypes": ["Ingress"],
            "ingress": [
                {"from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NS}}}]}
            ],
        },
    )
    state = world.cluster(world.parsed(by_name))
    answer = ask(state, request("CREATE", world.namespace("new-team", MANAGED)))
    assert answer.allowed
    assert "managed-ingress: as policies stand" in answer.warnings


def test_weakening_the_mode_label_needs_the_right_to_override() -> None:
    old, new = world.namespace(NS, MANAGED), world.namespace(NS, {**MANAGED, MODE_LABEL: "off"})
    refused = ask(FakeState(world.guarded(), grants=Access(allowed=False)), request("UPDATE", new, old))
    granted = ask(FakeState(world.guarded(), grants=Access(allowed=True)), request("UPDATE", new, old))
    assert (refused.allowed, granted.allowed) == (False, True)


def test_state_that_cannot_be_read_denies_and_says_what_and_how_to_get_through() -> None:
    answer = ask(FakeState(world.guarded(), broken=True), request("CREATE", DENY_ALL))
    assert not answer.allowed
    assert "could not read policies of namespace data-plane" in answer.message
    assert "onStateError: warn" in answer.message


def test_state_that_cannot_be_read_is_a_warning_where_the_admin_chose_so() -> None:
    rules = Rules(on_state_error=Doubt.WARN)
    answer = ask(FakeState(world.guarded(), broken=True), request("CREATE", DENY_ALL), rules)
    assert answer.allowed
    assert "could not be judged" in answer.warnings


def test_a_resource_the_guard_does_not_know_is_allowed_with_a_warning() -> None:
    asked = request("CREATE", {"kind": "Pod", "metadata": {"name": "p", "namespace": NS}})
    asked["resource"] = {"group": "", "version": "v1", "resource": "pods"}
    answer = ask(world.guarded(), asked)
    assert answer.allowed
    assert "does not judge CREATE of core/pods" in answer.warnings


def test_a_lost_guessed_source_is_a_warning_and_the_last_one_a_rejection() -> None:
    first, second = (
        world.source("10.0.0.1/32", Provenance.GUESSED),
        world.source("10.0.0.2/32", Provenance.GUESSED),
    )
    state = world.with_sources(world.cluster(), first, second)
    both = world.baselines(state)
    state = replace(state, policies={NS: both})
    old = world.rendered(both[0])
    one, none = world.rendered(both[0]), world.rendered(both[0])
    one["spec"]["ingress"] = [{"from": [{"ipBlock": {"cidr": "10.0.0.1/32"}}]}]
    none["spec"]["ingress"] = []
    narrowed, closed = ask(state, request("UPDATE", one, old)), ask(state, request("UPDATE", none, old))
    assert narrowed.allowed
    assert "guessed 10.0.0.2/32" in narrowed.warnings
    assert not closed.allowed


def test_a_flow_that_only_an_ip_block_keeps_open_is_a_warning() -> None:
    by_address = world.manifest(
        "by-address",
        {
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}],
        },
    )
    answer = ask(world.cluster(), request("CREATE", by_address))
    assert answer.allowed
    assert "only an ipBlock keeps this open" in answer.warnings


def test_a_rejection_because_of_a_declared_source_says_where_to_change_it() -> None:
    declared = declared_source("10.20.0.10")
    state = world.with_sources(world.cluster(), declared)
    state = replace(state, policies={NS: world.baselines(state)})
    emptied = world.rendered(state.policies[NS][0])
    emptied["spec"]["ingress"] = []
    answer = ask(state, request("UPDATE", emptied, world.rendered(state.policies[NS][0])))
    assert not answer.allowed
    assert "declared: 10.20.0.10, in the guard's settings under apiServer.sources" in answer.message
    assert "change it there if the API server does not call from it" in answer.message


def test_every_source_that_is_lost_is_named() -> None:
    first, second = world.source("10.0.0.1/32"), world.source("10.0.0.2/32", Provenance.MEASURED)
    state = world.with_sources(world.cluster(), first, second)
    state = replace(state, policies={NS: world.baselines(state)})
    emptied = world.rendered(state.policies[NS][0])
    emptied["spec"]["ingress"] = []
    answer = ask(state, request("UPDATE", emptied, world.rendered(state.policies[NS][0])))
    assert "measured: 10.0.0.2" in answer.message
    assert "declared: 10.0.0.1" in answer.message


def _egress_to(*peers: world.Object) -> world.Object:
    managed = {"namespaceSelector": {"matchLabels": MANAGED}}
    return world.manifest("egress", {"policyTypes": ["Egress"], "egress": [{"to": [managed, *peers]}]})


def test_lost_platform_egress_is_one_line_however_much_of_it_is_lost() -> None:
    state = replace(world.cluster(), api_server=(world.API_ENDPOINT,))
    answer = ask(state, request("CREATE", _egress_to()))
    assert answer.allowed
    assert answer.warnings.count("platform-egress") == 1
    assert "from DNS and the API server" in answer.warnings


def test_platform_egress_that_was_lost_before_is_not_told_again() -> None:
    old, new = _egress_to(), _egress_to({"ipBlock": {"cidr": "203.0.113.0/24"}})
    answer = ask(world.cluster(world.parsed(old)), request("UPDATE", new, old))
    assert (answer.allowed, answer.warnings) == (True, "")


def test_a_change_that_leaves_a_policy_as_it_was_is_not_told_to_be_without_effect() -> None:
    deny = world.parsed(DENY_ALL)
    annotated = world.manifest("default-deny", DENY_ALL["spec"], annotations={"note": "hello"})
    state = world.cluster(*world.baselines(), deny)
    answer = ask(state, request("UPDATE", annotated, DENY_ALL))
    assert (answer.allowed, answer.warnings) == (True, "")


def test_a_policy_that_can_select_nobody_is_told_so() -> None:
    contradiction = {
        "matchLabels": {"app": "a"},
        "matchExpressions": [{"key": "app", "operator": "DoesNotExist"}],
    }
    nobody = world.manifest("nobody", {"podSelector": contradiction, "policyTypes": ["Ingress"]})
    answer = ask(world.guarded(), request("CREATE", nobody))
    assert answer.allowed
    assert "nobody has no effect: no pod can match its podSelector" in answer.warnings


def test_audit_mode_says_nothing_to_the_user_and_everything_to_the_audit_log() -> None:
    state = world.cluster(
        namespaces={NS: {**MANAGED, MODE_LABEL: Mode.AUDIT.value}, "iomete-system": MANAGED}
    )
    cut, worse = ask(state, request("CREATE", DENY_ALL)), ask(state, request("CREATE", _egress_to()))
    assert (cut.allowed, cut.warnings) == (True, "")
    assert "would cut" in cut.response["auditAnnotations"]["reason"]
    assert (worse.allowed, worse.warnings) == (True, "")
    assert "platform-egress" in worse.response["auditAnnotations"]["notes"]


def test_weakening_the_mode_label_leaves_the_traces_of_an_override() -> None:
    old, new = world.namespace(NS, MANAGED), world.namespace(NS, {**MANAGED, MODE_LABEL: "off"})
    state = FakeState(world.guarded(), grants=Access(allowed=True))
    answer = ask(state, request("UPDATE", new, old))
    assert "override by dev: netpol-guard.iomete.com/mode weakened from enforce to off" in answer.warnings
    assert "enforce to off" in answer.response["auditAnnotations"]["override"]
    assert answer.decision.override is OverrideOutcome.HONOURED
    assert [override.name for override in answer.announced] == [NS]


def test_weakening_the_mode_label_needs_the_right_also_where_the_mode_is_weak_already() -> None:
    old = world.namespace(NS, {**MANAGED, MODE_LABEL: "warn"})
    new = world.namespace(NS, {**MANAGED, MODE_LABEL: "off"})
    answer = ask(FakeState(world.guarded(), grants=Access(allowed=False)), request("UPDATE", new, old))
    assert not answer.allowed


def test_an_honoured_override_is_announced_as_an_event_of_the_object() -> None:
    state = FakeState(world.cluster(), grants=Access(allowed=True))
    answer = ask(state, request("CREATE", _annotated("migration on Friday")))
    (told,) = answer.announced
    assert (told.kind, told.namespace, told.name) == ("NetworkPolicy", NS, "default-deny")
    assert (told.user, told.reason) == ("dev", "migration on Friday")
    assert "would cut" in told.what


def test_a_dry_run_of_an_override_is_announced_to_nobody() -> None:
    state = FakeState(world.cluster(), grants=Access(allowed=True))
    answer = ask(state, request("CREATE", _annotated("migration on Friday"), dryRun=True))
    assert answer.allowed
    assert answer.announced == ()


@pytest.mark.parametrize(
    ("grants", "reason", "outcome"),
    [
        (Access(allowed=True), "because", OverrideOutcome.HONOURED),
        (Access(allowed=False), "because", OverrideOutcome.REFUSED),
        (Access(allowed=True), "  ", OverrideOutcome.NO_REASON),
        (Access.unknown("timed out"), "because", OverrideOutcome.UNANSWERED),
    ],
)
def test_what_came_of_an_override_is_in_the_record(
    grants: Access, reason: str, outcome: OverrideOutcome
) -> None:
    answer = ask(FakeState(world.cluster(), grants=grants), request("CREATE", _annotated(reason)))
    assert answer.decision.override is outcome


def test_an_override_also_counts_where_the_state_cannot_be_read() -> None:
    state = FakeState(world.cluster(), grants=Access(allowed=True), broken=True)
    answer = ask(state, request("CREATE", _annotated("the cluster is on fire")))
    assert answer.allowed
    assert "override by dev: the cluster is on fire" in answer.warnings
    plain = ask(FakeState(world.cluster(), broken=True), request("CREATE", DENY_ALL))
    assert f"annotate it with {OVERRIDE_ANNOTATION}" in plain.message
    assert MODE_LABEL not in plain.message, "a label that cannot be read helps nobody"


def test_a_new_managed_namespace_is_told_which_policies_cut_it_off() -> None:
    rules: list[world.Object] = [{"from": [{"podSelector": {}}]}]
    own = world.manifest("own-only", {"policyTypes": ["Ingress"], "ingress": rules})
    answer = ask(world.cluster(world.parsed(own)), request("CREATE", world.namespace("new-team", MANAGED)))
    assert "isolated by own-only" in answer.warnings


def test_a_rejection_that_took_the_missing_baseline_for_given_says_so() -> None:
    two = (world.source("10.0.0.1/32"), world.source("10.0.0.2/32"))
    state = world.with_sources(world.cluster(), *two)
    one = world.rendered(world.baselines(state)[0])
    one["spec"]["ingress"] = [{"from": [{"ipBlock": {"cidr": "10.0.0.1/32"}}]}]
    answer = ask(state, request("CREATE", one))
    assert not answer.allowed
    assert "Judged as if the missing baseline stood already: iomete-ingress-egress" in answer.message


def test_one_operator_baseline_of_two_does_not_stand_for_the_other() -> None:
    other = replace(world.webhook(), name="other", selector=Selector.labels({"app": "other-webhook"}))
    state = replace(world.cluster(), webhooks=(world.webhook(), other))
    first, second, managed = world.baselines(state)
    answer = ask(replace(state, policies={NS: (first,)}), request("CREATE", world.rendered(managed)))
    assert answer.allowed
    assert f"apply the missing baseline too, until then required traffic is cut: {second.name}" in (
        answer.warnings
    )


def test_the_documented_operator_baseline_does_not_stand_for_pods_with_other_labels() -> None:
    real = replace(world.webhook(), selector=Selector.labels({"app": "operator"}))
    state = replace(world.cluster(), webhooks=(real,))
    answer = ask(state, request("CREATE", world.rendered(OPERATOR)))
    assert answer.allowed
    assert "iomete-spark-operator and iomete-ingress-egress" in answer.warnings


def test_where_both_baselines_stand_no_new_policy_is_ever_rejected() -> None:
    chance = Random(7)
    for _ in range(300):
        manifest = Generator(chance).policy("random")
        manifest["metadata"]["namespace"] = NS
        assert ask(world.guarded(), request("CREATE", manifest)).allowed, manifest


def test_what_goes_away_is_annotated_before_and_the_hint_says_so() -> None:
    created = ask(world.cluster(), request("CREATE", DENY_ALL))
    deleted = ask(world.guarded(), request("DELETE", old=world.rendered(OPERATOR)))
    assert f"annotate it with {OVERRIDE_ANNOTATION}" in created.message
    assert f"annotate it first with {OVERRIDE_ANNOTATION}" in deleted.message


def test_a_rejected_label_that_is_not_the_managed_one_offers_what_helps_there() -> None:
    team = {**MANAGED, "team": "spark"}
    by_team = world.manifest(
        "by-team",
        {"policyTypes": ["Ingress"], "ingress": [{"from": [{"namespaceSelector": {"matchLabels": team}}]}]},
    )
    state = world.cluster(world.parsed(by_team), namespaces={NS: team, "iomete-system": team})
    old, new = world.namespace("iomete-system", team), world.namespace("iomete-system", MANAGED)
    answer = ask(state, request("UPDATE", new, old))
    assert not answer.allowed
    assert "let those policies select by what will stay" in answer.message
    assert "uninstall" not in answer.message


@pytest.mark.parametrize(
    ("old", "new"), [(OPERATOR, INGRESS_EGRESS), (INGRESS_EGRESS, OPERATOR)], ids=["operator's", "managed"]
)
def test_a_baseline_that_is_overwritten_with_the_other_is_not_taken_for_one_still_to_come(
    old: Policy, new: Policy
) -> None:
    changed = replace(new, name=old.name)
    answer = ask(world.guarded(), request("UPDATE", world.rendered(changed), world.rendered(old)))
    assert not answer.allowed
    assert f"{old.name} would cut" in answer.message


def test_in_mode_warn_the_fix_is_told_in_words_as_a_patch_would_not_survive_as_warnings() -> None:
    state = world.cluster(namespaces={NS: {**MANAGED, MODE_LABEL: Mode.WARN.value}, "iomete-system": MANAGED})
    answer = ask(state, request("CREATE", DENY_ALL))
    assert "Fix: add an ingress rule" in answer.warnings
    assert "patch" not in answer.warnings


def test_what_cannot_be_verified_in_time_is_denied_and_says_how_to_get_through() -> None:
    answer = ask(world.cluster(), request("CREATE", DENY_ALL), seconds=0.0)
    assert not answer.allowed
    assert "NetworkPolicy data-plane/default-deny is too complex to verify" in answer.message
    assert "onTooComplex: warn" in answer.message
    assert f"annotate it with {OVERRIDE_ANNOTATION}" in answer.message
    assert answer.response["status"]["details"]["causes"][0]["reason"] == "too-complex"


def test_what_cannot_be_verified_in_time_is_a_warning_where_the_admin_chose_so() -> None:
    rules = Rules(on_too_complex=Doubt.WARN)
    answer = ask(world.cluster(), request("CREATE", DENY_ALL), rules, seconds=0.0)
    assert answer.allowed
    assert "too complex to verify" in answer.warnings


def test_what_cannot_be_verified_in_time_can_be_overridden() -> None:
    state = FakeState(world.cluster(), grants=Access(allowed=True))
    answer = ask(state, request("CREATE", _annotated("generated policy")), seconds=0.0)
    assert answer.allowed
    assert "override by dev: generated policy" in answer.warnings


def test_labels_that_cannot_be_judged_in_time_are_denied_too() -> None:
    old, new = world.namespace(NS, MANAGED), world.namespace(NS, {**MANAGED, "a": "b"})
    answer = ask(world.guarded(), request("UPDATE", new, old), seconds=0.0)
    assert not answer.allowed
    assert answer.message.startswith("Namespace data-plane is too complex to verify")


def test_a_namespace_that_becomes_managed_is_admitted_also_where_nothing_can_be_checked() -> None:
    asked = request("CREATE", world.namespace("new-team", MANAGED))
    unread = ask(FakeState(world.guarded(), broken=True), asked)
    assert unread.allowed
    assert "Namespace new-team could not be checked for policies that cut it off" in unread.warnings
    by_name = world.manifest(
        "own", {"policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": {}}]}]}
    )
    late = ask(world.cluster(world.parsed(by_name)), asked, seconds=0.0)
    assert late.allowed
    assert "not all policies could be checked" in late.warnings


def test_of_very_many_policies_that_cut_a_new_namespace_off_some_are_told() -> None:
    names = {f"ns-{index}": MANAGED for index in range(200)}
    deny = world.parsed(DENY_ALL)
    state = replace(world.cluster(namespaces=names), policies=dict.fromkeys(names, (deny,)))
    answer = ask(state, request("CREATE", world.namespace("new-team", MANAGED)))
    assert answer.allowed
    assert answer.warnings.count("as policies stand") == 8


class _Looks:
    """A budget that lasts for so many looks at it, and counts them."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0

    def exhausted(self) -> bool:
        """Tell whether the looks are used up."""
        self.taken += 1
        return self.taken > self.most


def _outcome(state: Cluster, new: Policy, budget: _Looks) -> ReviewOutcome:
    standing = StandingMemory(Rules().options).of(state, NS, _Looks(10**9))
    return PolicyJudgement(PolicyChange(NS, new.name, None, new), standing, Rules(), budget).outcome()


def _looks_until(state: Cluster, new: Policy, kind: OutcomeKind) -> int:
    """Return how many looks at the budget there are before the first outcome of ``kind``."""
    most = 0
    while True:
        with suppress(TooComplexError):
            if _outcome(state, new, _Looks(most)).kind is kind:
                return most
        most += 1


def test_a_change_known_to_do_harm_is_rejected_also_where_no_time_is_left_for_a_fix() -> None:
    deny = world.parsed(DENY_ALL)
    full = _Looks(10**9)
    assert _outcome(world.cluster(), deny, full).kind is OutcomeKind.REJECT
    least = _looks_until(world.cluster(), deny, OutcomeKind.REJECT)
    assert least < full.taken, "the fix looks at the budget, too"
    assert "Fix: none found" in "".join(_outcome(world.cluster(), deny, _Looks(least)).lines)


def test_a_change_known_to_do_no_harm_is_admitted_also_where_no_time_is_left_for_its_effect() -> None:
    others = [world.parsed(world.manifest(f"only-{direction}", _ONLY[direction])) for direction in _ONLY]
    both = world.parsed(world.manifest("both", {"policyTypes": ["Ingress"], "ingress": _BOTH_PORTS}))
    state = world.cluster(*world.baselines(), *others)
    full = _Looks(10**9)
    assert "has no effect" in "".join(_outcome(state, both, full).notes)
    assert full.taken > 0, "whether it has an effect looks at the budget"
    assert _outcome(state, both, _Looks(0)).kind is OutcomeKind.ADMIT


_BOTH_PORTS = [
    {"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"protocol": "TCP", "port": 80, "endPort": 81}]}
]
_ONLY = {
    port: {
        "policyTypes": ["Ingress"],
        "ingress": [{"from": _BOTH_PORTS[0]["from"], "ports": [{"protocol": "TCP", "port": port}]}],
    }
    for port in (80, 81)
}


def test_a_label_that_leaves_pods_hanging_on_an_ip_block_alone_is_a_warning() -> None:
    rules: list[world.Object] = [
        {"from": [{"namespaceSelector": {"matchLabels": {"team": "a"}}}]},
        {"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]},
    ]
    by_team = world.manifest("by-team", {"policyTypes": ["Ingress"], "ingress": rules})
    state = world.cluster(
        world.parsed(by_team), namespaces={NS: MANAGED, "iomete-system": {**MANAGED, "team": "a"}}
    )
    old = world.namespace("iomete-system", {**MANAGED, "team": "a"})
    answer = ask(state, request("UPDATE", world.namespace("iomete-system", {**MANAGED, "team": "b"}), old))
    assert answer.allowed
    assert "managed-ingress: cuts managed namespaces from the pods of data-plane" in answer.warnings
    assert "only an ipBlock keeps this open" in answer.warnings
    assert answer.decision.flows == ("managed-ingress",)
