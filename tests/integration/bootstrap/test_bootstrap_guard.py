"""``bootstrap`` and ``uninstall`` of the guard where no Pod ever runs: plans, refusals, time-outs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator

import pytest
import yaml

from app.shipped import guard_manifests
from tests.integration.conftest import MakeNamespace
from tests.integration.program import inventory, run, unchanged
from tests.kube.control_plane import ControlPlane

API_SERVER = "10.20.0.10"
IMAGE = "registry.example/netpol-guard:1"
Done = subprocess.CompletedProcess[str]


def bootstrap(control_plane: ControlPlane, *args: str, user: str = "admin") -> Done:
    return run(control_plane, "bootstrap", "--api-server", API_SERVER, "--pause", "0", *args, user=user)


@pytest.fixture
def cleaned(control_plane: ControlPlane) -> Iterator[None]:
    """Take the guard away again, whatever a test left of it."""
    yield
    assert run(control_plane, "uninstall", "--yes").returncode == 0


def test_a_dry_run_shows_every_object_and_changes_nothing(
    control_plane: ControlPlane, make_namespace: MakeNamespace
) -> None:
    name = make_namespace()
    with unchanged(control_plane):
        done = bootstrap(control_plane, "--image", IMAGE, "-n", name, "--dry-run")
    assert done.returncode == 0, done.stderr
    for manifest in guard_manifests():
        assert f"* create {manifest['kind']} " in done.stdout
    assert f"+        image: {IMAGE}" in done.stdout
    assert "+    netpol-guard.iomete.com/failure-policy: Ignore" in done.stdout
    assert f"* create NetworkPolicy {name}/iomete-ingress-egress" in done.stdout


def test_the_output_is_what_an_api_server_takes_strictly_and_has_no_secret(
    control_plane: ControlPlane, make_namespace: MakeNamespace
) -> None:
    name = make_namespace()
    control_plane.kubectl("create", "namespace", "netpol-guard")
    try:
        with unchanged(control_plane):
            done = bootstrap(control_plane, "--image", IMAGE, "-n", name, "--output", "yaml")
            assert done.returncode == 0, done.stderr
            tried = control_plane.kubectl(
                *("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"),
                stdin=done.stdout,
            )
    finally:
        control_plane.kubectl("delete", "namespace", "netpol-guard")
    made = list(yaml.safe_load_all(done.stdout))
    assert len(made) == len(guard_manifests()) + 2 == len(tried.stdout.splitlines())
    assert not [manifest for manifest in made if manifest["kind"] == "Secret"]
    assert "PRIVATE KEY" not in done.stdout
    assert {manifest["metadata"].get("namespace") for manifest in made} >= {name, "netpol-guard"}


def test_missing_permissions_are_all_listed(
    control_plane: ControlPlane, make_namespace: MakeNamespace
) -> None:
    name = make_namespace()
    with unchanged(control_plane):
        done = bootstrap(control_plane, "--image", IMAGE, "-n", name, "--yes", user="readonly")
    assert done.returncode == 2
    for line in (
        "create namespaces",
        "patch clusterroles.rbac.authorization.k8s.io",
        "create deployments.apps in namespace netpol-guard",
        "patch validatingwebhookconfigurations.admissionregistration.k8s.io",
        f"probe networkpolicies.networking.k8s.io in namespace {name}",
    ):
        assert f"  - {line}\n" in done.stderr


def test_a_guard_that_never_runs_ends_with_the_time_and_nothing_is_rejected_or_cut(
    control_plane: ControlPlane,
    make_namespace: MakeNamespace,
    cleaned: None,  # noqa: ARG001 - afterwards
) -> None:
    name = make_namespace()
    done = bootstrap(control_plane, "--image", IMAGE, "-n", name, "--yes", "--timeout", "1")
    assert done.returncode == 2
    assert "Stopped: could not run Deployment netpol-guard/netpol-guard: 0 of 2 after 1 s" in done.stdout
    assert "  - baselines\n  - self-test\n  - failurePolicy Fail\n" in done.stdout
    assert "failurePolicy stays Ignore" in done.stdout
    assert "To complete it: netpol-guard bootstrap --api-server 10.20.0.10" in done.stdout
    assert control_plane.kubectl("get", "networkpolicies", "-n", name).stdout == ""
    # Nobody is locked out: with no guard running, what the webhook is for goes through.
    deny = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "deny", "namespace": name},
        "spec": {"podSelector": {}},
    }
    control_plane.apply(json.dumps(deny))


def test_what_kubectl_applied_is_gone_on_from_without_a_conflict(
    control_plane: ControlPlane,
    make_namespace: MakeNamespace,
    cleaned: None,  # noqa: ARG001 - afterwards
) -> None:
    for manifest in guard_manifests():
        control_plane.apply(json.dumps(manifest))
    name = make_namespace()
    done = run(control_plane, "bootstrap", "-n", name, "--dry-run")
    assert done.returncode == 0, done.stderr
    # Settings that kubectl wrote are its own, as long as nobody adopts them.
    declared = bootstrap(control_plane, "-n", name, "--dry-run")
    assert "ConfigMap netpol-guard/netpol-guard-settings: another manager owns a field" in declared.stderr
    assert "* change Deployment netpol-guard/netpol-guard" in done.stdout
    assert "* create Deployment" not in done.stdout


def test_what_is_not_ours_in_the_guards_namespace_keeps_it(
    control_plane: ControlPlane, make_namespace: MakeNamespace
) -> None:
    done = bootstrap(control_plane, "--image", IMAGE, "-n", make_namespace(), "--yes", "--no-wait")
    assert done.returncode == 0, done.stdout + done.stderr
    control_plane.kubectl("create", "configmap", "theirs", "-n", "netpol-guard")
    gone = run(control_plane, "uninstall", "--yes")
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert "namespace netpol-guard stays: it holds what is not ours: ConfigMap theirs" in gone.stdout
    left = [line for line in inventory(control_plane) if "netpol-guard" in line]
    assert sorted(reference.split()[-1] for reference in left) == ["/netpol-guard", "netpol-guard/theirs"]
    control_plane.kubectl("delete", "configmap", "theirs", "-n", "netpol-guard")
    assert run(control_plane, "uninstall", "--yes").returncode == 0
    assert not [line for line in inventory(control_plane) if "netpol-guard" in line]
