"""``bootstrap`` as a whole, over a cluster in memory: every step, refusal and interruption."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace

import pytest
import yaml

from app.errors import ChangeFailed, InputError, SettingsError
from app.install.bootstrap import bring_guard
from app.install.gitops import manifests_as_yaml
from app.install.guard.manifests import CONFIGURATION, SETTINGS, WORKLOAD, is_held
from app.install.ports import GuardSettings
from app.install.prepare import BootstrapRequest, bring_baselines
from app.install.procedure import CannotInstall
from app.model.declared_sources import declared_sources
from app.model.kinds import NETWORK_POLICY, Manifest, Reference, Written
from app.model.survey import PluginLimit
from app.names import FailurePolicy
from app.shipped import guard_manifests
from tests.install.ends import ENDS, assert_nothing_was_lost, assert_told
from tests.install.site import HIDDEN, IMAGE, LISTED, FakeServer, FakeSite, measurement, namespace
from tests.install.store import RecordingTerminal
from tests.install.world import DENY_ALL, MANAGED, NS, manifest

REQUEST = BootstrapRequest(image=IMAGE, yes=True)
BASELINES = {"iomete-ingress-egress", "iomete-spark-operator"}
BRIDGE = "netpol-guard-bridge"
LIMIT = PluginLimit((), "the plugin cannot", "do something else")
TOO_OLD = "Kubernetes v1.29.4 is too old: netpol-guard needs 1.30 or later; upgrade the cluster first"

Bring = Callable[[FakeSite, RecordingTerminal, BootstrapRequest], int]
BOTH = pytest.mark.parametrize("bring", [bring_guard, bring_baselines], ids=["guard", "baselines-only"])


def guarded() -> FakeSite:
    """Return a cluster in which bootstrap was run already."""
    site = FakeSite.of()
    assert bring_guard(site, RecordingTerminal(), REQUEST) == 0
    return site


def refusal(bring: Bring, site: FakeSite, request: BootstrapRequest = REQUEST) -> str:
    """Return why it is refused; nothing was written."""
    before = site.writes
    with pytest.raises(CannotInstall) as refused:
        bring(site, RecordingTerminal(), request)
    assert site.writes == before
    assert str(refused.value).endswith("\nNothing was changed.")
    return str(refused.value)


def shown(bring: Bring, site: FakeSite, request: BootstrapRequest = REQUEST, code: int = 0) -> str:
    """Return what is shown by a run with that exit code, in which nobody is asked."""
    terminal = RecordingTerminal()
    assert bring(site, terminal, request) == code, terminal.text
    return terminal.text


def let_in(site: FakeSite) -> set[str]:
    """Return the addresses that the operator's baseline lets in."""
    policy = site.objects.objects[Reference(NETWORK_POLICY, "iomete-spark-operator", NS)]
    return {peer["ipBlock"]["cidr"] for rule in policy["spec"]["ingress"] for peer in rule["from"]}


class TestTheGuard:
    """``bring_guard``: the guard, measured sources, baselines, self-test, ``Fail``."""

    def test_all_comes_in_its_order_and_the_policy_is_raised_last(self) -> None:
        site, terminal = FakeSite.of(), RecordingTerminal()
        assert bring_guard(site, terminal, REQUEST) == 0
        done = [line for line in terminal.lines if line.endswith((": done", ": passed", "ready", "probes)"))]
        assert done == [
            *(f"create {Reference.of(shipped)}: done" for shipped in guard_manifests()),
            "wait for the guard: 2 of 2 replicas ready",
            f"measure where the API server calls from: {LISTED} (4 probes)",
            f"create NetworkPolicy {NS}/{BRIDGE}: done",
            f"create NetworkPolicy {NS}/iomete-spark-operator: done",
            f"create NetworkPolicy {NS}/iomete-ingress-egress: done",
            "give the network plugin 10 s: done",
            f"remove NetworkPolicy {NS}/{BRIDGE}: done",
            f"self-test in {NS}: passed",
            "failurePolicy Fail: done",
        ]
        assert site.objects.failure_policies == {"Fail"}
        assert not is_held(site.objects.get(CONFIGURATION))
        assert site.policies() == BASELINES
        assert terminal.lines[-6:] == [
            f"Guarded: {NS}.",
            "The API server calls from:",
            f"  {LISTED}  (measured: a probe just now, asking {LISTED})",
            "failurePolicy: Fail. Policies of these namespaces can be changed as long as a guard answers.",
            "Another namespace of the platform: netpol-guard bootstrap -n NAME --label",
            "What is wrong, whenever something is: netpol-guard doctor",
        ]
        assert_nothing_was_lost(site)

    def test_until_the_self_test_has_passed_nothing_is_rejected(self) -> None:
        site, seen = FakeSite.of(), []
        site.objects.before_write = lambda: seen.append(frozenset(site.objects.failure_policies))
        bring_guard(site, RecordingTerminal(), REQUEST)
        assert set(seen) == {frozenset(), frozenset({"Ignore"})}

    def test_a_second_run_changes_nothing_and_asks_nothing(self) -> None:
        site = guarded()
        before = site.writes
        told = shown(bring_guard, site, replace(REQUEST, image="", yes=False))
        assert site.writes == before
        assert "Nothing was changed: all of it stood already.\nGuarded: data-plane." in told
        assert f"self-test in {NS}: passed" in told
        assert "failurePolicy Fail" not in told

    def test_a_dry_run_shows_every_object_and_what_comes_afterwards(self) -> None:
        site = FakeSite.of()
        told = shown(bring_guard, site, replace(REQUEST, yes=False, dry_run=True))
        assert site.writes == 0
        for shipped in guard_manifests():
            assert f"* create {Reference.of(shipped)}: the guard" in told
        assert f"* create NetworkPolicy {NS}/iomete-ingress-egress: lets required traffic through" in told
        assert "Note: it begins with failurePolicy Ignore; when the guard runs" in told
        assert told.endswith("Nothing was changed: --dry-run.")

    def test_a_dry_run_where_all_stands_says_so(self) -> None:
        site = guarded()
        before = site.writes
        told = shown(bring_guard, site, replace(REQUEST, dry_run=True))
        assert site.writes == before
        assert told.endswith("Nothing to change: all of it stands already.")
        assert "failurePolicy Ignore" not in told

    def test_without_an_image_and_without_a_guard_that_runs_it_is_asked_for(self) -> None:
        site = FakeSite.of()
        with pytest.raises(InputError, match="--image: required"):
            bring_guard(site, RecordingTerminal(), BootstrapRequest(yes=True))
        assert site.writes == 0

    def test_a_configuration_of_our_name_that_is_not_ours_is_refused(self) -> None:
        theirs = copy.deepcopy(
            next(manifest for manifest in guard_manifests() if manifest["kind"].startswith("Validating"))
        )
        theirs["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "Helm"}
        assert f"{CONFIGURATION} is there and not ours" in refusal(bring_guard, FakeSite.of(theirs))

    def test_every_permission_that_is_missing_is_named(self) -> None:
        site = FakeSite.of(server=FakeServer(refused=lambda permission: permission.verb != "list"))
        told = refusal(bring_guard, site, replace(REQUEST, namespaces=(NS,), label=True))
        for words in (
            "create namespaces",
            "patch namespaces",
            "patch clusterroles.rbac.authorization.k8s.io",
            "create deployments.apps in namespace netpol-guard",
            "patch validatingwebhookconfigurations.admissionregistration.k8s.io",
            f"create networkpolicies.networking.k8s.io in namespace {NS}",
            f"delete networkpolicies.networking.k8s.io in namespace {NS}",
            f"probe networkpolicies.networking.k8s.io in namespace {NS}",
        ):
            assert f"\n  - {words}\n" in told
        assert "- list" not in told

    def test_without_a_namespace_there_is_a_guard_and_nothing_to_measure_or_test(self) -> None:
        site = FakeSite.of()
        del site.objects.objects[Reference.of(namespace(NS, {}))]
        told = shown(bring_guard, site)
        assert "no namespace carries iomete.com/managed=true: name those of the platform" in told
        assert "Guarded: no namespace yet." in told
        assert "ready\nfailurePolicy Fail: done" in told
        assert site.objects.failure_policies == {"Fail"}

    def test_a_guard_that_never_runs_ends_with_the_time_and_nothing_is_rejected_or_cut(self) -> None:
        site = FakeSite.of()
        site.objects.runs = False
        told = shown(bring_guard, site, code=2)
        assert "wait for the guard: failed\nStopped: could not run Deployment" in told
        assert "0 of 2 after 180 s: it has no pods" in told
        assert (
            "  - wait for the guard\n  - measure where the API server calls from\n  - baselines\n"
            "  - self-test\n  - failurePolicy Fail\n"
        ) in told
        assert told.endswith(
            "failurePolicy stays Ignore. Without an answer of the guard, requests go through."
        )
        assert sum(site.clock.slept) == 180
        assert site.policies() == set()

    def test_without_waiting_all_is_applied_and_nothing_is_enforced(self) -> None:
        site = FakeSite.of(measured=ChangeFailed("measure", "nobody asked for it"))
        site.objects.runs = False
        told = shown(bring_guard, site, replace(REQUEST, wait=False, pause=0))
        assert told.endswith(
            "Not measured or tested yet, so failurePolicy stays as it is.\n"
            "To complete it, run the same command without --no-wait."
        )
        assert site.clock.slept == []
        assert site.policies() == BASELINES
        assert site.objects.failure_policies == {"Ignore"}

    def test_what_no_wait_left_is_completed_only_where_somebody_agrees(self) -> None:
        site = FakeSite.of()
        bring_guard(site, RecordingTerminal(), replace(REQUEST, wait=False))
        before = site.writes
        told = shown(bring_guard, site, replace(REQUEST, dry_run=True))
        assert "and then comes failurePolicy Fail" in told
        asked = RecordingTerminal(answer=False)
        assert bring_guard(site, asked, replace(REQUEST, yes=False)) == 2
        assert asked.questions == ["Make these changes?"]
        assert site.writes == before
        assert "failurePolicy Fail: done" in shown(bring_guard, site)
        assert site.objects.failure_policies == {"Fail"}


class TestMeasuring:
    """What probes find, and what follows from it."""

    def test_what_is_found_goes_into_the_baselines_and_is_shown_before_they_are_written(self) -> None:
        site = FakeSite.of(measured=measurement(LISTED, HIDDEN))
        terminal = RecordingTerminal(answer=True)
        assert bring_guard(site, terminal, replace(REQUEST, yes=False)) == 0
        assert let_in(site) == {f"{LISTED}/32", f"{HIDDEN}/32"}
        told = terminal.text
        assert f"  {HIDDEN}: 1 calls, seen by netpol-guard-1; listed nowhere, so only measuring tells" in told
        changed = told.partition("What was measured changes the plan:")[2]
        assert f"    +        cidr: {HIDDEN}/32" in changed
        assert "iomete-ingress-egress: lets" not in changed.partition("create")[0]
        assert terminal.questions == ["Make these changes?"], "who agreed once is not asked again"

    def test_where_nothing_was_asked_before_what_measuring_changes_is_asked(self) -> None:
        site = guarded()
        site.measured = measurement(LISTED, HIDDEN)
        before = site.writes
        terminal = RecordingTerminal(answer=False)
        assert bring_guard(site, terminal, replace(REQUEST, yes=False)) == 2
        assert terminal.questions == ["Make these changes?"]
        assert terminal.lines[-1] == "Nothing was changed."
        assert site.writes == before
        assert bring_guard(site, RecordingTerminal(answer=True), replace(REQUEST, yes=False)) == 0
        assert let_in(site) == {f"{LISTED}/32", f"{HIDDEN}/32"}

    def test_where_nobody_can_be_asked_what_measuring_changes_is_not_done(self) -> None:
        site = guarded()
        site.measured = measurement(LISTED, HIDDEN)
        before = site.writes
        with pytest.raises(InputError, match="nobody can be asked"):
            bring_guard(site, RecordingTerminal(), replace(REQUEST, yes=False))
        assert site.writes == before

    def test_where_nothing_answers_no_policy_is_written(self) -> None:
        site = FakeSite.of(measured=ChangeFailed("measure", "no probe was answered"))
        told = shown(bring_guard, site, code=2)
        assert "measure where the API server calls from: failed" in told
        assert "  - baselines\n  - self-test\n  - failurePolicy Fail\n" in told
        assert "failurePolicy stays Ignore." in told
        assert site.policies() == set()

    def test_what_the_plugin_cannot_express_of_what_was_measured_ends_it(self) -> None:
        site, terminal = FakeSite.of(limits=[None, LIMIT]), RecordingTerminal()
        assert bring_guard(site, terminal, REQUEST) == 2
        assert terminal.bad == ["Stopped: the plugin cannot. Instead: do something else"]
        assert terminal.lines[-1].startswith("failurePolicy stays Ignore.")
        assert site.policies() == set()

    def test_where_the_guard_is_up_already_its_policy_stays_whatever_ends_it(self) -> None:
        site = guarded()
        site.limits = [None, LIMIT]
        told = shown(bring_guard, site, code=2)
        assert "failurePolicy stays Fail. Policies of these namespaces can be changed" in told

    def test_declared_sources_are_written_into_the_settings_and_nothing_is_measured(self) -> None:
        site = FakeSite.of(measured=ChangeFailed("measure", "nobody asked for it"))
        told = shown(bring_guard, site, replace(REQUEST, declared=declared_sources(["10.99.0.1"])))
        assert "10.99.0.1  (declared: given by --api-server)" in told
        settings = yaml.safe_load(site.objects.objects[SETTINGS]["data"]["settings.yaml"])
        assert settings["apiServer"]["sources"] == ["10.99.0.1/32"]
        assert let_in(site) == {"10.99.0.1/32"}
        before = site.writes
        again = shown(bring_guard, site)
        assert "10.99.0.1  (declared in the guard's settings)" in again
        assert site.writes == before


class TestTheEnd:
    """The self-test, and what it permits."""

    def test_a_guard_that_does_not_decide_is_not_given_the_power_to_reject(self) -> None:
        site = FakeSite.of()
        site.objects.decides = False
        told = shown(bring_guard, site, code=2)
        assert f"self-test in {NS}: failed\nStopped: could not pass the self-test" in told
        assert f"  - self-test in {NS}\n  - failurePolicy Fail\n" in told
        assert "To complete it: netpol-guard bootstrap" in told
        assert "failurePolicy stays Ignore." in told
        assert site.objects.failure_policies == {"Ignore"}
        assert site.policies() == BASELINES

    def test_a_policy_that_is_not_raised_in_time_is_told_with_where_to_look(self) -> None:
        site = FakeSite.of()
        site.objects.raises = False
        told = shown(bring_guard, site, code=2)
        assert "failurePolicy Fail: failed" in told
        assert "the guard has not raised it within 180 s; its log says why: kubectl logs" in told
        assert told.endswith(
            "failurePolicy stays Ignore. Without an answer of the guard, requests go through."
        )
        site.objects.raises = True
        assert "failurePolicy Fail: done" in shown(bring_guard, site)

    def test_ignore_in_the_settings_stays_and_nothing_is_waited_for(self) -> None:
        site = FakeSite.of(settings=GuardSettings(failure_policy=FailurePolicy.IGNORE))
        site.objects.raises = False
        told = shown(bring_guard, site)
        assert "failurePolicy Ignore: Ignore stays, as the settings say" in told
        assert "failurePolicy: Ignore. Without an answer of the guard, requests go through." in told
        assert not is_held(site.objects.get(CONFIGURATION))
        before = site.writes
        assert "Nothing was changed: all of it stood already." in shown(bring_guard, site)
        assert site.writes == before

    @pytest.mark.parametrize(
        ("settings", "words"),
        [
            (GuardSettings(mode="off"), "left out: mode off"),
            (GuardSettings(exempt=frozenset({NS})), "left out: exempt"),
        ],
        ids=["mode", "exempt"],
    )
    def test_where_the_settings_enforce_nothing_nothing_is_tested(
        self, settings: GuardSettings, words: str
    ) -> None:
        site = FakeSite.of(settings=settings)
        site.objects.decides = False
        assert f"self-test in {NS}: {words}" in shown(bring_guard, site)

    def test_settings_that_cannot_be_used_end_it_before_anything_is_rejected(self) -> None:
        site = FakeSite.of(settings=SettingsError("mode: nonsense"))
        with pytest.raises(SettingsError, match="nonsense"):
            bring_guard(site, RecordingTerminal(), REQUEST)
        assert site.objects.failure_policies == {"Ignore"}

    def test_a_flow_that_is_cut_off_nevertheless_is_told_and_it_is_no_success(self) -> None:
        site = guarded()
        damage_at_the_end(site)
        told = shown(bring_guard, site, code=2)
        assert "Still cut off: " in told
        assert "; isolated by default-deny" in told
        assert "Guarded" not in told


def damage_at_the_end(site: FakeSite) -> None:
    """Let somebody replace the baselines by a ``default-deny`` before it is looked at for the last time."""
    looks = iter(range(10))
    last = 2 if CONFIGURATION in site.objects.objects else 1

    def damage() -> None:
        if next(looks) == last:
            for reference in [known for known in site.objects.objects if known.name in BASELINES]:
                del site.objects.objects[reference]
            site.objects._put(DENY_ALL, "developer")

    site.before_look = damage


class TestTheBaselines:
    """``bring_baselines``: the two policies alone."""

    def test_both_come_over_a_bridge_and_a_second_run_changes_nothing(self) -> None:
        site = FakeSite.of()
        told = shown(bring_baselines, site)
        assert told.endswith(f"Done: both baselines stand in {NS}, and every required flow passes.")
        assert any(
            manifest["metadata"]["name"] == BRIDGE for state in site.objects.history for manifest in state
        ), "a bridge stood"
        assert site.policies() == BASELINES
        assert_nothing_was_lost(site)
        before = site.writes
        again = shown(bring_baselines, site, replace(REQUEST, yes=False))
        assert again.endswith(f"Nothing to change: both baselines stand in {NS}.")
        assert site.writes == before
        assert site.objects.get(WORKLOAD) is None

    def test_sources_that_were_looked_up_are_said_to_be_so(self) -> None:
        request = replace(REQUEST, dry_run=True)
        assert "was looked up, not measured" in shown(bring_baselines, FakeSite.of(), request)
        declared = replace(request, declared=declared_sources([LISTED]))
        assert "was looked up" not in shown(bring_baselines, FakeSite.of(), declared)

    def test_a_dry_run_shows_the_plan_and_changes_nothing(self) -> None:
        site = FakeSite.of()
        told = shown(bring_baselines, site, replace(REQUEST, yes=False, dry_run=True))
        assert f"* create NetworkPolicy {NS}/iomete-ingress-egress" in told
        assert told.endswith("Nothing was changed: --dry-run.")
        assert site.writes == 0

    def test_a_namespace_is_labelled_where_that_was_said(self) -> None:
        site = FakeSite.of()
        request = replace(REQUEST, namespaces=("web",))
        assert "have it labelled with --label" in refusal(bring_baselines, site, request)
        told = shown(bring_baselines, site, replace(request, label=True))
        assert "* change Namespace web: makes it one of the platform's namespaces" in told
        labels = site.objects.objects[Reference.of(namespace("web", {}))]["metadata"]["labels"]
        assert labels == MANAGED
        assert site.policies("web") == BASELINES
        before = site.writes
        assert "Nothing to change" in shown(bring_baselines, site, replace(request, label=True))
        assert site.writes == before

    def test_to_label_takes_a_permission_that_is_asked_for_only_then(self) -> None:
        site = FakeSite.of()
        site.server.refused = lambda permission: (
            (permission.resource, permission.verb)
            == (
                "namespaces",
                "patch",
            )
        )
        request = replace(REQUEST, namespaces=(NS,))
        assert "\n  - patch namespaces\n" in refusal(bring_baselines, site, replace(request, label=True))
        shown(bring_baselines, site, request)

    def test_other_namespaces_are_let_in_by_a_policy_of_its_own(self) -> None:
        site = FakeSite.of()
        shown(bring_baselines, site, replace(REQUEST, openings=("istio-system",)))
        assert site.policies() == BASELINES | {"netpol-guard-allow-istio-system"}

    def test_what_others_wrote_differently_stays_unless_it_is_adopted(self) -> None:
        site = FakeSite.of(manifest("iomete-ingress-egress", {"ingress": [], "policyTypes": ["Ingress"]}))
        shown(bring_baselines, site)
        assert "iomete-ingress-egress-netpol-guard" in site.policies()
        adopted = FakeSite.of(manifest("iomete-ingress-egress", {"ingress": [], "policyTypes": ["Ingress"]}))
        shown(bring_baselines, adopted, replace(REQUEST, adopt=True))
        assert adopted.policies() == BASELINES

    def test_a_field_of_another_manager_is_refused_with_the_way_to_take_it_over(self) -> None:
        site = FakeSite.of()
        shown(bring_baselines, site)
        operator = site.objects.objects[Reference(NETWORK_POLICY, "iomete-spark-operator", NS)]
        operator["metadata"]["managedFields"][0]["manager"] = "gitops"
        operator["spec"]["ingress"] = []
        assert "take the field over with --adopt" in refusal(bring_baselines, site)
        shown(bring_baselines, site, replace(REQUEST, adopt=True))
        assert let_in(site) == {f"{LISTED}/32"}

    def test_a_flow_that_is_cut_off_nevertheless_is_told_and_it_is_no_success(self) -> None:
        site, terminal = FakeSite.of(), RecordingTerminal()
        damage_at_the_end(site)
        assert bring_baselines(site, terminal, REQUEST) == 2
        assert all(line.startswith("Still cut off: ") for line in terminal.bad)
        assert terminal.bad
        assert "Done:" not in terminal.text


class TestRefusals:
    """What is in the way of both, the guard and the baselines alone; nothing is changed then."""

    @BOTH
    def test_a_server_that_is_too_old(self, bring: Bring) -> None:
        site = FakeSite.of(server=FakeServer("v1.29.4", refused=lambda _: True))
        assert refusal(bring, site) == f"{TOO_OLD}\nNothing was changed.", "nothing else was asked"

    @BOTH
    def test_permissions_that_are_missing(self, bring: Bring) -> None:
        site = FakeSite.of(server=FakeServer(refused=lambda permission: permission.verb == "delete"))
        assert "\n  - delete networkpolicies.networking.k8s.io\n" in refusal(bring, site)

    @BOTH
    def test_a_namespace_that_is_not_there_and_one_that_is_not_of_the_platform(self, bring: Bring) -> None:
        told = refusal(bring, FakeSite.of(), replace(REQUEST, namespaces=("nowhere", "web")))
        assert "there is no namespace nowhere; create it first" in told
        assert "namespace web does not carry iomete.com/managed=true" in told

    @BOTH
    def test_a_namespace_to_let_in_that_is_not_there(self, bring: Bring) -> None:
        told = refusal(bring, FakeSite.of(), replace(REQUEST, openings=("istio-sytsem",)))
        assert "--allow-namespace istio-sytsem: there is no such namespace" in told

    @BOTH
    def test_an_api_server_of_which_nobody_knows_where_it_calls_from(self, bring: Bring) -> None:
        site = FakeSite.of(listed=())
        assert "name every member of the control plane with --api-server ADDRESS" in refusal(bring, site)

    @BOTH
    def test_a_plugin_that_cannot_express_it(self, bring: Bring) -> None:
        assert str(LIMIT) in refusal(bring, FakeSite.of(limits=[LIMIT]))

    @BOTH
    def test_a_policy_that_the_api_server_would_not_take(
        self, bring: Bring, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def apply(manifest: Manifest, *_: object, **__: object) -> Written:
            raise ChangeFailed(f"apply {Reference.of(manifest)}", "quota exceeded", status=403)

        site = FakeSite.of()
        monkeypatch.setattr(site.objects, "apply", apply)
        told = refusal(bring, site)
        assert f"could not apply NetworkPolicy {NS}/iomete-spark-operator: quota exceeded" in told
        assert f"could not apply NetworkPolicy {NS}/iomete-ingress-egress: quota exceeded" in told

    @BOTH
    def test_a_namespace_that_is_being_deleted_is_left_out(self, bring: Bring) -> None:
        site = FakeSite.of()
        going = site.objects.objects[Reference.of(namespace(NS, {}))]
        going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        assert f"Note: namespace {NS} is being deleted: left out" in shown(bring, site)
        assert site.policies() == set()

    @BOTH
    def test_whoever_is_asked_and_says_no(self, bring: Bring) -> None:
        site, terminal = FakeSite.of(), RecordingTerminal(answer=False)
        assert bring(site, terminal, replace(REQUEST, yes=False)) == 2
        assert terminal.questions == ["Make these changes?"]
        assert terminal.lines[-1] == "Nothing was changed."
        assert site.writes == 0

    @BOTH
    def test_a_place_where_nobody_can_be_asked(self, bring: Bring) -> None:
        site = FakeSite.of()
        with pytest.raises(InputError, match="nobody can be asked here"):
            bring(site, RecordingTerminal(), replace(REQUEST, yes=False))
        assert site.writes == 0


POLICY_WRITES = 4
GUARD_WRITES = len(guard_manifests()) + POLICY_WRITES + 1


@pytest.mark.parametrize("end", ENDS)
class TestInterruptions:
    """Ended at any write or wait, it says what stands, and running it again completes it."""

    @pytest.mark.parametrize("writes", range(GUARD_WRITES))
    def test_bringing_the_guard_goes_on_from_every_write(self, writes: int, end: str) -> None:
        site, terminal = FakeSite.of(), RecordingTerminal()
        site.objects.writes, site.objects.end = writes, ENDS[end]
        assert bring_guard(site, terminal, REQUEST) == 2
        assert_told(terminal, end, "bootstrap", nothing_done=writes in (0, len(guard_manifests())))
        assert terminal.lines[-1].startswith("failurePolicy stays Ignore.")
        assert "  - failurePolicy Fail" in terminal.lines
        assert site.objects.failure_policies <= {"Ignore"}
        site.objects.writes = 1_000
        assert bring_guard(site, RecordingTerminal(), REQUEST) == 0
        assert site.objects.failure_policies == {"Fail"}
        assert site.policies() == BASELINES
        assert_nothing_was_lost(site)

    def test_there_is_no_further_write(self, end: str) -> None:
        site = FakeSite.of()
        site.objects.writes, site.objects.end = GUARD_WRITES, ENDS[end]
        assert bring_guard(site, RecordingTerminal(), REQUEST) == 0

    @pytest.mark.parametrize("writes", range(POLICY_WRITES))
    def test_bringing_the_baselines_goes_on_from_every_write(self, writes: int, end: str) -> None:
        site, terminal = FakeSite.of(), RecordingTerminal()
        site.objects.writes, site.objects.end = writes, ENDS[end]
        assert bring_baselines(site, terminal, REQUEST) == 2
        assert_told(terminal, end, "bootstrap", nothing_done=writes == 0)
        assert f"  - remove NetworkPolicy {NS}/{BRIDGE}" in terminal.lines
        site.objects.writes = 1_000
        assert bring_baselines(site, RecordingTerminal(), REQUEST) == 0
        assert site.policies() == BASELINES
        assert_nothing_was_lost(site)

    @pytest.mark.parametrize(
        "wait", ["wait for the guard", "give the network plugin 10 s", "failurePolicy Fail"]
    )
    def test_bringing_the_guard_goes_on_from_every_wait(
        self, wait: str, end: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        site, terminal = FakeSite.of(), RecordingTerminal()

        def sleep(seconds: float) -> None:
            if terminal.lines[-1] == wait:
                raise ENDS[end]()  # noqa: RSE102 - some are functions
            site.clock.slept.append(seconds)
            site.objects.reconcile()

        with monkeypatch.context() as patched:
            patched.setattr(site.clock, "sleep", sleep)
            assert bring_guard(site, terminal, REQUEST) == 2
        assert_told(terminal, end, "bootstrap")
        assert site.objects.failure_policies == {"Ignore"}
        assert bring_guard(site, RecordingTerminal(), REQUEST) == 0
        assert site.objects.failure_policies == {"Fail"}
        assert_nothing_was_lost(site)


class TestOutput:
    """``manifests_as_yaml``: what would stand, for GitOps."""

    def test_it_is_the_guard_and_the_policies_of_every_managed_namespace_and_no_secret(self) -> None:
        site = FakeSite.of()
        text = manifests_as_yaml(site, replace(REQUEST, openings=("istio-system",)), guard=True)
        made = list(yaml.safe_load_all(text))
        references = [Reference.of(manifest) for manifest in made]
        assert references[: len(guard_manifests())] == [
            Reference.of(manifest) for manifest in guard_manifests()
        ]
        names = [(reference.name, reference.namespace) for reference in references[len(guard_manifests()) :]]
        assert names == [
            ("iomete-spark-operator", NS),
            ("iomete-ingress-egress", NS),
            ("netpol-guard-allow-istio-system", NS),
        ]
        assert "PRIVATE KEY" not in text
        assert "kind: Secret" not in text
        assert site.writes == 0

    def test_it_keeps_what_stands_in_the_cluster(self) -> None:
        site = guarded()
        made = yaml.safe_load_all(manifests_as_yaml(site, BootstrapRequest(), guard=True))
        by_reference = {Reference.of(manifest): manifest for manifest in made}
        container = by_reference[WORKLOAD]["spec"]["template"]["spec"]["containers"][0]
        assert container["image"] == IMAGE
        webhooks = by_reference[CONFIGURATION]["webhooks"]
        assert {webhook["failurePolicy"] for webhook in webhooks} == {"Fail"}

    def test_the_baselines_alone_are_two_policies_for_each_namespace(self) -> None:
        text = manifests_as_yaml(FakeSite.of(), BootstrapRequest(), guard=False)
        kinds = [
            (manifest["kind"], manifest["metadata"]["namespace"]) for manifest in yaml.safe_load_all(text)
        ]
        assert kinds == [("NetworkPolicy", NS)] * 2

    def test_the_image_is_asked_for(self) -> None:
        with pytest.raises(InputError, match="--image: required"):
            manifests_as_yaml(FakeSite.of(), BootstrapRequest(), guard=True)

    def test_nothing_is_printed_where_something_is_in_the_way(self) -> None:
        site = FakeSite.of(server=FakeServer("v1.29.4"))
        with pytest.raises(CannotInstall, match="too old"):
            manifests_as_yaml(site, REQUEST, guard=True)
