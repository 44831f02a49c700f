from __future__ import annotations

import json

import pytest

from tests.integration.conftest import MakeNamespace
from tests.integration.decisions.conftest import GuardDown
from tests.integration.decisions.objects import (
    MERGE,
    MODE,
    NAMESPACES,
    Object,
    annotations_of,
    create,
    deny,
    policy,
)
from tests.kube.control_plane import ControlPlane


def _without_label(control_plane: ControlPlane, namespace: str) -> Object:
    found: Object = control_plane.client().request("GET", f"{NAMESPACES}/{namespace}").json()
    del found["metadata"]["labels"]["iomete.com/managed"]
    return found


def test_the_managed_label_cannot_be_taken_away(control_plane: ControlPlane, baselined: str) -> None:
    shown = control_plane.kubectl(
        "label", "namespace", baselined, "iomete.com/managed-", user="developer", check=False
    )
    assert f"taking the label iomete.com/managed from namespace {baselined}" in shown.stderr
    assert "netpol-guard uninstall --baselines" in shown.stderr


@pytest.mark.parametrize("part", ["", "/status", "/finalize"])
def test_the_managed_label_cannot_be_taken_away_through_any_part_of_the_namespace(
    control_plane: ControlPlane, baselined: str, part: str
) -> None:
    body = _without_label(control_plane, baselined)
    answer = control_plane.client().request("PUT", f"{NAMESPACES}/{baselined}{part}", body)
    assert "taking the label iomete.com/managed" in answer.message
    kept = control_plane.client().request("GET", f"{NAMESPACES}/{baselined}").json()
    assert kept["metadata"]["labels"]["iomete.com/managed"] == "true"


def test_a_dry_run_of_taking_the_label_away_is_rejected_too(
    control_plane: ControlPlane, baselined: str
) -> None:
    shown = control_plane.kubectl(
        "label", "namespace", baselined, "iomete.com/managed-", "--dry-run=server", check=False
    )
    assert "taking the label iomete.com/managed" in shown.stderr


def test_an_annotation_passes_while_the_guard_is_down_and_a_label_does_not(
    control_plane: ControlPlane, baselined: str, guard_down: GuardDown
) -> None:
    guard_down()
    control_plane.kubectl("annotate", "namespace", baselined, "note=written-by-gitops")
    labelled = control_plane.kubectl("label", "namespace", baselined, "a=b", check=False)
    assert "failed calling webhook" in labelled.stderr


def test_a_label_that_policies_of_managed_namespaces_select_by_cannot_be_changed(
    control_plane: ControlPlane,
    guard: object,  # noqa: ARG001 - it must run
    make_namespace: MakeNamespace,
) -> None:
    team = {"team": "spark"}
    here, there = make_namespace(labels=team), make_namespace(labels=team)
    spaces = control_plane.client().request("GET", f"{NAMESPACES}?labelSelector=iomete.com/managed=true")
    others = [
        namespace["metadata"]["name"]
        for namespace in spaces.json()["items"]
        if namespace["metadata"]["name"] not in (here, there)
    ]
    by_name = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": others}
    peers = [
        {"namespaceSelector": {"matchLabels": team}},
        *([{"namespaceSelector": {"matchExpressions": [by_name]}}] if others else []),
    ]
    create(control_plane, policy(here, "by-team", {"policyTypes": ["Ingress"], "ingress": [{"from": peers}]}))
    shown = control_plane.kubectl("label", "namespace", there, "team=other", "--overwrite", check=False)
    assert "policies select by them" in shown.stderr
    assert control_plane.kubectl("label", "namespace", there, "unrelated=label").returncode == 0


def test_adding_the_managed_label_is_admitted_and_says_which_policies_cut_the_namespace_off(
    control_plane: ControlPlane,
    guard: object,  # noqa: ARG001 - it must run
    make_namespace: MakeNamespace,
) -> None:
    name = make_namespace(managed=False)
    create(control_plane, deny(name))
    shown = control_plane.kubectl("label", "namespace", name, "iomete.com/managed=true", user="developer")
    warned = shown.stderr.replace("\nWarning: ", " ")
    assert "managed-ingress: as policies stand" in warned
    assert "isolated by default-deny" in warned


def test_creating_a_managed_namespace_that_others_do_not_let_in_is_admitted_with_a_warning(
    control_plane: ControlPlane, empty: str
) -> None:
    own = policy(empty, "own", {"policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": {}}]}]})
    # Only an admin in a hurry gets such a policy in: in the mode that does not refuse.
    control_plane.kubectl("label", "namespace", empty, f"{MODE}=audit")
    create(control_plane, own)
    body = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": f"{empty}-new", "labels": {"iomete.com/managed": "true"}},
    }
    try:
        shown = control_plane.kubectl("create", "-f", "-", stdin=json.dumps(body))
        assert "isolated by own" in shown.stderr.replace("\nWarning: ", " ")
    finally:
        control_plane.client().request("DELETE", f"{NAMESPACES}/{empty}-new")


@pytest.mark.parametrize(("mode", "warned"), [("warn", True), ("audit", False), ("off", False)])
def test_in_a_weaker_mode_what_would_be_rejected_is_admitted(
    control_plane: ControlPlane,
    empty: str,
    mode: str,
    warned: bool,  # noqa: FBT001 - a table
) -> None:
    control_plane.kubectl("label", "namespace", empty, f"{MODE}={mode}")
    shown = control_plane.kubectl("apply", "-f", "-", user="developer", stdin=json.dumps(deny(empty)))
    assert ("would cut" in shown.stderr) is warned
    audited = annotations_of(control_plane, "developer", "default-deny")
    assert ("would cut" in audited.get("reason", "")) is (mode != "off")


def test_a_mode_that_is_taken_away_applies_no_more(control_plane: ControlPlane, empty: str) -> None:
    control_plane.kubectl("label", "namespace", empty, f"{MODE}=warn")
    answer = control_plane.client().request(
        "PATCH", f"{NAMESPACES}/{empty}", {"metadata": {"labels": {MODE: None}}}, content_type=MERGE
    )
    assert answer.ok
    shown = control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(deny(empty)), check=False)
    assert "would cut" in shown.stderr
