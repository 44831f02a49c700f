"""``uninstall`` as a whole, over a cluster in memory: every step, refusal and interruption."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest

from app.errors import InputError
from app.install.bootstrap import bring_guard
from app.install.guard.manifests import CONFIGURATION, WORKLOAD
from app.install.prepare import BootstrapRequest, bring_baselines
from app.install.procedure import CannotInstall
from app.install.uninstall import UninstallRequest, take_away
from app.model.kinds import CONFIG_MAP, NETWORK_POLICY, POD, SECRET, Manifest, Reference
from app.names import OURS, SOURCES_CONFIG_MAP, TLS_SECRET
from app.shipped import guard_manifests
from tests.install.ends import ENDS, assert_nothing_was_lost, assert_told
from tests.install.site import HOME, IMAGE, FakeServer, FakeSite
from tests.install.store import RecordingTerminal
from tests.install.world import DENY_ALL, NS

GUARD = UninstallRequest(guard=True, baselines=False, yes=True)
BASELINES = UninstallRequest(yes=True)
BOTH = UninstallRequest(guard=True, yes=True)
AFTER = "The labels iomete.com/managed and netpol-guard.iomete.com/mode on namespaces stay: they are yours."
MADE = (
    Reference(SECRET, TLS_SECRET, "netpol-guard"),
    Reference(CONFIG_MAP, SOURCES_CONFIG_MAP, "netpol-guard"),
)


def thing(reference: Reference, **metadata: object) -> Manifest:
    """Return an object without anything in it."""
    metadata |= {"name": reference.name, "namespace": reference.namespace}
    return {"apiVersion": reference.kind.version, "kind": reference.kind.name, "metadata": metadata}


def guarded() -> tuple[FakeSite, set[Reference]]:
    """Return a cluster with the guard, what it makes, and both baselines; and what was there before."""
    site = FakeSite.of()
    before = set(site.objects.objects)
    assert bring_guard(site, RecordingTerminal(), BootstrapRequest(image=IMAGE, yes=True)) == 0
    for reference in MADE:
        site.objects._put(thing(reference), "guard")
    return site, before


def with_baselines() -> FakeSite:
    """Return a cluster with both baselines."""
    site = FakeSite.of()
    assert bring_baselines(site, RecordingTerminal(), BootstrapRequest(yes=True)) == 0
    return site


def shown(site: FakeSite, request: UninstallRequest, code: int = 0) -> str:
    """Return what is shown by a run with that exit code, in which nobody is asked."""
    terminal = RecordingTerminal()
    assert take_away(site, terminal, request) == code, terminal.text
    return terminal.text


class TestTheGuard:
    """Its configuration first, its namespace last."""

    def test_the_guard_goes_without_a_trace_and_the_baselines_stay(self) -> None:
        site, before = guarded()
        terminal = RecordingTerminal()
        assert take_away(site, terminal, GUARD) == 0
        left = set(site.objects.objects) - before
        assert {(reference.kind, reference.namespace) for reference in left} == {(NETWORK_POLICY, NS)}
        removed = [line for line in terminal.lines if line.endswith((": done", ": gone"))]
        assert removed[:3] == [
            f"remove {CONFIGURATION}: done",
            f"remove {WORKLOAD}: done",
            f"wait until {WORKLOAD} is gone: gone",
        ]
        assert removed[-2:] == [f"remove {HOME}: done", f"wait until {HOME} is gone: gone"]
        assert {f"remove {reference}: done" for reference in MADE} <= set(removed)
        assert terminal.lines[-2:] == ["Gone: the guard.", AFTER]

    def test_its_pods_are_waited_for_before_the_secret_that_they_would_make_again_goes(self) -> None:
        site, _ = guarded()
        site.objects.before_write = lambda: orders.append(bool(site.objects.list(POD, "netpol-guard")))
        orders: list[bool] = []
        shown(site, GUARD)
        assert orders[:2] == [True, True], "the configuration and the Deployment"
        assert not any(orders[2:])

    def test_pods_that_do_not_go_are_told_after_the_time_and_a_later_run_completes_it(self) -> None:
        site, before = guarded()
        site.objects.stuck = True
        told = shown(site, replace(GUARD, timeout=30.0), code=2)
        assert f"wait until {WORKLOAD} is gone: failed" in told
        assert (
            "it is still there after 30 s; kubectl get deployments -n netpol-guard -o yaml says why" in told
        )
        assert f"  - remove {MADE[0]}" in told
        assert "To complete it: netpol-guard uninstall" in told
        assert set(MADE) <= set(site.objects.objects)
        site.objects.stuck = False
        shown(site, GUARD)
        assert {reference.namespace for reference in set(site.objects.objects) - before} == {NS}

    def test_what_is_not_ours_in_its_namespace_keeps_the_namespace(self) -> None:
        site, _ = guarded()
        site.objects._put(thing(Reference(CONFIG_MAP, "theirs", "netpol-guard")), "developer")
        told = shown(site, GUARD)
        assert "Note: namespace netpol-guard stays: it holds what is not ours: ConfigMap theirs" in told
        assert site.objects.get(HOME) is not None
        assert site.objects.get(WORKLOAD) is None

    def test_what_bears_our_name_and_not_our_label_stays(self) -> None:
        theirs = copy.deepcopy(
            next(manifest for manifest in guard_manifests() if Reference.of(manifest) == CONFIGURATION)
        )
        theirs["metadata"]["labels"] = {}
        site = FakeSite.of(theirs)
        told = shown(site, GUARD)
        assert f"Note: {CONFIGURATION} stays: it lacks the label {'='.join(OURS)}" in told
        assert told.endswith("Nothing to remove: there is nothing of the guard.")
        assert site.writes == 0

    def test_only_permissions_for_the_guard_are_asked_for(self) -> None:
        site, _ = guarded()
        site.server = FakeServer(refused=lambda permission: permission.resource == "networkpolicies")
        assert "networkpolicies" in refusal(site, BOTH)
        site.server = FakeServer(
            refused=lambda permission: permission.namespace == "" and permission.resource == "networkpolicies"
        )
        shown(site, GUARD)


class TestTheBaselines:
    """Both policies out again, over a bridge."""

    def test_they_go_and_nothing_is_lost_on_the_way(self) -> None:
        site = with_baselines()
        since = len(site.objects.history) - 1
        told = shown(site, BASELINES)
        assert told.endswith(f"Gone: the baselines of {NS}.")
        assert "give the network plugin 10 s: done" in told
        assert site.policies() == set()
        assert_nothing_was_lost(site, since)
        assert AFTER not in told

    def test_those_of_one_namespace_alone_go(self) -> None:
        site = with_baselines()
        request = BootstrapRequest(namespaces=("web",), label=True, yes=True)
        assert bring_baselines(site, RecordingTerminal(), request) == 0
        shown(site, replace(BASELINES, namespaces=("web",)))
        assert site.policies("web") == set()
        assert len(site.policies()) == 2

    def test_it_is_refused_where_a_policy_of_others_would_cut_flows_off_then(self) -> None:
        site = with_baselines()
        site.objects._put(DENY_ALL, "developer")
        told = refusal(site, BASELINES)
        assert f"namespace {NS}: to remove " in told
        assert "isolated by default-deny" in told

    def test_a_namespace_that_is_not_there_is_refused(self) -> None:
        told = refusal(with_baselines(), replace(BASELINES, namespaces=("nowhere",)))
        assert "there is no namespace nowhere" in told

    def test_a_policy_that_became_needed_meanwhile_stays(self) -> None:
        site = with_baselines()
        site.objects.before_write = lambda: site.objects._put(DENY_ALL, "developer")
        told = shown(site, BASELINES, code=2)
        assert f"the policies of {NS} were changed meanwhile, and now it would cut" in told
        assert "iomete-ingress-egress" in site.policies()


class TestBoth:
    """The guard and the baselines."""

    def test_the_configuration_goes_first_then_the_baselines_then_the_rest(self) -> None:
        site, before = guarded()
        terminal = RecordingTerminal()
        assert take_away(site, terminal, BOTH) == 0
        assert set(site.objects.objects) == before
        order = [line for line in terminal.lines if line.startswith("remove ")]
        kinds = [line.split()[1] for line in order]
        assert kinds[0] == "ValidatingWebhookConfiguration"
        assert order.index(f"remove NetworkPolicy {NS}/netpol-guard-bridge: done") < kinds.index("Deployment")
        assert terminal.lines[-2:] == [f"Gone: the guard and the baselines of {NS}.", AFTER]

    @pytest.mark.parametrize(
        ("request_", "what"),
        [
            (GUARD, "the guard"),
            (BASELINES, f"the baselines of {NS}"),
            (BOTH, f"the guard and the baselines of {NS}"),
        ],
        ids=["guard", "baselines", "both"],
    )
    def test_where_nothing_is_there_nothing_is_asked_or_changed(
        self, request_: UninstallRequest, what: str
    ) -> None:
        site = FakeSite.of()
        told = shown(site, replace(request_, yes=False))
        assert told.endswith(f"Nothing to remove: there is nothing of {what}.")
        assert site.writes == 0

    def test_a_dry_run_shows_the_plan_and_changes_nothing(self) -> None:
        site, _ = guarded()
        before = site.writes
        told = shown(site, replace(BOTH, yes=False, dry_run=True))
        assert f"* remove {WORKLOAD}: the guard goes" in told
        assert f"* remove NetworkPolicy {NS}/iomete-ingress-egress: the baselines go" in told
        assert told.endswith("Nothing was changed: --dry-run.")
        assert site.writes == before

    def test_whoever_is_asked_and_says_no_keeps_everything(self) -> None:
        site, _ = guarded()
        before, terminal = site.writes, RecordingTerminal(answer=False)
        assert take_away(site, terminal, replace(BOTH, yes=False)) == 2
        assert terminal.questions == ["Make these changes?"]
        assert terminal.lines[-1] == "Nothing was changed."
        assert site.writes == before

    def test_where_nobody_can_be_asked_nothing_is_changed(self) -> None:
        site, _ = guarded()
        before = site.writes
        with pytest.raises(InputError, match="nobody can be asked here"):
            take_away(site, RecordingTerminal(), replace(BOTH, yes=False))
        assert site.writes == before

    def test_every_permission_that_is_missing_is_named(self) -> None:
        site, _ = guarded()
        site.server = FakeServer(refused=lambda permission: permission.verb == "delete")
        told = refusal(site, BOTH)
        for words in (
            "delete networkpolicies.networking.k8s.io",
            "delete validatingwebhookconfigurations.admissionregistration.k8s.io",
            "delete deployments.apps in namespace netpol-guard",
            "delete namespaces",
        ):
            assert f"\n  - {words}\n" in told


def refusal(site: FakeSite, request: UninstallRequest) -> str:
    """Return why it is refused; nothing was written."""
    before = site.writes
    with pytest.raises(CannotInstall) as refused:
        take_away(site, RecordingTerminal(), request)
    assert site.writes == before
    assert str(refused.value).endswith("\nNothing was changed.")
    return str(refused.value)


REMOVALS = len(guard_manifests()) + 1
"""What ships, and the Secret that the guard made: where measured sources are kept is shipped."""


@pytest.mark.parametrize("end", ENDS)
class TestInterruptions:
    """Ended at any write or wait, it says what stands, and running it again completes it."""

    @pytest.mark.parametrize("writes", range(REMOVALS))
    def test_taking_the_guard_away_goes_on_from_every_write(self, writes: int, end: str) -> None:
        site, before = guarded()
        site.objects.writes, site.objects.end = writes, ENDS[end]
        terminal = RecordingTerminal()
        assert take_away(site, terminal, GUARD) == 2
        assert_told(terminal, end, "uninstall", nothing_done=writes == 0)
        assert "  - remove Namespace netpol-guard" in terminal.lines
        assert site.objects.failure_policies == (set() if writes else {"Fail"})
        site.objects.writes = 1_000
        assert take_away(site, RecordingTerminal(), GUARD) == 0
        assert {reference.namespace for reference in set(site.objects.objects) - before} == {NS}

    def test_there_is_no_further_write(self, end: str) -> None:
        site, _ = guarded()
        site.objects.writes, site.objects.end = REMOVALS, ENDS[end]
        assert take_away(site, RecordingTerminal(), GUARD) == 0

    @pytest.mark.parametrize("writes", range(4))
    def test_taking_the_baselines_away_goes_on_from_every_write(self, writes: int, end: str) -> None:
        site = with_baselines()
        since = len(site.objects.history) - 1
        site.objects.writes, site.objects.end = writes, ENDS[end]
        terminal = RecordingTerminal()
        assert take_away(site, terminal, BASELINES) == 2
        assert_told(terminal, end, "uninstall", nothing_done=writes == 0)
        site.objects.writes = 1_000
        assert take_away(site, RecordingTerminal(), BASELINES) == 0
        assert site.policies() == set()
        assert_nothing_was_lost(site, since)

    @pytest.mark.parametrize(
        "wait",
        [f"wait until {WORKLOAD} is gone", "give the network plugin 10 s", f"wait until {HOME} is gone"],
    )
    def test_taking_both_away_goes_on_from_every_wait(
        self, wait: str, end: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        site, before = guarded()
        since = len(site.objects.history) - 1
        terminal = RecordingTerminal()

        def sleep(seconds: float) -> None:
            if terminal.lines[-1] == wait:
                raise ENDS[end]()  # noqa: RSE102 - some are functions
            site.clock.slept.append(seconds)
            site.objects.reconcile()

        with monkeypatch.context() as patched:
            patched.setattr(site.clock, "sleep", sleep)
            assert take_away(site, terminal, BOTH) == 2
        assert_told(terminal, end, "uninstall")
        assert f"  - {wait}" in terminal.lines
        site.objects.reconcile()
        assert take_away(site, RecordingTerminal(), BOTH) == 0
        assert set(site.objects.objects) == before
        assert_nothing_was_lost(site, since)
