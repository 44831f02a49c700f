"""``bootstrap`` and ``uninstall`` from what may stand in a cluster before."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.bootstrap.test_bootstrap_baselines import DOCUMENTED, policy
from tests.integration.incluster.platform import (
    GUARD,
    MANAGED,
    OPERATOR,
    QUICKLY,
    assert_guarded,
    bootstrap,
    failure_policies,
    got,
    make_platform,
    policies,
    unchanged,
    uninstall,
    watched,
)
from tests.integration.incluster.scenes import deny_all, make_managed
from tests.kube.cluster import IMAGE, Cluster

OTHERS = ("documented", "mistyped", "own")


@pytest.fixture
def unguarded(cluster: Cluster) -> Cluster:
    """The platform, with neither guard nor baselines nor other namespaces, whatever was there before."""
    cluster.kubectl("delete", "namespace", *OTHERS, "--ignore-not-found", "--timeout=180s")
    make_platform(cluster)
    gone = uninstall(cluster, "--baselines")
    assert gone.returncode == 0, gone.stdout + gone.stderr
    return cluster


@pytest.fixture
def guarded(cluster: Cluster) -> Cluster:
    """The platform with the guard and the settings of an admin, whatever was there before."""
    make_platform(cluster)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": GUARD}}
    cluster.apply(namespace, settings("webhook: {checkSeconds: 1}\n"))
    done = bootstrap(cluster)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    return cluster


def settings(text: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "netpol-guard-settings", "namespace": GUARD},
        "data": {"settings.yaml": text},
    }


def test_a_guard_that_does_not_start_is_told_with_its_reason_and_nothing_is_rejected(
    unguarded: Cluster,
) -> None:
    cluster = unguarded
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": GUARD}}
    cluster.apply(namespace, settings("mode: nonsense\n"))
    done = cluster.guard("bootstrap", "--image", IMAGE, "--yes", "--pause", "0", "--timeout", "6")
    assert done.returncode == 2
    assert "wait for the guard ... failed" in done.stdout
    assert "Stopped: could not run Deployment netpol-guard/netpol-guard: 0 of 2 after 6 s" in done.stdout
    assert "failurePolicy stays Ignore" in done.stdout
    assert failure_policies(cluster) == {"Ignore"}
    assert policies(cluster) == set()


def test_a_guard_that_runs_and_does_not_answer_is_told_and_nothing_is_rejected(unguarded: Cluster) -> None:
    cluster = unguarded
    done = cluster.guard(
        *("bootstrap", "--image", "registry.example/something-else"),
        *("--yes", "--pause", "0", "--timeout", "20"),
    )
    assert done.returncode == 2
    assert "measure where the API server calls from ... failed" in done.stdout
    assert "  - failurePolicy Fail" in done.stdout
    assert failure_policies(cluster) == {"Ignore"}
    assert policies(cluster) == set()


def test_namespaces_with_the_documented_files_and_with_policies_of_their_own_are_brought_in(
    unguarded: Cluster,
) -> None:
    cluster = unguarded
    source = cluster.api_servers[0].sources[0]
    for name, address in (("documented", source), ("mistyped", "192.0.2.77")):
        make_managed(cluster, name)
        text = DOCUMENTED.replace("ADDRESS", address)
        cluster.kubectl("apply", "-n", name, "-f", "-", stdin=text)
    make_managed(cluster, "own")
    cluster.apply(deny_all("own"))
    with watched(cluster) as history:
        done = bootstrap(cluster)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    history.assert_nothing_lost()
    assert_guarded(cluster)
    assert policies(cluster, "documented") == {OPERATOR, MANAGED}
    assert policies(cluster, "mistyped") == {OPERATOR, MANAGED, f"{OPERATOR}-netpol-guard"}
    assert policies(cluster, "own") == {OPERATOR, MANAGED, "default-deny"}
    assert "written by kubectl apply, already says what" in done.stdout
    with unchanged(cluster):
        assert bootstrap(cluster).returncode == 0


def test_another_image_is_rolled_out_and_the_settings_of_the_admin_stay(guarded: Cluster) -> None:
    cluster = guarded
    image = "registry.example/netpol-guard:next"
    done = cluster.guard("bootstrap", "--image", image, *QUICKLY)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert f"+      - image: {image}" in done.stdout or f"image: {image}" in done.stdout
    assert_guarded(cluster)
    deployment = got(cluster, "deployment", GUARD, "-n", GUARD)
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == image
    kept = got(cluster, "configmap", "netpol-guard-settings", "-n", GUARD)
    assert kept["data"]["settings.yaml"] == "webhook: {checkSeconds: 1}\n"
    with unchanged(cluster):
        again = cluster.guard("bootstrap", *QUICKLY)
    assert again.returncode == 0, "the image that runs needs not be named again"


def test_the_guard_goes_and_the_baselines_stay(guarded: Cluster) -> None:
    cluster = guarded
    cluster.apply(json.loads(policy(GUARD, "theirs", {"policyTypes": ["Ingress"], "ingress": [{}]})))
    with watched(cluster) as history:
        done = uninstall(cluster)
    assert done.returncode == 0, done.stdout + done.stderr
    history.assert_nothing_lost()
    assert policies(cluster) == {OPERATOR, MANAGED}
    assert cluster.kubectl("get", "namespace", GUARD, check=False).returncode != 0
    left = cluster.kubectl("get", "clusterroles,clusterrolebindings", "-o", "name").stdout
    assert GUARD not in left
    with unchanged(cluster):
        again = uninstall(cluster)
    assert "Nothing to remove" in again.stdout
