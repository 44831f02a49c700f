from __future__ import annotations

import json

import pytest

from tests.integration.decisions.objects import (
    MERGE,
    MODE,
    NAMESPACES,
    OVERRIDE,
    Object,
    annotations_of,
    baselines,
    deny,
    eventually,
    grant_override,
    path_of,
)
from tests.kube.control_plane import ControlPlane


def _events(control_plane: ControlPlane, namespace: str, regarding: str) -> list[Object]:
    path = f"/apis/events.k8s.io/v1/namespaces/{namespace}/events"
    events = control_plane.client().request("GET", path).json()["items"]
    return [event for event in events if event["regarding"]["name"] == regarding]


def _apply(control_plane: ControlPlane, one: Object, *flags: str) -> str:
    shown = control_plane.kubectl(
        "apply", *flags, "-f", "-", user="developer", stdin=json.dumps(one), check=False
    )
    return f"{shown.returncode} {shown.stderr}".replace("\nWarning: ", " ")


def test_an_override_without_the_right_does_not_count_and_the_answer_says_so(
    control_plane: ControlPlane, empty: str
) -> None:
    said = _apply(control_plane, deny(empty, annotations={OVERRIDE: "migration"}))
    assert "would cut" in said
    assert "The override was not honoured: developer may not use verb override" in said


def test_an_override_with_the_right_is_admitted_with_warning_audit_annotation_and_event(
    control_plane: ControlPlane, empty: str
) -> None:
    grant_override(control_plane, "networkpolicies", empty)
    said = _apply(control_plane, deny(empty, annotations={OVERRIDE: "migration on Friday"}))
    assert said.startswith("0 ")
    assert "override by developer: migration on Friday" in said
    audited = annotations_of(control_plane, "developer", "default-deny")
    assert audited["override"] == "migration on Friday"
    assert "would cut" in audited["reason"]
    eventually(lambda: bool(_events(control_plane, empty, "default-deny")), "no Event was written")
    (event,) = _events(control_plane, empty, "default-deny")
    assert event["note"].startswith("developer overrode netpol-guard (migration on Friday):")
    assert event["regarding"]["uid"]
    shown = control_plane.kubectl("get", "events", "-n", empty)
    assert "RequiredFlowOverridden" in shown.stdout


def test_a_dry_run_of_an_override_is_answered_alike_and_leaves_no_event(
    control_plane: ControlPlane, empty: str
) -> None:
    grant_override(control_plane, "networkpolicies", empty)
    said = _apply(control_plane, deny(empty, annotations={OVERRIDE: "trying"}), "--dry-run=server")
    assert "override by developer: trying" in said
    # Events are written in order: when the next one is there, the first would be.
    _apply(control_plane, deny(empty, "second", annotations={OVERRIDE: "in earnest"}))
    eventually(lambda: bool(_events(control_plane, empty, "second")), "no Event was written")
    assert _events(control_plane, empty, "default-deny") == []


def test_an_override_without_a_reason_does_not_count(control_plane: ControlPlane, empty: str) -> None:
    grant_override(control_plane, "networkpolicies", empty)
    said = _apply(control_plane, deny(empty, annotations={OVERRIDE: ""}))
    assert "is empty: it must say why" in said


def test_a_right_that_the_user_has_through_a_group_counts(control_plane: ControlPlane, empty: str) -> None:
    grant_override(control_plane, "networkpolicies", empty, ("Group", "developers"))
    said = _apply(control_plane, deny(empty, annotations={OVERRIDE: "as one of the team"}))
    assert said.startswith("0 ")
    assert "override by developer: as one of the team" in said


def test_a_deletion_is_overridden_by_the_annotation_that_already_stands(
    control_plane: ControlPlane, baselined: str
) -> None:
    grant_override(control_plane, "networkpolicies", baselined)
    managed = path_of(baselines(baselined)[1])
    developer = control_plane.client("developer")
    assert not developer.request("DELETE", managed).ok
    annotated = developer.request(
        "PATCH", managed, {"metadata": {"annotations": {OVERRIDE: "moving"}}}, content_type=MERGE
    )
    assert annotated.ok
    deleted = developer.request("DELETE", managed)
    assert deleted.ok
    assert "override by developer: moving" in " ".join(deleted.warnings)


def test_taking_the_managed_label_away_is_overridden_by_the_annotation_that_already_stands(
    control_plane: ControlPlane, baselined: str
) -> None:
    grant_override(control_plane, "namespaces", baselined)
    path = f"{NAMESPACES}/{baselined}"
    both = {"metadata": {"annotations": {OVERRIDE: "moving"}, "labels": {"iomete.com/managed": None}}}
    developer = control_plane.client("developer")
    assert not developer.request("PATCH", path, both, content_type=MERGE).ok
    first = {"metadata": {"annotations": {OVERRIDE: "moving out"}}}
    assert developer.request("PATCH", path, first, content_type=MERGE).ok
    second = {"metadata": {"labels": {"iomete.com/managed": None}}}
    taken = developer.request("PATCH", path, second, content_type=MERGE)
    assert taken.ok
    assert "override by developer: moving out" in " ".join(taken.warnings)
    # Events of what has no namespace are kept in `default`.
    eventually(lambda: bool(_events(control_plane, "default", baselined)), "no Event was written")


@pytest.mark.parametrize("weaker", ["warn", "audit", "off"])
def test_weakening_the_mode_needs_the_right_to_override_and_leaves_its_traces(
    control_plane: ControlPlane, baselined: str, weaker: str
) -> None:
    label = ("label", "namespace", baselined, f"{MODE}={weaker}")
    refused = control_plane.kubectl(*label, user="developer", check=False)
    assert "needs the right to override" in refused.stderr
    grant_override(control_plane, "namespaces", baselined)
    granted = control_plane.kubectl(*label, user="developer").stderr.replace("\nWarning: ", " ")
    assert f"override by developer: {MODE} weakened from enforce to {weaker}" in granted
    audited = annotations_of(control_plane, "developer", baselined)
    assert weaker in audited["override"]
    eventually(lambda: bool(_events(control_plane, "default", baselined)), "no Event was written")


def test_strengthening_the_mode_needs_no_right(control_plane: ControlPlane, baselined: str) -> None:
    control_plane.kubectl("label", "namespace", baselined, f"{MODE}=warn")
    shown = control_plane.kubectl(
        "label", "namespace", baselined, f"{MODE}=enforce", "--overwrite", user="developer"
    )
    assert shown.stderr == ""
