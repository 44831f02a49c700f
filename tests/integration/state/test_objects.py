"""Reads and writes of whole objects, against the real API server."""

from __future__ import annotations

from typing import Any

import pytest

from app.cluster.client.connection import Connection, configuration
from app.cluster.client.objects import Objects
from app.errors import ChangeFailed
from app.model.kinds import NETWORK_POLICY, DryRun, Reference
from tests.integration.conftest import MakeNamespace
from tests.kube.control_plane import ControlPlane


def objects(control_plane: ControlPlane, manager: str = "netpol-guard", user: str = "admin") -> Objects:
    return Objects(Connection(configuration(control_plane.kubeconfig(user))), manager)


def policy(namespace: str, *types: str) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "one", "namespace": namespace},
        "spec": {"podSelector": {}, "policyTypes": list(types)},
    }


def test_what_was_applied_is_there_and_what_was_deleted_is_not(
    control_plane: ControlPlane, make_namespace: MakeNamespace
) -> None:
    namespace, store = make_namespace(), objects(control_plane)
    reference = Reference(NETWORK_POLICY, "one", namespace)
    assert store.get(reference) is None
    applied = store.apply(policy(namespace, "Ingress"))
    assert store.get(reference) == applied.object
    assert [item["metadata"]["name"] for item in store.list(NETWORK_POLICY, namespace)] == ["one"]
    assert store.delete(reference, uid=applied.object["metadata"]["uid"]) is not None
    assert store.get(reference) is None
    assert store.delete(reference) is None


def test_a_dry_run_leaves_no_trace(control_plane: ControlPlane, make_namespace: MakeNamespace) -> None:
    namespace, store = make_namespace(), objects(control_plane)
    assert store.apply(policy(namespace, "Ingress"), DryRun.ALL).object["spec"]["podSelector"] == {}
    assert store.get(Reference(NETWORK_POLICY, "one", namespace)) is None


def test_a_field_of_another_manager_is_a_conflict_until_it_is_taken_over(
    control_plane: ControlPlane, make_namespace: MakeNamespace
) -> None:
    namespace = make_namespace()
    objects(control_plane, "somebody").apply(policy(namespace, "Ingress"))
    with pytest.raises(ChangeFailed, match=r"could not apply NetworkPolicy .*/one: .*somebody") as failed:
        objects(control_plane).apply(policy(namespace, "Egress"))
    assert failed.value.status == 409
    taken = objects(control_plane).apply(policy(namespace, "Egress"), force=True)
    assert taken.object["spec"]["policyTypes"] == ["Egress"]


def test_an_object_that_exists_is_not_created_again(
    control_plane: ControlPlane, make_namespace: MakeNamespace
) -> None:
    namespace, store = make_namespace(), objects(control_plane)
    store.create(policy(namespace, "Ingress"))
    with pytest.raises(ChangeFailed, match="already exists") as failed:
        store.create(policy(namespace, "Ingress"))
    assert failed.value.status == 409


def test_patches_change_what_they_say_and_a_failed_test_changes_nothing(
    control_plane: ControlPlane, make_namespace: MakeNamespace
) -> None:
    namespace, store = make_namespace(), objects(control_plane)
    store.create(policy(namespace, "Ingress"))
    reference = Reference(NETWORK_POLICY, "one", namespace)
    merged = store.merge(reference, {"metadata": {"labels": {"a": "b"}}}).object
    assert merged["metadata"]["labels"] == {"a": "b"}
    guarded = [
        {"op": "test", "path": "/metadata/labels/a", "value": "c"},
        {"op": "remove", "path": "/metadata/labels/a"},
    ]
    with pytest.raises(ChangeFailed) as failed:
        store.edit(reference, guarded)
    assert failed.value.status == 422
    assert store.edit(reference, guarded[1:]).object["metadata"].get("labels") is None


def test_replacing_an_older_version_is_a_conflict(
    control_plane: ControlPlane, make_namespace: MakeNamespace
) -> None:
    namespace, store = make_namespace(), objects(control_plane)
    old = store.create(policy(namespace, "Ingress")).object
    store.replace({**old, "spec": {"podSelector": {}, "policyTypes": ["Egress"]}})
    with pytest.raises(ChangeFailed) as failed:
        store.replace(old)
    assert failed.value.status == 409


def test_a_missing_permission_names_the_rule_that_is_missing(
    control_plane: ControlPlane, make_namespace: MakeNamespace
) -> None:
    namespace = make_namespace()
    with pytest.raises(ChangeFailed, match=r'grant this rule: .*verbs: \["create"\]'):
        objects(control_plane, user="readonly").create(policy(namespace, "Ingress"))


def test_warnings_of_the_api_server_come_with_the_answer(
    control_plane: ControlPlane, make_namespace: MakeNamespace
) -> None:
    odd = policy(make_namespace(), "Ingress")
    odd["spec"]["ingress"] = [{"from": [{"ipBlock": {"cidr": "2001:0DB8::/32"}}]}]
    assert any("2001:0DB8::/32" in warning for warning in objects(control_plane).create(odd).warnings)
