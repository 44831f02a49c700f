from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from app.errors import ChangeFailed, InputError
from app.install.guard.manifests import (
    CONFIGURATION,
    SETTINGS,
    SETTINGS_ANNOTATION,
    WORKLOAD,
    GuardChoices,
    declared_in,
    fitted,
    foreign_problem,
    guard_steps,
    is_armed,
    is_held,
    networks_in,
    released,
)
from app.install.guard.rollout import progress_of, wait_for_rollout
from app.model.declared_sources import declared_source
from app.model.kinds import POD, Kind, Manifest, Reference
from app.shipped import guard_manifests
from tests.install.store import MemoryStore, NoTime

IMAGE = "registry.example/netpol-guard:1"
CHOICES = GuardChoices(IMAGE)
HELD = "netpol-guard.iomete.com/failure-policy"
NOTHING: Mapping[Reference, Manifest] = {}


def made(
    reference: Reference, found: Mapping[Reference, Manifest] = NOTHING, choices: GuardChoices = CHOICES
) -> Manifest:
    """Return one of the fitted manifests."""
    return next(
        manifest
        for manifest in fitted(guard_manifests(), found, choices)
        if Reference.of(manifest) == reference
    )


def raised() -> Manifest:
    """Return the configuration as it stands when the guard has raised it."""
    manifest = made(CONFIGURATION)
    del manifest["metadata"]["annotations"]
    for webhook in manifest["webhooks"]:
        webhook["failurePolicy"] = "Fail"
        webhook["clientConfig"]["caBundle"] = "Y2E="
    return manifest


class TestFitting:
    """The shipped manifests, made to fit."""

    def test_the_image_is_the_one_given(self) -> None:
        assert made(WORKLOAD)["spec"]["template"]["spec"]["containers"][0]["image"] == IMAGE

    def test_without_an_image_the_one_that_runs_stays(self) -> None:
        found = {WORKLOAD: made(WORKLOAD)}
        again = made(WORKLOAD, found, GuardChoices())
        assert again["spec"]["template"]["spec"]["containers"][0]["image"] == IMAGE

    def test_without_an_image_and_without_a_guard_that_runs_it_is_asked_for(self) -> None:
        with pytest.raises(InputError, match="--image: required: no image is published"):
            fitted(guard_manifests(), NOTHING, GuardChoices())

    def test_replicas_that_an_admin_chose_stay(self) -> None:
        scaled = made(WORKLOAD)
        scaled["spec"]["replicas"] = 5
        assert made(WORKLOAD, {WORKLOAD: scaled})["spec"]["replicas"] == 5

    def test_settings_that_an_admin_chose_stay_and_other_settings_start_other_pods(self) -> None:
        chosen = {**made(SETTINGS), "data": {"settings.yaml": "# ours\nmode: warn\n"}}
        assert made(SETTINGS, {SETTINGS: chosen})["data"] == chosen["data"]
        pods = [
            made(WORKLOAD, found)["spec"]["template"]["metadata"]["annotations"][SETTINGS_ANNOTATION]
            for found in (NOTHING, {SETTINGS: chosen})
        ]
        assert pods[0] != pods[1]

    def test_declared_sources_are_written_into_the_settings_once(self) -> None:
        choices = GuardChoices(
            IMAGE, networks_in([declared_source("10.20.0.10"), declared_source("fd00::1")])
        )
        first = made(SETTINGS, NOTHING, choices)
        assert yaml.safe_load(first["data"]["settings.yaml"]) == {
            "mode": "enforce",
            "apiServer": {"sources": ["10.20.0.10/32", "fd00::1/128"]},
        }
        assert made(SETTINGS, {SETTINGS: first}, choices)["data"] == first["data"]
        assert made(SETTINGS, {SETTINGS: first})["data"] == first["data"]

    @pytest.mark.parametrize("text", ["", "- a", "apiServer: 1", "apiServer: {sources: 1}", ": ["])
    def test_settings_that_declare_nothing_or_are_broken_declare_nothing(self, text: str) -> None:
        assert declared_in(text) == ()

    def test_a_new_configuration_is_held_at_ignore(self) -> None:
        configuration = made(CONFIGURATION)
        assert is_held(configuration)
        assert {webhook["failurePolicy"] for webhook in configuration["webhooks"]} == {"Ignore"}
        assert not is_armed(configuration)

    def test_one_that_fails_closed_already_stays_so(self) -> None:
        again = made(CONFIGURATION, {CONFIGURATION: raised()})
        assert {webhook["failurePolicy"] for webhook in again["webhooks"]} == {"Fail"}
        assert not is_held(again)

    def test_one_that_an_interrupted_run_left_stays_held_until_it_is_released(self) -> None:
        left = made(CONFIGURATION)
        assert is_held(made(CONFIGURATION, {CONFIGURATION: left}))
        free = released(guard_manifests(), left)
        assert not is_held(free)
        assert {webhook["failurePolicy"] for webhook in free["webhooks"]} == {"Ignore"}

    def test_what_ships_is_not_changed_by_fitting_it(self) -> None:
        shipped = guard_manifests()
        fitted(shipped, NOTHING, CHOICES)
        assert shipped == guard_manifests()

    def test_no_step_carries_a_private_key(self) -> None:
        steps = guard_steps(guard_manifests(), NOTHING, CHOICES)
        assert not [step for step in steps if step.reference.kind.name == "Secret"]
        assert "PRIVATE KEY" not in "".join("\n".join(step.diff()) for step in steps)


class TestWhoseItIs:
    """A configuration of our name."""

    def test_ours_and_none_are_no_problem(self) -> None:
        assert foreign_problem(NOTHING) is None
        assert foreign_problem({CONFIGURATION: raised()}) is None

    def test_one_without_our_label_is_refused_with_what_to_do(self) -> None:
        theirs = raised()
        theirs["metadata"]["labels"] = {"app.kubernetes.io/managed-by": "Helm"}
        told = foreign_problem({CONFIGURATION: theirs}) or ""
        assert "ValidatingWebhookConfiguration netpol-guard is there and not ours" in told
        assert "remove or rename it" in told

    @pytest.mark.parametrize("missing", ["bundle", "policy", "webhook"])
    def test_armed_is_what_fails_closed_with_a_bundle_for_both_webhooks(self, missing: str) -> None:
        configuration = raised()
        assert is_armed(configuration)
        if missing == "bundle":
            del configuration["webhooks"][0]["clientConfig"]["caBundle"]
        elif missing == "policy":
            configuration["webhooks"][1]["failurePolicy"] = "Ignore"
        else:
            del configuration["webhooks"][1]
        assert not is_armed(configuration)


def deployment(**status: int) -> Manifest:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "netpol-guard", "namespace": "netpol-guard", "generation": 2},
        "spec": {"replicas": 2},
        "status": status,
    }


RUNNING = {"observedGeneration": 2, "updatedReplicas": 2, "replicas": 2, "availableReplicas": 2}


@pytest.mark.parametrize(
    ("status", "ready"),
    [
        (RUNNING, 2),
        ({**RUNNING, "observedGeneration": 1}, 0),
        ({**RUNNING, "updatedReplicas": 1}, 1),
        ({**RUNNING, "replicas": 3, "availableReplicas": 3}, 1),
        ({**RUNNING, "availableReplicas": 1}, 1),
        ({}, 0),
    ],
    ids=["running", "not-seen-yet", "half-updated", "an-old-one-left", "one-not-available", "nothing-yet"],
)
def test_a_rollout_is_done_when_all_replicas_are_new_and_available(
    status: dict[str, int], ready: int
) -> None:
    assert progress_of(deployment(**status)) == (ready, 2)


class Pods(MemoryStore):
    """A store with a Deployment and its pods."""

    def __init__(self, status: dict[str, int], *pods: dict[str, Any]) -> None:
        super().__init__()
        self._put(deployment(**status), "ours")
        self.pods = list(pods)

    def list(self, kind: Kind, namespace: str = "", labels: str = "") -> list[Manifest]:
        """Return the pods."""
        assert (kind, namespace, labels) == (POD, "netpol-guard", "app.kubernetes.io/name=netpol-guard")
        return self.pods


def test_a_rollout_that_is_done_is_told_at_once() -> None:
    clock = NoTime()
    assert wait_for_rollout(Pods(RUNNING), clock, 10) == "2 of 2 replicas ready"
    assert clock.slept == []


def test_a_rollout_past_its_time_says_what_keeps_the_pods() -> None:
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}}
    ended = {"terminated": {"exitCode": 2}}
    statuses = [{"state": waiting, "lastState": ended}]
    pod = {"metadata": {"name": "one"}, "status": {"containerStatuses": statuses}}
    pending = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available"}
    unplaced = {"metadata": {"name": "two"}, "status": {"conditions": [pending]}}
    clock = NoTime()
    with pytest.raises(ChangeFailed) as failed:
        wait_for_rollout(Pods({}, pod, unplaced), clock, 10)
    assert "0 of 2 after 10 s: ImagePullBackOff: Back-off pulling image; its program ended" in str(
        failed.value
    )
    assert "PodScheduled is not so: 0/3 nodes are available" in str(failed.value)
    assert "kubectl describe pods -n netpol-guard" in failed.value.how
    assert sum(clock.slept) == 10


def test_a_deployment_without_pods_is_told_so() -> None:
    with pytest.raises(ChangeFailed, match="it has no pods"):
        wait_for_rollout(Pods({}), NoTime(), 1)
