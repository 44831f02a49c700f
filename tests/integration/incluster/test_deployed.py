"""`kubectl apply -k deploy` ends guarded, and stays guarded whatever happens to single replicas."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from app.names import FAILURE_POLICY_ANNOTATION
from tests.integration.incluster import deployed
from tests.integration.incluster.conftest import shown
from tests.integration.incluster.deployed import GUARD, replicas
from tests.integration.incluster.handshakes import Handshakes
from tests.integration.incluster.load import Load, Outcome, Question, questions
from tests.integration.incluster.scenes import baselined_namespace, deny_all, eventually, make_managed
from tests.kube.cluster import Cluster, Shape
from tests.kube.watching import Change, Watch

BARE, BASELINED = "bare", "baselined"
NEWS_SECONDS = 5.0
"""How long after its watchers the API server itself may take to hear of a change."""


@pytest.fixture(scope="module")
def cluster(network_namespaces: None) -> Iterator[Cluster]:  # noqa: ARG001 - makes sure that it can be made
    """Start a cluster whose API server hears of Pods late: where it hears at once, no drain is needed."""
    with Cluster(Shape(endpoint_lag=2.0)) as running, shown(running):
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = {"webhook": {"checkSeconds": 1}, "tls": {"settleSeconds": 3}}
    return deployed.overlay(tmp_path_factory.mktemp("overlay"), settings)


@pytest.fixture(scope="module")
def guarding(cluster: Cluster, folder: Path) -> Cluster:
    """A cluster with `deploy/` applied, a managed namespace without policies and one with both baselines."""
    make_managed(cluster, BARE)
    baselined_namespace(cluster, BASELINED)
    deployed.apply(cluster, folder)
    deployed.wait_until_guarding(cluster)
    return cluster


@pytest.fixture(scope="module")
def asked(guarding: Cluster) -> tuple[Question, ...]:
    """Questions that are answered rightly before anything happens."""
    all_questions = questions(BARE, BASELINED)
    with Load(guarding, all_questions) as load:
        load.wait_for(more=2 * len(all_questions))
    assert {each.outcome for each in load.answered} == {Outcome.RIGHT}, load.answered
    return all_questions


def test_applying_the_manifests_again_ends_guarded_without_a_moment_unguarded(
    guarding: Cluster, folder: Path, asked: tuple[Question, ...]
) -> None:
    before = deployed.configuration(guarding)
    assert all(webhook["clientConfig"]["caBundle"] for webhook in before["webhooks"])
    with Load(guarding, asked) as load:
        shown = guarding.kubectl("apply", "-k", str(folder)).stdout
        changed = {line.partition(" ")[0] for line in shown.splitlines() if not line.endswith(" unchanged")}
        assert changed == {
            # The manifest says `Ignore`, as it must for the first time; the guard raises it again.
            f"validatingwebhookconfiguration.admissionregistration.k8s.io/{GUARD}",
            # kubectl says so of every budget: it sends the selector again, which changes nothing.
            f"poddisruptionbudget.policy/{GUARD}",
        }
        deployed.wait_until_guarding(guarding)
        load.wait_for(more=20)
    assert {each.outcome for each in load.answered} == {Outcome.RIGHT}
    assert deployed.configuration(guarding)["webhooks"] == before["webhooks"]


def test_an_annotation_keeps_the_failure_policy_down_until_it_is_taken_away(guarding: Cluster) -> None:
    annotate = ("annotate", "validatingwebhookconfiguration", GUARD)
    guarding.kubectl(*annotate, f"{FAILURE_POLICY_ANNOTATION}=Ignore")
    assert eventually(lambda: deployed.failure_policies(guarding) == {"Ignore"})
    guarding.kubectl(*annotate, f"{FAILURE_POLICY_ANNOTATION}-")
    deployed.wait_until_guarding(guarding)


def test_no_admission_fails_in_a_rolling_upgrade(guarding: Cluster, asked: tuple[Question, ...]) -> None:
    before = {each.uid for each in replicas(guarding)}
    with Load(guarding, asked) as load:
        guarding.kubectl("rollout", "restart", f"deployment/{GUARD}", "-n", GUARD)
        guarding.kubectl("rollout", "status", f"deployment/{GUARD}", "-n", GUARD, "--timeout=180s")
        guarding.kubelet.wait_until(
            lambda pods: not before & {each.uid for each in pods}, "the end of the replicas before"
        )
        load.wait_for(more=20)
    assert load.of(Outcome.FAILED) == []
    assert load.of(Outcome.WRONG) == []


def test_new_certificates_are_made_for_a_deleted_secret_and_no_admission_fails(
    guarding: Cluster, asked: tuple[Question, ...]
) -> None:
    with Load(guarding, asked) as load, Handshakes(guarding) as handshakes:
        assert eventually(lambda: len(handshakes.serials) == 2)
        before = set(handshakes.serials.values())
        guarding.kubectl("delete", "secret", "netpol-guard-tls", "-n", GUARD)
        assert eventually(lambda: not before & set(handshakes.serials.values())), guarding.kubelet.describe()
        load.wait_for(more=20)
    assert len(set(handshakes.serials.values())) == 1
    assert handshakes.failures == []
    assert {each.outcome for each in load.answered} == {Outcome.RIGHT}, load.of(Outcome.FAILED)


def test_a_killed_replica_costs_the_calls_on_their_way_to_it_and_no_verdict(
    guarding: Cluster, asked: tuple[Question, ...]
) -> None:
    victim = replicas(guarding)[0]
    victim.habits.restart_seconds = 3600.0
    with EndpointTimes(guarding, victim.address) as listed, Load(guarding, asked) as load:
        load.wait_for(more=20)
        killed = time.monotonic()
        victim.kill()
        assert eventually(lambda: listed.unready_at(after=killed) is not None)
        time.sleep(NEWS_SECONDS)
        load.wait_for(more=100)
        victim.habits.restart_seconds = 0.0
        guarding.kubelet.wait_until(lambda _: victim.restarts == 1 and victim.is_ready, "the second run")
        load.wait_for(more=20)
    assert load.of(Outcome.WRONG) == []
    told = listed.unready_at(after=killed)
    assert told is not None
    for each in load.of(Outcome.FAILED):
        # Until the EndpointSlice tells it otherwise, the API server may call an address where nobody is.
        assert f"{victim.address}:8443" in each.text or "EOF" in each.text
        assert killed <= each.ended
        assert each.began <= told + NEWS_SECONDS, each.text


class EndpointTimes:
    """When the EndpointSlices of the guard's Service came to say that an address is not ready."""

    def __init__(self, cluster: Cluster, address: str) -> None:
        self._client = cluster.client()
        self._address = address
        self._times: list[float] = []

    def __enter__(self) -> Self:
        slices = f"/apis/discovery.k8s.io/v1/namespaces/{GUARD}/endpointslices"
        self._watch = Watch(self._client, slices, self._on_change)
        return self

    def __exit__(self, *_: object) -> None:
        self._watch.stop()

    def unready_at(self, *, after: float) -> float | None:
        return next((each for each in self._times if each >= after), None)

    def _on_change(self, _: Change, changed: dict[str, Any]) -> None:
        endpoints = changed["endpoints"] or ()
        if any(each["addresses"] == [self._address] and each["conditions"]["ready"] for each in endpoints):
            return
        self._times.append(time.monotonic())


def test_a_namespace_can_be_deleted_with_the_guard_up(guarding: Cluster) -> None:
    baselined_namespace(guarding, "short-lived")
    assert deployed.failure_policies(guarding) == {"Fail"}
    guarding.kubectl("delete", "namespace", "short-lived", "--timeout=180s")


def test_a_namespace_can_be_deleted_with_the_guard_down(guarding: Cluster) -> None:
    baselined_namespace(guarding, "short-lived")
    guarding.kubectl("scale", "deployment", GUARD, "-n", GUARD, "--replicas=0")
    guarding.kubelet.wait_until(lambda _: not replicas(guarding), "the end of all replicas")
    try:
        refused = guarding.kubectl("apply", "-f", "-", stdin=json.dumps(deny_all("short-lived")), check=False)
        assert "failed calling webhook" in refused.stderr
        guarding.kubectl("delete", "namespace", "short-lived", "--timeout=180s")
    finally:
        guarding.kubectl("scale", "deployment", GUARD, "-n", GUARD, "--replicas=2")
        deployed.wait_until_guarding(guarding)


@pytest.mark.parametrize(
    "missing", ["deployment/netpol-guard", "service/netpol-guard", "clusterrolebinding/netpol-guard"]
)
def test_a_namespace_can_be_deleted_with_the_guard_half_installed(
    guarding: Cluster, folder: Path, missing: str
) -> None:
    baselined_namespace(guarding, "short-lived")
    guarding.kubectl("delete", missing, "-n", GUARD)
    try:
        guarding.kubectl("delete", "namespace", "short-lived", "--timeout=180s")
    finally:
        deployed.apply(guarding, folder)
        deployed.wait_until_guarding(guarding)
