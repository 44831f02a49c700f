"""``bootstrap`` and ``uninstall`` as a whole, in clusters in which the guard's Pods really run."""

from __future__ import annotations

import json

import pytest

from app.cli.terminal import LineTerminal
from app.install.bootstrap import bring_guard
from app.install.prepare import BootstrapRequest
from app.install.uninstall import UninstallRequest, take_away
from tests.integration.bootstrap.test_bootstrap_baselines import DOCUMENTED, policy
from tests.integration.incluster.conftest import MakeCluster
from tests.integration.incluster.platform import (
    GUARD,
    MANAGED,
    OPERATOR,
    QUICKLY,
    assert_guarded,
    bootstrap,
    failure_policies,
    got,
    let_in,
    make_platform,
    policies,
    unchanged,
    uninstall,
    watched,
)
from tests.integration.incluster.scenes import deny_all, make_managed
from tests.integration.program import cut_site, inventory_of
from tests.kube.cluster import IMAGE, Cluster, Shape
from tests.kube.lan import Family

WRITES, MOST_RUNS = 4, 20


@pytest.mark.parametrize(
    "shape",
    [
        Shape(families=(Family.IPV4,)),
        Shape(families=(Family.IPV6,)),
        Shape(families=(Family.IPV4, Family.IPV6)),
        Shape(api_servers=3, hidden_source=True),
        Shape(families=(Family.IPV6, Family.IPV4), api_servers=3, hidden_source=True),
    ],
    ids=["IPv4", "IPv6", "dual-stack", "three-members-one-hidden", "dual-stack-three-members-one-hidden"],
)
def test_from_nothing_to_verified_in_one_command_a_second_run_changes_nothing_and_it_goes_without_a_trace(
    make_cluster: MakeCluster, shape: Shape
) -> None:
    cluster = make_cluster(shape)
    make_platform(cluster)
    before = inventory_of(cluster.client())
    with watched(cluster) as history:
        first = bootstrap(cluster)
        assert first.returncode == 0, first.stdout[-3000:] + first.stderr
        assert_guarded(cluster)
        sources = {source for each in cluster.api_servers for source in each.sources[:1]}
        bits = {source: 128 if ":" in source else 32 for source in sources}
        assert {f"{source}/{bits[source]}" for source in sources} <= let_in(cluster)
        with unchanged(cluster):
            second = bootstrap(cluster)
        assert second.returncode == 0, second.stderr
        assert "Nothing was changed: all of it stood already." in second.stdout
        gone = uninstall(cluster, "--baselines")
        assert gone.returncode == 0, gone.stdout + gone.stderr
    history.assert_nothing_lost()
    assert inventory_of(cluster.client()) == before


def test_interrupted_again_and_again_it_goes_on_from_there_and_nothing_is_rejected_before_the_end(
    make_cluster: MakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = make_cluster(Shape())
    make_platform(cluster)
    before = inventory_of(cluster.client())
    request = BootstrapRequest(image=IMAGE, yes=True, pause=0, timeout=180)
    terminal = LineTerminal()
    removal = UninstallRequest(guard=True, yes=True, pause=0, timeout=180)
    with watched(cluster) as history, cluster.entered():
        runs = 0
        while bring_guard(cut_site(cluster.kubeconfig(), WRITES), terminal, request) != 0:
            runs += 1
            assert "To complete it: netpol-guard bootstrap" in capsys.readouterr().out
            assert failure_policies(cluster) <= {"Ignore"}
            assert runs < MOST_RUNS
        assert runs > 2
        assert_guarded(cluster)
        removed = 0
        while take_away(cut_site(cluster.kubeconfig(), WRITES), terminal, removal) != 0:
            removed += 1
            assert failure_policies(cluster) == set()
            assert removed < MOST_RUNS
        assert removed > 1
    history.assert_nothing_lost()
    assert inventory_of(cluster.client()) == before


def test_killed_while_it_waits_for_the_guard_a_second_run_completes_it(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(Shape())
    make_platform(cluster)
    with cluster.guard_started("bootstrap", "--image", IMAGE, *QUICKLY) as process:
        output = process.stdout
        assert output is not None
        while "ValidatingWebhookConfiguration netpol-guard ... done" not in (line := output.readline()):
            assert line, "it ended before"
        process.kill()
    assert failure_policies(cluster) == {"Ignore"}
    assert bootstrap(cluster).returncode == 0
    assert_guarded(cluster)


class TestStarts:
    """From what may stand in a cluster before; the cases share a cluster, in this order."""

    def test_a_guard_that_does_not_start_is_told_with_its_reason_and_nothing_is_rejected(
        self, cluster: Cluster
    ) -> None:
        make_platform(cluster)
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": GUARD}}
        settings = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "netpol-guard-settings", "namespace": GUARD},
            "data": {"settings.yaml": "mode: nonsense\n"},
        }
        cluster.apply(namespace, settings)
        done = cluster.guard("bootstrap", "--image", IMAGE, "--yes", "--pause", "0", "--timeout", "6")
        assert done.returncode == 2
        assert "wait for the guard ... failed" in done.stdout
        assert "Stopped: could not run Deployment netpol-guard/netpol-guard: 0 of 2 after 6 s" in done.stdout
        assert "failurePolicy stays Ignore" in done.stdout
        assert failure_policies(cluster) == {"Ignore"}
        assert policies(cluster) == set()
        cluster.apply({**settings, "data": {"settings.yaml": "webhook: {checkSeconds: 1}\n"}})

    def test_a_guard_that_runs_and_does_not_answer_is_told_and_nothing_is_rejected(
        self, cluster: Cluster
    ) -> None:
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
        self, cluster: Cluster
    ) -> None:
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

    def test_another_image_is_rolled_out_and_the_settings_of_the_admin_stay(self, cluster: Cluster) -> None:
        image = "registry.example/netpol-guard:next"
        done = cluster.guard("bootstrap", "--image", image, *QUICKLY)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr
        assert f"+      - image: {image}" in done.stdout or f"image: {image}" in done.stdout
        assert_guarded(cluster)
        deployment = got(cluster, "deployment", GUARD, "-n", GUARD)
        assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == image
        settings = got(cluster, "configmap", "netpol-guard-settings", "-n", GUARD)
        assert settings["data"]["settings.yaml"] == "webhook: {checkSeconds: 1}\n"
        with unchanged(cluster):
            again = cluster.guard("bootstrap", *QUICKLY)
        assert again.returncode == 0, "the image that runs needs not be named again"

    def test_the_guard_goes_and_the_baselines_stay(self, cluster: Cluster) -> None:
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
