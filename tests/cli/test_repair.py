"""``doctor --fix`` over a cluster in memory: every kind of repair, what fails, what is not done."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from app.cli.repair import Consent, repair
from app.doctor.findings import Check, Finding, FindingSeverity, Report
from app.doctor.repairs import (
    Repair,
    allowed,
    applied,
    baselines,
    labelled,
    restored,
    scaled,
    unlabelled,
)
from app.engine.baselines import written_baselines
from app.errors import ChangeFailed, InputError
from app.install.policies.stored import stored_of
from app.model.declared_sources import declared_sources
from app.model.kinds import DEPLOYMENT, NAMESPACE, NETWORK_POLICY, Reference
from tests.install.site import LISTED, FakeServer, FakeSite, namespace
from tests.install.store import RecordingTerminal
from tests.install.world import CLUSTER, MANAGED, NS, manifest

YES = Consent(yes=True)
BASELINES = {"iomete-ingress-egress", "iomete-spark-operator"}
WEB = Reference(NAMESPACE, "web")
OPERATOR = Reference(DEPLOYMENT, "spark-operator", NS)
LABELLED = labelled("web", "iomete.com/managed", "true")


def report(*repairs: Repair | None, severity: FindingSeverity = FindingSeverity.ERROR) -> Report:
    """Return a report with one finding for each repair."""
    return Report(
        tuple(
            Finding(Check.BASELINE_MISSING, f"{number}", repair=repair, own_severity=severity)
            for number, repair in enumerate(repairs)
        )
    )


def repaired(
    site: FakeSite, found: Report, consent: Consent = YES, terminal: RecordingTerminal | None = None
) -> tuple[bool, list[str]]:
    """Return whether anything was done, and what was printed."""
    printed = StringIO()
    console = Console(file=printed, width=1_000)
    done = repair(found, console, consent, site=site, terminal=terminal or RecordingTerminal())
    return done, printed.getvalue().splitlines()


def deployment(replicas: int) -> dict[str, object]:
    """Return the operator's Deployment."""
    metadata = {"name": OPERATOR.name, "namespace": NS}
    spec = {"replicas": replicas}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


class TestKinds:
    """Each kind of repair does what its words say."""

    def test_a_label_is_set(self) -> None:
        site = FakeSite.of()
        assert repaired(site, report(LABELLED)) == (
            True,
            ["--fix would do 1 thing(s):", "  1. label namespace web", "done: label namespace web"],
        )
        assert site.objects.objects[WEB]["metadata"]["labels"] == MANAGED

    def test_a_label_is_taken_away(self) -> None:
        site = FakeSite.of(namespace("web", {"a": "b", "iomete.com/managed": "True"}))
        repaired(site, report(unlabelled("web", "iomete.com/managed")))
        assert site.objects.objects[WEB]["metadata"]["labels"] == {"a": "b"}

    def test_a_deployment_is_scaled(self) -> None:
        site = FakeSite.of(deployment(0))
        repaired(site, report(scaled(NS, OPERATOR.name, 2)))
        assert site.objects.objects[OPERATOR]["spec"]["replicas"] == 2

    def test_a_policy_gets_its_documented_text_back(self) -> None:
        site = FakeSite.of(manifest("iomete-ingress-egress", {"ingress": [], "policyTypes": ["Ingress"]}))
        documented = next(
            baseline
            for baseline in written_baselines(CLUSTER, NS)
            if baseline.name == "iomete-ingress-egress"
        )
        repaired(site, report(restored(documented)))
        stands = site.objects.get(Reference(NETWORK_POLICY, documented.name, NS))
        assert stands is not None
        assert stored_of(stands).policy.ingress == documented.ingress

    def test_a_policy_is_added(self) -> None:
        site = FakeSite.of()
        policy = stored_of(manifest("let-in", {"ingress": [{}], "policyTypes": ["Ingress"]})).policy
        _, printed = repaired(site, report(applied("let all in", policy)))
        assert printed[-1] == "done: let all in"
        assert site.policies() == {"let-in"}

    def test_both_baselines_come_as_bootstrap_brings_them(self) -> None:
        site, terminal = FakeSite.of(), RecordingTerminal()
        _, printed = repaired(site, report(baselines(NS)), terminal=terminal)
        assert printed[1:] == [
            f"  1. write both baselines into {NS}",
            f"done: both baselines in {NS}",
        ]
        assert "give the network plugin 10 s: done" in terminal.lines
        assert terminal.questions == [], "who agreed to the repairs is not asked again"
        assert site.policies() == BASELINES

    def test_baselines_of_several_namespaces_come_together_and_last(self) -> None:
        site = FakeSite.of(namespace("web", MANAGED), deployment(0))
        found = report(baselines(NS), scaled(NS, OPERATOR.name, 2), baselines("web"), baselines(NS))
        _, printed = repaired(site, found)
        assert printed[0] == "--fix would do 3 thing(s):", "each thing once"
        assert printed[-2:] == [
            f"done: run 2 pod(s) of Deployment {NS}/spark-operator",
            f"done: both baselines in {NS} and web",
        ]
        assert site.policies() == site.policies("web") == BASELINES

    def test_whoever_is_to_be_let_in_gets_a_policy_of_its_own(self) -> None:
        site = FakeSite.of()
        repaired(site, report(allowed(NS, "istio-system")))
        assert site.policies() == BASELINES | {"netpol-guard-allow-istio-system"}

    def test_sources_and_pause_are_those_that_an_admin_gave(self) -> None:
        site, terminal = FakeSite.of(), RecordingTerminal()
        consent = Consent(yes=True, declared=declared_sources(["10.99.0.1"]), pause=3.0)
        repaired(site, report(baselines(NS)), consent, terminal)
        operator = site.objects.objects[Reference(NETWORK_POLICY, "iomete-spark-operator", NS)]
        assert "10.99.0.1/32" in str(operator)
        assert LISTED not in str(operator)
        assert "give the network plugin 3 s: done" in terminal.lines


class TestFailures:
    """What fails is said and does not stop the rest."""

    def test_what_fails_is_said_and_the_rest_is_done(self) -> None:
        site = FakeSite.of()
        done, printed = repaired(site, report(scaled(NS, "gone", 2), LABELLED, baselines(NS)))
        assert done
        gone = f"Deployment {NS}/gone"
        assert printed[-3:] == [
            f"failed: run 2 pod(s) of {gone}: could not patch {gone}: it is not there",
            "done: label namespace web",
            f"done: both baselines in {NS}",
        ]

    def test_baselines_that_are_refused_are_said_with_the_reason(self) -> None:
        site = FakeSite.of(server=FakeServer("v1.29.4"))
        _, printed = repaired(site, report(baselines(NS), LABELLED))
        assert "done: label namespace web" in printed
        assert f"failed: both baselines in {NS}: Kubernetes v1.29.4 is too old" in "\n".join(printed)
        assert site.policies() == set()

    def test_baselines_that_stop_half_way_are_said_and_the_next_are_tried(self) -> None:
        site, terminal = FakeSite.of(), RecordingTerminal()
        site.objects.writes, site.objects.end = 1, lambda: ChangeFailed("write", "it went away")
        _, printed = repaired(site, report(baselines(NS), allowed(NS, "istio-system")), terminal=terminal)
        assert terminal.lines.count("Stopped: could not write: it went away") == 2
        assert (
            printed[-2:]
            == [f"failed: both baselines in {NS}: could not write the baselines of {NS}: see the lines above"]
            * 2
        )


class TestNothingDone:
    """Where nothing is changed, and why."""

    @pytest.mark.parametrize(
        "found",
        [
            report(),
            report(None),
            report(Repair("install it", "netpol-guard bootstrap --image IMAGE")),
            report(LABELLED, severity=FindingSeverity.NOTE),
            report(LABELLED, severity=FindingSeverity.UNCHECKED),
        ],
        ids=["healthy", "no-repair", "only-a-person-can", "a-note", "unchecked"],
    )
    def test_where_nothing_can_be_repaired_that_is_said(self, found: Report) -> None:
        site = FakeSite.of()
        assert repaired(site, found) == (
            False,
            ["nothing here can be repaired by itself; see the commands above"],
        )
        assert site.writes == 0

    def test_whoever_is_asked_sees_the_plan_first_and_may_say_no(self) -> None:
        site, terminal = FakeSite.of(), RecordingTerminal(answer=False)
        done, printed = repaired(site, report(LABELLED, baselines(NS)), Consent(), terminal)
        assert not done
        assert terminal.questions == ["Do this?"]
        assert printed == [
            "--fix would do 2 thing(s):",
            "  1. label namespace web",
            f"  2. write both baselines into {NS}",
            "nothing was changed",
        ]
        assert site.writes == 0

    def test_whoever_says_yes_is_asked_once(self) -> None:
        site, terminal = FakeSite.of(), RecordingTerminal(answer=True)
        assert repaired(site, report(LABELLED, baselines(NS)), Consent(), terminal)[0]
        assert terminal.questions == ["Do this?"]
        assert site.policies() == BASELINES

    def test_where_nobody_can_be_asked_nothing_is_changed(self) -> None:
        site = FakeSite.of()
        with pytest.raises(InputError, match="nobody can be asked here"):
            repaired(site, report(LABELLED), Consent())
        assert site.writes == 0
