"""Reviews that are judged by the ledger: what is written and read for them, and what is answered."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.admission.rules import Doubt, Mode, Rules
from app.engine.policy import Policy
from app.model.access import Access
from app.names import MODE_LABEL, OVERRIDE_ANNOTATION
from tests.admission import world
from tests.admission.ledger_world import LedgerWorld, stored_manifest, uid_of
from tests.admission.world import DENY_ALL, MANAGED, NS, Object, ask, manifest, request

OPEN = {"policyTypes": ["Ingress", "Egress"], "ingress": [{}], "egress": [{}]}
ONE, TWO = (world.parsed(manifest(name, OPEN)) for name in ("one", "two"))
CLOSED = replace(ONE, ingress=(), egress=())
KEEPER, OTHER_HALF = world.baselines()
UNDER_WAY = "That is together with what was let through a moment ago and is not done yet: "
A_CHANGE_OF_TWO = {"format": "1", f"entry.{NS}.other": "policy moved 50 two"}


def cluster(*policies: Policy, **more: object) -> LedgerWorld:
    """Return a cluster in which one baseline isolates, and two policies let everything in."""
    return LedgerWorld(list(policies or (KEEPER, ONE, TWO)), **more)  # type: ignore[arg-type]


def deletion(policy: Policy, **more: object) -> Object:
    return {**request("DELETE", old=stored_manifest(policy)), **more}


def creation(obj: Object, **more: object) -> Object:
    metadata = {**obj["metadata"], "uid": uid_of(obj["metadata"].get("name", "new"))}
    return {**request("CREATE", {**obj, "metadata": metadata}), **more}


def labelling(old: dict[str, str], new: dict[str, str], **more: object) -> Object:
    metadata = {"uid": uid_of(NS), "resourceVersion": "40"}
    name = {"kubernetes.io/metadata.name": NS}
    versions = [world.namespace(NS, {**labels, **name}, **metadata) for labels in (new, old)]
    return {**request("UPDATE", *versions), **more}


class TestWhatIsReadAndWritten:
    """As little as the change needs."""

    @pytest.mark.parametrize(
        "asked",
        [
            creation(manifest("three", OPEN)),
            request("UPDATE", stored_manifest(ONE, labels={"a": "b"}), stored_manifest(ONE)),
            request("UPDATE", stored_manifest(KEEPER), stored_manifest(KEEPER)),
        ],
        ids=["a policy that allows all", "a label", "the same again"],
    )
    def test_for_a_change_that_is_harmless_in_every_state_nobody_is_asked(self, asked: Object) -> None:
        found = cluster()
        assert found.ask(asked).allowed
        assert found.calls == 0

    def test_a_hazardous_change_writes_one_entry_reads_nothing_and_is_admitted(self) -> None:
        found = cluster()
        answer = found.ask(deletion(ONE))
        assert answer.allowed
        assert answer.decision.verdict == "admit"
        assert found.entries == ["policy moved 50 one"]
        assert found.calls == len(found.merges) == 1

    def test_a_creation_waits_for_its_uid(self) -> None:
        found = cluster(KEEPER, OTHER_HALF, ONE)
        assert found.ask(creation(DENY_ALL)).allowed
        assert found.entries == [f"policy created {uid_of('default-deny')} default-deny"]

    def test_a_generated_name_is_that_of_the_entry(self) -> None:
        found = cluster(KEEPER, OTHER_HALF, ONE)
        spec = DENY_ALL["spec"]
        asked = creation(
            {**manifest("deny-x7k2p", spec), "metadata": {"name": "deny-x7k2p", "namespace": NS}}
        )
        asked["object"]["metadata"]["generateName"] = "deny-"
        asked["name"] = ""
        assert found.ask(asked).allowed
        assert found.entries == [f"policy created {uid_of('deny-x7k2p')} deny-x7k2p"]

    def test_a_collection_is_deleted_policy_by_policy_whatever_name_the_request_has(self) -> None:
        found = cluster()
        assert found.ask(deletion(ONE, name="")).allowed
        assert found.entries == ["policy moved 50 one"]
        refused = found.ask(deletion(TWO, name=""))
        assert not refused.allowed
        assert f"{UNDER_WAY}NetworkPolicy {NS}/one." in refused.message

    @pytest.mark.parametrize(
        ("asked", "way"),
        [
            (creation(manifest("three", OPEN)), "harmless"),
            (labelling(MANAGED, MANAGED), ""),
            (labelling(MANAGED, {**MANAGED, "team": "x"}), "watched"),
            (deletion(ONE), "watched"),
            (deletion(KEEPER, dryRun=True), "watched"),
            (creation({**DENY_ALL, "metadata": {"name": "one", "namespace": NS}}), "listed"),
            (request("CREATE", {**DENY_ALL, "spec": 7}), ""),
        ],
    )
    def test_how_a_change_was_judged_is_told(self, asked: Object, way: str) -> None:
        assert cluster().ask(asked).decision.way == way

    def test_a_change_that_is_refused_was_judged_by_a_list(self) -> None:
        answer = cluster(data=dict(A_CHANGE_OF_TWO)).ask(deletion(ONE))
        assert (answer.allowed, answer.decision.way) == (False, "listed")

    def test_without_the_ledger_a_change_was_judged_by_a_fresh_list(self) -> None:
        for asked in (deletion(ONE), labelling(MANAGED, {**MANAGED, "team": "x"})):
            assert cluster(why="none").ask(asked).decision.way == "fresh"

    def test_a_dry_run_writes_nothing_and_is_judged_like_the_change(self) -> None:
        found = cluster()
        assert found.ask(deletion(ONE, dryRun=True)).allowed
        found.data |= A_CHANGE_OF_TWO
        assert not found.ask(deletion(ONE, dryRun=True)).allowed
        assert found.merges == []

    @pytest.mark.parametrize("namespace", ["web", "nowhere"])
    def test_a_namespace_that_is_not_managed_is_left_alone(self, namespace: str) -> None:
        found = cluster()
        denying = creation({**DENY_ALL, "metadata": {"name": "default-deny", "namespace": namespace}})
        assert found.ask(denying).allowed
        assert found.merges == []


class TestChangesThatMeet:
    """The second sees the first."""

    def test_a_change_that_does_harm_together_with_anothers_is_refused_with_its_name(self) -> None:
        found = cluster(data=dict(A_CHANGE_OF_TWO))
        answer = found.ask(deletion(ONE))
        assert not answer.allowed
        assert f"{UNDER_WAY}NetworkPolicy {NS}/two." in answer.message
        assert "Try again in a few seconds; after 45 s at most that is settled." in answer.message
        assert found.data == A_CHANGE_OF_TWO

    @pytest.mark.parametrize(
        ("key", "value", "words"),
        [
            (f"entry.{NS}.x", "whole", f"changes in namespace {NS}"),
            ("entry._.x", "whole", "changes everywhere"),
            (f"entry.{NS}.x", "epoch 7", f"changes in namespace {NS}"),
            (f"entry.{NS}.x", "half created some-uid two", f"NetworkPolicy {NS}/two"),
        ],
    )
    def test_every_kind_of_change_under_way_is_said_in_words(self, key: str, value: str, words: str) -> None:
        answer = cluster(data={"format": "1", key: value}).ask(deletion(ONE))
        assert not answer.allowed
        assert f"{UNDER_WAY}{words}." in answer.message

    def test_of_two_at_the_same_moment_exactly_one_passes(self) -> None:
        found = cluster()
        answers = found.ask_at_once(deletion(ONE), deletion(TWO))
        assert sorted(answer.allowed for answer in answers) == [False, True]

    def test_labels_under_way_are_named(self) -> None:
        by_team = {"policyTypes": ["Ingress"], "ingress": [{"from": [{"namespaceSelector": {}}]}]}
        peers = {"from": [{"namespaceSelector": {"matchLabels": {"team": "x"}}}]}
        own = world.parsed(manifest("by-team", {**by_team, "ingress": [peers]}))
        found = cluster(
            *(KEEPER, OTHER_HALF, own),
            labels={NS: MANAGED, "iomete-system": {**MANAGED, "team": "x"}},
            data={
                "format": "1",
                "entry.iomete-system.x": 'labels moved 40 {"both": {"iomete.com/managed": "true"},'
                ' "old": {"team": "x"}, "new": {}}',
            },
        )
        answer = found.ask(deletion(OTHER_HALF))
        assert not answer.allowed


class TestRefusals:
    """In the words of a guard without a ledger, where they are the same."""

    @pytest.mark.parametrize(
        ("standing", "asked"),
        [
            ((KEEPER, ONE), deletion(ONE)),
            ((KEEPER, OTHER_HALF), deletion(OTHER_HALF)),
            ((KEEPER, OTHER_HALF), deletion(KEEPER)),
            ((), creation(DENY_ALL)),
            ((ONE,), request("UPDATE", stored_manifest(CLOSED), stored_manifest(ONE))),
        ],
    )
    def test_a_lost_flow_is_refused_with_the_same_text_as_without_the_ledger(
        self, standing: tuple[Policy, ...], asked: Object
    ) -> None:
        found = LedgerWorld(list(standing))
        answer, without = found.ask(asked), ask(world.cluster(*standing), asked)
        assert answer.response == without.response
        assert answer.decision.flows == without.decision.flows
        assert found.entries == []

    def test_an_admitted_change_carries_the_same_notes_as_without_the_ledger(self) -> None:
        nothing = creation(manifest("nothing", {"policyTypes": ["Ingress"], "ingress": [{}]}))
        standing = (KEEPER, OTHER_HALF, ONE)
        found, without = cluster(*standing).ask(nothing), ask(world.cluster(*standing), nothing)
        assert found.response == without.response

    @pytest.mark.parametrize("annotations", [{}, {OVERRIDE_ANNOTATION: "now"}])
    def test_a_policy_whose_name_is_taken_is_refused_as_the_api_server_would(
        self, annotations: dict[str, str]
    ) -> None:
        metadata = {"name": "one", "namespace": NS, "annotations": annotations}
        found = cluster()
        found.fresh.grants = Access(allowed=True)
        answer = found.ask(creation({**DENY_ALL, "metadata": metadata}))
        status = answer.response["status"]
        assert (status["code"], status["reason"]) == (409, "AlreadyExists")
        assert answer.message == 'networkpolicies.networking.k8s.io "one" already exists'
        assert found.merges == []

    def test_in_another_mode_it_is_left_to_the_api_server(self) -> None:
        found = cluster(rules=Rules(mode=Mode.WARN))
        answer = found.ask(creation({**DENY_ALL, "metadata": {"name": "one", "namespace": NS}}))
        assert answer.allowed
        assert found.merges == []

    def test_the_spec_of_a_policy_that_is_being_deleted_stays(self) -> None:
        going: Object = {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["x/y"]}
        old, new = stored_manifest(ONE, **going), stored_manifest(CLOSED, **going)
        answer = cluster().ask(request("UPDATE", new, old))
        assert not answer.allowed
        assert "being deleted" in answer.message
        freed = stored_manifest(ONE, **{**going, "finalizers": []})
        assert cluster().ask(request("UPDATE", freed, old)).allowed
        unmanaged = cluster(labels={NS: {}, "iomete-system": MANAGED})
        assert unmanaged.ask(request("UPDATE", new, old)).allowed

    def test_too_many_changes_of_one_namespace_wait_for_each_other(self) -> None:
        many = {f"entry.{NS}.{number}": f"policy moved 60 p{number}" for number in range(64)}
        answer = cluster(data={"format": "1", **many}).ask(deletion(ONE))
        assert "too many changes of this namespace are under way at once" in answer.message


class TestWithoutTheLedger:
    """What happens where it cannot be used, or does not answer."""

    def test_where_it_cannot_be_used_changes_are_judged_by_fresh_reads(self) -> None:
        found = cluster(KEEPER, ONE, why="no such ConfigMap")
        answer, without = found.ask(deletion(ONE)), ask(world.cluster(KEEPER, ONE), deletion(ONE))
        assert answer.response == without.response
        assert (found.fresh.reads, found.merges, found.reads, found.lists) == (1, [], 0, 0)

    def test_where_it_turns_out_during_a_review_nothing_is_refused_for_it(self) -> None:
        found = cluster(is_down=True, why_after_a_failure="it must not be written to")
        assert found.ask(deletion(ONE)).allowed
        assert found.fresh.reads == 1

    def test_where_it_turns_out_for_labels_nothing_is_refused_for_it(self) -> None:
        found = cluster(KEEPER, OTHER_HALF, is_down=True, why_after_a_failure="it must not be written to")
        assert found.ask(labelling(MANAGED, {**MANAGED, "team": "x"})).allowed
        assert found.fresh.reads == 1

    @pytest.mark.parametrize("doubt", list(Doubt))
    def test_a_state_that_cannot_be_read_is_told_by_the_setting(self, doubt: Doubt) -> None:
        found = cluster(rules=Rules(on_state_error=doubt), is_down=True)
        answer = found.ask(deletion(ONE))
        assert answer.allowed is (doubt is Doubt.WARN)
        text = answer.warnings if answer.allowed else answer.message
        assert "could not be judged: could not read the ledger: no answer" in text

    @pytest.mark.parametrize("doubt", list(Doubt))
    def test_an_answer_that_does_not_come_in_time_is_told_by_the_setting(self, doubt: Doubt) -> None:
        found = cluster(rules=Rules(on_state_error=doubt), hangs=True)
        answer = found.ask(deletion(ONE), seconds=0.5)
        assert answer.allowed is (doubt is Doubt.WARN)
        text = answer.warnings if answer.allowed else answer.message
        assert "the guard came to no answer within 0.5 s" in text
        assert answer.decision.seconds < 5, "nor is it waited for to note the change"

    def test_labels_that_cannot_be_judged_in_time_are_told_alike(self) -> None:
        found = cluster(hangs=True)
        answer = found.ask(labelling(MANAGED, {**MANAGED, "team": "x"}), seconds=0.5)
        assert "the guard came to no answer within 0.5 s" in answer.message


class TestModesAndOverrides:
    """A change that is made although it does harm is noted, so that others are judged with it."""

    @pytest.mark.parametrize("mode", [Mode.WARN, Mode.AUDIT])
    def test_a_change_that_is_only_warned_about_is_noted(self, mode: Mode) -> None:
        found = cluster(KEEPER, ONE, rules=Rules(mode=mode))
        answer = found.ask(deletion(ONE))
        assert answer.allowed
        assert answer.decision.verdict == mode.value
        assert found.entries == ["policy moved 50 one"]

    def test_an_override_is_noted(self) -> None:
        found = cluster(KEEPER, ONE)
        found.fresh.grants = Access(allowed=True)
        annotated = stored_manifest(ONE, annotations={OVERRIDE_ANNOTATION: "moving out"})
        answer = found.ask(request("DELETE", old=annotated))
        assert (answer.allowed, answer.decision.verdict) == (True, "override")
        assert found.entries == ["policy moved 50 one"]

    def test_an_override_that_is_refused_is_not_noted(self) -> None:
        found = cluster(KEEPER, ONE)
        found.fresh.grants = Access(allowed=False)
        annotated = stored_manifest(ONE, annotations={OVERRIDE_ANNOTATION: "moving out"})
        assert not found.ask(request("DELETE", old=annotated)).allowed
        assert found.entries == []

    def test_what_is_only_warned_about_in_a_dry_run_is_not_noted(self) -> None:
        found = cluster(KEEPER, ONE, rules=Rules(mode=Mode.WARN))
        assert found.ask(deletion(ONE, dryRun=True)).allowed
        assert found.merges == []

    def test_a_note_that_cannot_be_written_refuses_nothing(self) -> None:
        found = cluster(KEEPER, ONE, rules=Rules(mode=Mode.WARN), is_down=True)
        assert found.ask(deletion(ONE)).allowed

    def test_a_namespace_in_mode_off_is_not_judged(self) -> None:
        found = cluster(KEEPER, ONE, labels={NS: {**MANAGED, MODE_LABEL: "off"}})
        answer = found.ask(deletion(ONE))
        assert (answer.allowed, answer.decision.verdict) == (True, "off")
        assert found.calls == 0


class TestLabels:
    """A namespace's labels are under way like policies are."""

    def test_a_label_that_nothing_depends_on_is_written_down_and_admitted(self) -> None:
        found = cluster(KEEPER, OTHER_HALF)
        assert found.ask(labelling(MANAGED, {**MANAGED, "team": "x"})).allowed
        (entry,) = found.entries
        assert entry.startswith("labels moved 40 ")
        assert '"new":{"team":"x"}' in entry

    def test_labels_of_a_namespace_that_is_managed_neither_before_nor_after_are_nobodys_concern(self) -> None:
        found = cluster()
        assert found.ask(labelling({}, {"team": "x"})).allowed
        assert found.calls == 0

    def test_a_dry_run_of_labels_writes_nothing(self) -> None:
        found = cluster(KEEPER, OTHER_HALF)
        assert found.ask(labelling(MANAGED, {**MANAGED, "team": "x"}, dryRun=True)).allowed
        assert found.merges == []

    def test_labels_by_which_a_policy_lets_the_namespace_in_are_refused_as_without_the_ledger(self) -> None:
        peer = {"namespaceSelector": {"matchLabels": {"team": "x"}}}
        spec = {"policyTypes": ["Ingress"], "ingress": [{"from": [peer]}, {"from": [{"podSelector": {}}]}]}
        own = world.parsed(manifest("by-team", spec))
        labels = {NS: MANAGED, "iomete-system": {**MANAGED, "team": "x"}}
        name = {"kubernetes.io/metadata.name": "iomete-system"}
        metadata = {"uid": uid_of("iomete-system"), "resourceVersion": "40"}
        old = world.namespace("iomete-system", {**MANAGED, "team": "x", **name}, **metadata)
        new = world.namespace("iomete-system", {**MANAGED, **name}, **metadata)
        found = cluster(own, labels=labels)
        without = ask(world.cluster(own, namespaces=labels), request("UPDATE", new, old))
        answer = found.ask(request("UPDATE", new, old))
        assert not answer.allowed
        assert answer.response == without.response
        assert found.entries == []

    def test_labels_too_long_for_the_ledger_are_refused_with_that_reason(self) -> None:
        long = {f"key-{number}": "x" * 63 for number in range(300)}
        answer = cluster(KEEPER, OTHER_HALF).ask(labelling(MANAGED, {**MANAGED, **long}))
        assert "these labels are too long to be kept in mind" in answer.message


class TestHalfOfAPair:
    """Either baseline alone makes a namespace worse for a moment."""

    @staticmethod
    def apply(grants: Access, half: Policy) -> tuple[LedgerWorld, world.Answer]:
        found = LedgerWorld([])
        found.fresh.grants = grants
        return found, found.ask(creation(stored_manifest(half)))

    @pytest.mark.parametrize("half", [KEEPER, OTHER_HALF], ids=lambda policy: policy.name)
    def test_it_is_admitted_for_who_may_override_and_stands_in_the_ledger_until_the_other_comes(
        self, half: Policy
    ) -> None:
        found, answer = self.apply(Access(allowed=True), half)
        assert answer.allowed
        assert "apply the missing baseline too" in answer.warnings
        assert found.entries == [f"half created {uid_of(half.name)} {half.name}"]

    @pytest.mark.parametrize("grants", [Access(allowed=False), Access.unknown("no answer")], ids=str)
    def test_others_are_refused_and_told_how_both_come_at_once(self, grants: Access) -> None:
        found, answer = self.apply(grants, OTHER_HALF)
        assert not answer.allowed
        assert "only who may override applies one alone" in answer.message
        assert f"netpol-guard bootstrap --baselines-only -n {NS}" in answer.message
        assert not found.entries

    def test_who_may_is_only_asked_where_it_matters(self) -> None:
        found, answer = self.apply(Access(allowed=True), ONE)
        assert answer.allowed
        assert not found.fresh.asked


class TestWhatOnlyAnIpBlockLetsThrough:
    """It is a warning, and a refusal where the network plugin is known not to match pods by it."""

    BLOCK: Object = manifest(
        "by-address",
        {"policyTypes": ["Ingress"], "ingress": [{"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]},
    )

    @pytest.mark.parametrize(("is_cilium", "allowed"), [(False, True), (True, False)])
    def test_the_first_policy_of_a_namespace(self, is_cilium: bool, allowed: bool) -> None:  # noqa: FBT001 - a table
        found = LedgerWorld([], is_cilium=is_cilium)
        answer = found.ask(creation(self.BLOCK))
        assert answer.allowed is allowed
        assert "managed-ingress" in (answer.warnings if allowed else answer.message)

    @pytest.mark.parametrize(("is_cilium", "allowed"), [(False, True), (True, False)])
    def test_in_place_of_rules_that_let_pods_in(self, is_cilium: bool, allowed: bool) -> None:  # noqa: FBT001 - a table
        found = LedgerWorld([ONE], is_cilium=is_cilium)
        changed = {**stored_manifest(ONE), "spec": {**self.BLOCK["spec"]}}
        assert found.ask(request("UPDATE", changed, stored_manifest(ONE))).allowed is allowed


def test_where_there_is_no_other_namespace_the_webhook_is_guarded_all_the_same() -> None:
    found = LedgerWorld([KEEPER, OTHER_HALF], labels={NS: MANAGED})
    answer = found.ask(deletion(KEEPER))
    assert not answer.allowed
    assert "cut the API server from webhook spark-operator-webhook" in answer.message
