from __future__ import annotations

import json

from tests.integration.decisions.conftest import GuardDown
from tests.integration.decisions.objects import (
    MERGE,
    NAMESPACES,
    POLICIES,
    baselines,
    create,
    deny,
    eventually,
    names,
    open_to_all,
    path_of,
    policy,
)
from tests.kube.control_plane import ControlPlane

FINALIZER = "netpol-guard.iomete.com/test"
COLLECTOR = "system:serviceaccount:kube-system:generic-garbage-collector"
NO_FINALIZERS = {"metadata": {"finalizers": None}}


def test_a_policy_with_a_finalizer_no_longer_allows_once_it_is_deleted(
    control_plane: ControlPlane, empty: str
) -> None:
    going = open_to_all(empty, "going", finalizers=[FINALIZER])
    create(control_plane, going)
    client = control_plane.client()
    assert client.request("DELETE", path_of(going)).ok
    assert names(control_plane, empty) == {"going"}
    refused = client.request("POST", POLICIES.format(empty), deny(empty))
    assert "would cut managed namespaces" in refused.message
    assert "no rule lets it through but those of going" in refused.message
    assert client.request("PATCH", path_of(going), NO_FINALIZERS, content_type=MERGE).ok
    assert names(control_plane, empty) == set()


def test_a_policy_that_is_being_deleted_takes_no_other_spec_but_new_metadata(
    control_plane: ControlPlane, empty: str
) -> None:
    never = [{"key": "a", "operator": operator} for operator in ("Exists", "DoesNotExist")]
    nobody = {"podSelector": {"matchExpressions": never}, "policyTypes": ["Ingress"]}
    going = policy(empty, "going", nobody, finalizers=[FINALIZER])
    create(control_plane, going)
    client = control_plane.client()
    assert client.request("DELETE", path_of(going)).ok
    stored = client.request("GET", path_of(going)).json()
    refused = client.request("PUT", path_of(going), {**stored, "spec": deny(empty)["spec"]})
    assert "is being deleted: its spec cannot be changed any more" in refused.message
    labelled = {"metadata": {"labels": {"team": "a"}}}
    assert client.request("PATCH", path_of(going), labelled, content_type=MERGE).ok
    assert client.request("PATCH", path_of(going), NO_FINALIZERS, content_type=MERGE).ok
    assert names(control_plane, empty) == set()


def test_the_last_finalizer_can_be_taken_away_while_the_guard_is_down(
    control_plane: ControlPlane, empty: str, guard_down: GuardDown
) -> None:
    going = open_to_all(empty, "going", finalizers=[FINALIZER])
    create(control_plane, going)
    assert control_plane.client().request("DELETE", path_of(going)).ok
    guard_down()
    refused = control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(deny(empty)), check=False)
    assert "failed calling webhook" in refused.stderr
    assert control_plane.client().request("PATCH", path_of(going), NO_FINALIZERS, content_type=MERGE).ok
    assert names(control_plane, empty) == set()


def test_a_deletion_by_the_garbage_collector_is_judged(control_plane: ControlPlane, baselined: str) -> None:
    client = control_plane.client()
    maps = f"{NAMESPACES}/{baselined}/configmaps"
    owner = client.request("POST", maps, {"metadata": {"name": "owner"}}).json()
    reference = {
        "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]
    }  # fmt: skip
    owned = {"metadata": {"ownerReferences": [reference]}}
    managed = path_of(baselines(baselined)[1])
    assert client.request("PATCH", managed, owned, content_type=MERGE).ok
    assert client.request("DELETE", f"{maps}/owner").ok

    def was_refused() -> bool:
        return any(
            event["verb"] == "delete"
            and event["user"]["username"] == COLLECTOR
            and event["objectRef"].get("namespace") == baselined
            and event["responseStatus"]["code"] == 403
            for event in control_plane.audit_events()
        )

    eventually(was_refused, "the garbage collector was never refused")
    assert "iomete-ingress-egress" in names(control_plane, baselined)


def test_what_the_garbage_collector_may_delete_it_deletes(
    control_plane: ControlPlane, baselined: str
) -> None:
    client = control_plane.client()
    maps = f"{NAMESPACES}/{baselined}/configmaps"
    owner = client.request("POST", maps, {"metadata": {"name": "owner"}}).json()
    reference = {
        "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]
    }  # fmt: skip
    create(control_plane, deny(baselined, ownerReferences=[reference]))
    assert client.request("DELETE", f"{maps}/owner").ok
    eventually(lambda: "default-deny" not in names(control_plane, baselined), "it was never deleted")


def test_a_namespace_can_be_deleted_with_the_guard_up(control_plane: ControlPlane, baselined: str) -> None:
    control_plane.kubectl("delete", "namespace", baselined, "--timeout=180s")


def test_a_namespace_can_be_deleted_with_the_guard_down(
    control_plane: ControlPlane, baselined: str, guard_down: GuardDown
) -> None:
    guard_down()
    refused = control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(deny(baselined)), check=False)
    assert "failed calling webhook" in refused.stderr
    control_plane.kubectl("delete", "namespace", baselined, "--timeout=180s")


def test_policies_of_a_namespace_that_hangs_in_its_deletion_can_be_deleted_by_hand(
    control_plane: ControlPlane, baselined: str
) -> None:
    client = control_plane.client()
    held = open_to_all(baselined, "held", finalizers=[FINALIZER])
    create(control_plane, held)
    control_plane.kubectl("delete", "namespace", baselined, "--wait=false")
    # One policy keeps the namespace; the others may go whoever deletes them, and in whatever order.
    for baseline in baselines(baselined):
        assert client.request("DELETE", path_of(baseline)).status in (200, 404)
    eventually(lambda: names(control_plane, baselined) == {"held"}, "the baselines never went")
    assert client.request("PATCH", path_of(held), NO_FINALIZERS, content_type=MERGE).ok
    control_plane.kubectl("wait", "--for=delete", f"namespace/{baselined}", "--timeout=180s")
