from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.wire.render import render_policy
from tests.admission import world
from tests.cluster.control_plane import ControlPlane
from tests.cluster.webhook import register_webhook
from tests.integration.conftest import MakeNamespace
from tests.integration.guard import Guard, configuration, running_guard

API_SERVER = "10.20.0.10"
POLICIES = "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies"


@pytest.fixture(scope="module")
def guard(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    folder = tmp_path_factory.mktemp("guard")
    with (
        running_guard(control_plane, folder, apiServer={"sources": [API_SERVER]}) as running,
        register_webhook(control_plane, running.url, control_plane.ca_pem, configuration()),
    ):
        yield running


def _baselines(namespace: str) -> list[dict[str, Any]]:
    made = [json.loads(json.dumps(render_policy(one))) for one in world.baselines()]
    for one in made:
        one["metadata"]["namespace"] = namespace
    return made


def _deny(namespace: str) -> str:
    deny = json.loads(json.dumps(world.DENY_ALL))
    deny["metadata"]["namespace"] = namespace
    return json.dumps(deny)


@pytest.fixture
def empty(guard: Guard, make_namespace: MakeNamespace) -> str:  # noqa: ARG001 - the guard must run
    return make_namespace()


@pytest.fixture
def baselined(empty: str, control_plane: ControlPlane) -> str:
    for one in _baselines(empty):
        control_plane.apply(json.dumps(one))
    return empty


def test_a_developer_sees_why_the_first_policy_is_rejected(control_plane: ControlPlane, empty: str) -> None:
    shown = control_plane.kubectl("apply", "-f", "-", user="developer", stdin=_deny(empty), check=False)
    assert shown.returncode != 0
    assert "Forbidden" in shown.stderr
    assert f"NetworkPolicy {empty}/default-deny would cut managed namespaces from the pods" in shown.stderr
    assert "Fix: add an ingress rule" in shown.stderr


def test_a_dry_run_is_rejected_as_the_real_request_is(control_plane: ControlPlane, empty: str) -> None:
    shown = control_plane.kubectl(
        "apply", "--dry-run=server", "-f", "-", user="developer", stdin=_deny(empty), check=False
    )
    assert "would cut" in shown.stderr


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["operator-first", "managed-first"])
def test_both_baselines_can_be_applied_in_either_order(
    control_plane: ControlPlane, empty: str, order: tuple[int, int]
) -> None:
    pair = _baselines(empty)
    first = control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(pair[order[0]]))
    second = control_plane.kubectl("apply", "-f", "-", stdin=json.dumps(pair[order[1]]))
    assert "apply the missing baseline too" in first.stderr
    assert second.stderr == ""


def test_a_default_deny_beside_the_baselines_is_admitted_and_told_to_be_without_effect(
    control_plane: ControlPlane, baselined: str
) -> None:
    shown = control_plane.kubectl("apply", "-f", "-", user="developer", stdin=_deny(baselined))
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
    emptied = _baselines(baselined)[1]
    emptied["spec"]["ingress"] = []
    shown = control_plane.kubectl(
        *("apply", "--server-side", "--force-conflicts", "-f", "-"), stdin=json.dumps(emptied), check=False
    )
    assert "would cut managed namespaces" in shown.stderr


def test_the_managed_label_cannot_be_taken_away(control_plane: ControlPlane, baselined: str) -> None:
    shown = control_plane.kubectl("label", "namespace", baselined, "iomete.com/managed-", check=False)
    assert f"taking the label iomete.com/managed from namespace {baselined}" in shown.stderr


def test_two_deletions_in_a_row_that_are_harmless_alone_do_not_both_pass(
    control_plane: ControlPlane, baselined: str
) -> None:
    twin = _baselines(baselined)[1]
    twin["metadata"]["name"] = "twin"
    control_plane.apply(json.dumps(twin))
    client = control_plane.client()
    for _ in range(20):
        first = client.request("DELETE", f"{POLICIES.format(baselined)}/twin")
        second = client.request("DELETE", f"{POLICIES.format(baselined)}/iomete-ingress-egress")
        assert (first.ok, second.ok) == (True, False), (first.text, second.text)
        control_plane.client().request("POST", POLICIES.format(baselined), twin)


def test_a_namespace_can_be_deleted_with_the_guard_up(control_plane: ControlPlane, baselined: str) -> None:
    control_plane.kubectl("delete", "namespace", baselined, "--timeout=60s")


def test_a_namespace_can_be_deleted_with_the_guard_down(
    control_plane: ControlPlane, make_namespace: MakeNamespace, tmp_path: Path
) -> None:
    name = make_namespace()
    for one in _baselines(name):
        control_plane.apply(json.dumps(one))
    with (
        running_guard(control_plane, tmp_path, apiServer={"sources": [API_SERVER]}) as guard,
        register_webhook(control_plane, guard.url, control_plane.ca_pem, configuration()),
    ):
        guard.process.terminate()
        guard.process.wait(20)
        refused = control_plane.kubectl("apply", "-f", "-", stdin=_deny(name), check=False)
        assert "failed calling webhook" in refused.stderr
        control_plane.kubectl("delete", "namespace", name, "--timeout=60s")
