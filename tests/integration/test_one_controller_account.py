"""A controller manager whose controllers are all one user: the namespace's and the collector of garbage."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.decisions.objects import (
    API_SERVER,
    MERGE,
    NAMESPACES,
    baselines,
    create,
    deny,
    eventually,
    names,
    path_of,
)
from tests.integration.guard import configuration, running_guard
from tests.kube.accounts import CONTROLLER_MANAGER
from tests.kube.commands import ControllerAccounts
from tests.kube.control_plane import ControlPlane, Network
from tests.kube.webhook import MANAGED_LABEL, register_webhook


@pytest.fixture(scope="module")
def one_account(kubernetes_programs: None) -> Iterator[ControlPlane]:  # noqa: ARG001 - it makes them be there
    """Start a control plane whose controllers have no accounts of their own."""
    with ControlPlane(Network.on_loopback(ControllerAccounts.ONE)) as running:
        yield running


@pytest.fixture
def guard_down(one_account: ControlPlane, tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Run a guard, and return what makes it go down."""
    with (
        running_guard(one_account, tmp_path, apiServer={"sources": [API_SERVER]}) as guard,
        register_webhook(one_account, guard.url, one_account.ca_pem, configuration()),
    ):

        def go_down() -> None:
            guard.process.terminate()
            guard.process.wait(60)

        yield go_down


def _baselined(control_plane: ControlPlane, name: str) -> str:
    metadata = {"name": name, "labels": {MANAGED_LABEL: "true"}}
    assert control_plane.client().request("POST", NAMESPACES, {"metadata": metadata}).ok
    create(control_plane, *baselines(name))
    return name


def _answers_to_deletions(control_plane: ControlPlane, namespace: str) -> list[int]:
    return [
        event["responseStatus"]["code"]
        for event in control_plane.audit_events()
        if event["verb"] == "delete"
        and event["user"]["username"] == CONTROLLER_MANAGER
        and event["objectRef"].get("namespace") == namespace
        and event["objectRef"]["resource"] == "networkpolicies"
    ]


def test_owner_references_delete_no_baseline_and_namespaces_go_with_the_guard_up_and_down(
    one_account: ControlPlane, guard_down: Callable[[], None]
) -> None:
    client = one_account.client()
    owned, up, down = (_baselined(one_account, name) for name in ("owned", "goes-up", "goes-down"))
    maps = f"{NAMESPACES}/{owned}/configmaps"
    owner = client.request("POST", maps, {"metadata": {"name": "owner"}}).json()
    reference = {
        "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]
    }  # fmt: skip
    references = {"metadata": {"ownerReferences": [reference]}}
    managed = path_of(baselines(owned)[1])
    assert client.request("PATCH", managed, references, content_type=MERGE).ok
    assert client.request("DELETE", f"{maps}/owner").ok
    eventually(
        lambda: _answers_to_deletions(one_account, owned).count(403) > 1,
        "the garbage collector was not refused twice",
    )
    assert "iomete-ingress-egress" in names(one_account, owned)
    one_account.kubectl("delete", "namespace", up, "--timeout=180s")
    guard_down()
    refused = one_account.kubectl("apply", "-f", "-", stdin=json.dumps(deny(down)), check=False)
    assert "failed calling webhook" in refused.stderr
    one_account.kubectl("delete", "namespace", down, "--timeout=180s")
