from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.integration.conftest import MakeNamespace
from tests.integration.decisions.objects import (
    FROM_MANAGED,
    POLICIES,
    baselines,
    create,
    deny,
    names,
    open_to_all,
    path_of,
    policy,
)
from tests.kube.binaries import Program, ensure
from tests.kube.control_plane import ControlPlane


def test_a_developer_sees_why_the_first_policy_is_rejected(control_plane: ControlPlane, empty: str) -> None:
    shown = control_plane.kubectl(
        "apply", "-f", "-", user="developer", stdin=json.dumps(deny(empty)), check=False
    )
    assert shown.returncode != 0
    assert "Forbidden" in shown.stderr
    assert f"NetworkPolicy {empty}/default-deny would cut managed namespaces from the pods" in shown.stderr
    assert "Fix: add an ingress rule" in shown.stderr


def test_a_dry_run_is_rejected_as_the_real_request_is(control_plane: ControlPlane, empty: str) -> None:
    shown = control_plane.kubectl(
        "apply", "--dry-run=server", "-f", "-", user="developer", stdin=json.dumps(deny(empty)), check=False
    )
    assert "would cut" in shown.stderr


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["operator-first", "managed-first"])
def test_both_baselines_can_be_applied_in_either_order(
    control_plane: ControlPlane, empty: str, order: tuple[int, int]
) -> None:
    pair = baselines(empty)
    first = control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(pair[order[0]]))
    second = control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(pair[order[1]]))
    # No webhook is served here: only what lets in the API server alone cuts anything until the other comes.
    assert ("apply the missing baseline too" in first.stderr) is (order[0] == 0)
    assert second.stderr == ""


def test_a_default_deny_beside_the_baselines_is_admitted_and_told_to_be_without_effect(
    control_plane: ControlPlane, baselined: str
) -> None:
    shown = control_plane.kubectl("apply", "-f", "-", user="developer", stdin=json.dumps(deny(baselined)))
    assert "Warning: netpol-guard: default-deny has no effect" in shown.stderr


def test_a_baseline_cannot_be_deleted_by_name_by_all_or_by_collection(
    control_plane: ControlPlane, baselined: str
) -> None:
    single = control_plane.kubectl(
        "delete", "networkpolicy", "iomete-ingress-egress", "-n", baselined, check=False
    )
    assert "would cut managed namespaces" in single.stderr
    collection = control_plane.client().request("DELETE", POLICIES.format(baselined))
    assert not collection.ok
    assert "would cut" in collection.message


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        ("json", '[{"op": "replace", "path": "/spec/ingress", "value": []}]'),
        ("merge", '{"spec": {"ingress": []}}'),
        ("strategic", '{"spec": {"ingress": null}}'),
    ],
)
def test_a_baseline_cannot_be_emptied_by_any_kind_of_patch(
    control_plane: ControlPlane, baselined: str, kind: str, patch: str
) -> None:
    shown = control_plane.kubectl(
        *("patch", "networkpolicy", "iomete-ingress-egress", "-n", baselined),
        *("--type", kind, "-p", patch),
        check=False,
    )
    assert "would cut managed namespaces" in shown.stderr


def test_a_baseline_cannot_be_emptied_by_server_side_apply(
    control_plane: ControlPlane, baselined: str
) -> None:
    emptied = baselines(baselined)[1]
    emptied["spec"]["ingress"] = []
    shown = control_plane.kubectl(
        *("apply", "--server-side", "--force-conflicts", "-f", "-"), stdin=json.dumps(emptied), check=False
    )
    assert "would cut managed namespaces" in shown.stderr


def test_a_baseline_cannot_be_emptied_in_an_editor(
    control_plane: ControlPlane, baselined: str, tmp_path: Path
) -> None:
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's/iomete.com\\/managed: .*/team: nobody/' \"$1\"\n")
    editor.chmod(0o700)
    edited = subprocess.run(
        [ensure(Program.KUBECTL), "edit", "networkpolicy", "iomete-ingress-egress", "-n", baselined],
        env={
            "HOME": str(tmp_path),
            "PATH": os.environ["PATH"],
            "KUBECONFIG": str(control_plane.kubeconfig("developer")),
            "KUBE_EDITOR": str(editor),
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert edited.returncode != 0
    assert "would cut managed namespaces" in edited.stderr
    kept = control_plane.client().request("GET", path_of(baselines(baselined)[1])).json()
    assert kept["spec"]["ingress"] == [FROM_MANAGED]


@pytest.mark.parametrize("subcommand", ["apply", "replace"])
def test_a_narrowed_baseline_is_rejected_and_its_patch_mends_it(
    control_plane: ControlPlane, baselined: str, subcommand: str
) -> None:
    narrowed = baselines(baselined)[1]
    narrowed["spec"]["ingress"] = [{**FROM_MANAGED, "ports": [{"protocol": "TCP", "port": 443}]}]
    shown = control_plane.kubectl(
        subcommand, "-f", "-", user="developer", stdin=json.dumps(narrowed), check=False
    )
    assert "restore the documented text of this baseline" in shown.stderr
    (patch,) = (line.split("patch: ", 1)[1] for line in shown.stderr.splitlines() if "patch: " in line)
    control_plane.kubectl(
        *("patch", "networkpolicy", "iomete-ingress-egress", "-n", baselined),
        *("--type=json", "-p", patch),
        user="developer",
    )


def test_the_patch_of_a_rejected_policy_turns_it_into_one_that_is_admitted(
    control_plane: ControlPlane, empty: str
) -> None:
    first = deny(empty)
    shown = control_plane.kubectl("apply", "-f", "-", user="developer", stdin=json.dumps(first), check=False)
    (patch,) = (line.split("patch: ", 1)[1] for line in shown.stderr.splitlines() if "patch: " in line)
    mended = control_plane.kubectl(
        *("patch", "--local", "-f", "-", "--type=json", "-p", patch, "-o", "json"), stdin=json.dumps(first)
    ).stdout
    applied = control_plane.kubectl("apply", "-f", "-", user="developer", stdin=mended)
    assert applied.stderr == ""


def test_deleting_a_collection_takes_what_may_go_and_leaves_the_baselines(
    control_plane: ControlPlane, baselined: str
) -> None:
    create(control_plane, deny(baselined, "a-deny"))
    collection = control_plane.client("developer").request("DELETE", POLICIES.format(baselined))
    assert not collection.ok
    assert {"iomete-ingress-egress", "iomete-spark-operator"} <= names(control_plane, baselined)


def test_a_dry_run_of_deleting_a_collection_is_rejected_too_and_deletes_nothing(
    control_plane: ControlPlane, baselined: str
) -> None:
    path = f"{POLICIES.format(baselined)}?dryRun=All"
    refused = control_plane.client().request("DELETE", path)
    assert "would cut" in refused.message
    assert len(names(control_plane, baselined)) == 2


def test_kubectl_delete_all_takes_what_may_go_and_leaves_the_baselines(
    control_plane: ControlPlane, baselined: str
) -> None:
    create(control_plane, deny(baselined))
    shown = control_plane.kubectl(
        "delete", "networkpolicy", "--all", "-n", baselined, user="developer", check=False
    )
    assert 'networkpolicy.networking.k8s.io "default-deny" deleted' in shown.stdout
    assert "deleting NetworkPolicy" in shown.stderr
    # No webhook is served from here, so the operator's baseline is of no consequence.
    assert names(control_plane, baselined) == {"iomete-ingress-egress"}


def test_with_a_bridge_in_place_both_baselines_may_go_and_then_the_bridge(
    control_plane: ControlPlane, baselined: str
) -> None:
    create(control_plane, open_to_all(baselined, "bridge"))
    for name in ("iomete-spark-operator", "iomete-ingress-egress", "bridge"):
        control_plane.kubectl("delete", "networkpolicy", name, "-n", baselined)
    assert names(control_plane, baselined) == set()


def test_a_generated_name_is_judged_like_any_other_and_shown(
    control_plane: ControlPlane, empty: str, make_namespace: MakeNamespace
) -> None:
    client = control_plane.client("developer")
    nameless = deny(empty)
    nameless["metadata"] = {"namespace": empty, "generateName": "deny-"}
    refused = client.request("POST", POLICIES.format(empty), nameless)
    assert "NetworkPolicy " in refused.message
    assert f"{empty}/deny-" in refused.message
    other = make_namespace()
    create(control_plane, *baselines(other))
    nameless["metadata"]["namespace"] = other
    admitted = client.request("POST", POLICIES.format(other), nameless)
    assert admitted.ok
    assert f"{admitted.json()['metadata']['name']} has no effect" in " ".join(admitted.warnings)


def test_an_update_that_takes_a_policy_s_effect_away_is_told_so(
    control_plane: ControlPlane, baselined: str
) -> None:
    gateway = policy(
        baselined,
        "gateway",
        {
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"a": "b"}}}]}],
        },
    )
    created = control_plane.client().request("POST", POLICIES.format(baselined), gateway)
    assert (created.ok, created.warnings) == (True, ())
    gateway["spec"]["ingress"] = []
    changed = control_plane.client().request("PUT", path_of(gateway), gateway)
    assert "gateway has no effect" in " ".join(changed.warnings)


def test_a_policy_that_lists_today_s_namespaces_is_admitted_with_a_warning_about_those_to_come(
    control_plane: ControlPlane, empty: str
) -> None:
    spaces = control_plane.client().request("GET", "/api/v1/namespaces?labelSelector=iomete.com/managed=true")
    today = [namespace["metadata"]["name"] for namespace in spaces.json()["items"]]
    by_name = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": today}
    peers = [{"namespaceSelector": {"matchExpressions": [by_name]}}]
    listed = policy(empty, "listed", {"policyTypes": ["Ingress"], "ingress": [{"from": peers}]})
    shown = control_plane.kubectl("apply", "-f", "-", user="developer", stdin=json.dumps(listed))
    assert "managed namespaces that do not exist yet" in shown.stderr.replace("\nWarning: ", " ")


def test_pods_that_only_an_ip_block_lets_in_are_a_warning(control_plane: ControlPlane, empty: str) -> None:
    rules = [{"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}]
    by_address = policy(empty, "by-address", {"policyTypes": ["Ingress"], "ingress": rules})
    shown = control_plane.kubectl("apply", "-f", "-", user="developer", stdin=json.dumps(by_address))
    assert "only an ipBlock keeps this open" in shown.stderr.replace("\nWarning: ", " ")


def test_lost_platform_egress_is_one_warning_when_it_is_lost_and_none_later(
    control_plane: ControlPlane, empty: str
) -> None:
    managed_only = policy(
        empty, "managed-only", {"policyTypes": ["Egress"], "egress": [{"to": FROM_MANAGED["from"]}]}
    )
    first = control_plane.kubectl("apply", "-f", "-", user="developer", stdin=json.dumps(managed_only))
    assert first.stderr.count("platform-egress") == 1
    assert "DNS and the API server" in first.stderr.replace("\nWarning: ", " ")
    later = control_plane.kubectl(
        "label", "networkpolicy", "managed-only", "-n", empty, "a=b", user="developer"
    )
    assert later.stderr == ""
