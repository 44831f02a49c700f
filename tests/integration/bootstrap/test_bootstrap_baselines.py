"""``bootstrap --baselines-only`` and ``uninstall --baselines`` against the real API server."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.cli.site import LiveSite
from app.cli.terminal import LineTerminal
from app.errors import ChangeFailed
from app.install.prepare import BootstrapRequest, bring_baselines
from app.install.uninstall import UninstallRequest, take_away
from app.model.declared_sources import declared_sources
from tests.integration.conftest import MakeNamespace
from tests.integration.guard import configuration, running_guard
from tests.integration.program import cut_site, run, started, unchanged, watched
from tests.kube.control_plane import ControlPlane
from tests.kube.webhook import register_webhook

API_SERVER = "10.20.0.10"
OPERATOR, MANAGED, BRIDGE = "iomete-spark-operator", "iomete-ingress-egress", "netpol-guard-bridge"
DOCUMENTED = f"""
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: {OPERATOR}}}
spec:
  podSelector: {{matchLabels: {{service: spark-operator}}}}
  ingress: [{{from: [{{ipBlock: {{cidr: ADDRESS/32}}}}]}}]
  egress: [{{}}]
  policyTypes: [Ingress, Egress]
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: {MANAGED}}}
spec:
  podSelector: {{}}
  ingress: [{{from: [{{namespaceSelector: {{matchLabels: {{iomete.com/managed: "true"}}}}}}]}}]
  egress: [{{}}]
  policyTypes: [Ingress, Egress]
"""
OPEN = {"policyTypes": ["Ingress", "Egress"], "ingress": [{}], "egress": [{}]}
DENY = {"policyTypes": ["Ingress", "Egress"]}

Done = subprocess.CompletedProcess[str]


def bootstrap(control_plane: ControlPlane, namespace: str, *args: str, **how: Any) -> Done:  # noqa: ANN401 - of run
    return run(
        control_plane,
        *("bootstrap", "--baselines-only", "-n", namespace, "--api-server", API_SERVER),
        *("--yes", "--pause", "0", *args),
        **how,
    )


def uninstall(control_plane: ControlPlane, namespace: str, *args: str) -> Done:
    return run(control_plane, *("uninstall", "--baselines", "-n", namespace, "--yes", "--pause", "0", *args))


def apply_documented(control_plane: ControlPlane, namespace: str, address: str = API_SERVER) -> None:
    text = DOCUMENTED.replace("ADDRESS", address)
    control_plane.kubectl("apply", "-n", namespace, "-f", "-", stdin=text)


def policy(namespace: str, name: str, spec: dict[str, Any]) -> str:
    return json.dumps(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"podSelector": {}, **spec},
        }
    )


def policies(control_plane: ControlPlane, namespace: str) -> set[str]:
    listed = control_plane.kubectl("get", "networkpolicies", "-n", namespace, "-o", "name").stdout
    return {line.rpartition("/")[2] for line in listed.splitlines()}


class TestBringing:
    """Both baselines in, whatever stands there."""

    def test_an_empty_namespace_gets_both_and_a_second_run_changes_nothing(
        self, control_plane: ControlPlane, make_namespace: MakeNamespace
    ) -> None:
        name = make_namespace()
        with watched(control_plane, API_SERVER) as history:
            first = bootstrap(control_plane, name)
        assert first.returncode == 0, first.stderr
        assert f"create NetworkPolicy {name}/{OPERATOR} ... done" in first.stdout
        assert f"Done: both baselines stand in {name}, and every required flow passes." in first.stdout
        history.assert_nothing_lost()
        assert any(BRIDGE in moment.what for moment in history.moments)
        assert policies(control_plane, name) == {OPERATOR, MANAGED}
        with unchanged(control_plane):
            second = bootstrap(control_plane, name)
        assert second.returncode == 0
        assert f"Nothing to change: both baselines stand in {name}." in second.stdout

    def test_the_documented_files_applied_with_kubectl_are_left_alone(
        self, control_plane: ControlPlane, make_namespace: MakeNamespace
    ) -> None:
        name = make_namespace()
        apply_documented(control_plane, name)
        with unchanged(control_plane):
            done = bootstrap(control_plane, name)
        assert done.returncode == 0
        assert f"{OPERATOR}, written by kubectl apply, already says what {OPERATOR} is to say" in done.stdout

    def test_a_documented_file_with_a_wrong_address_is_taken_over_with_adopt(
        self, control_plane: ControlPlane, make_namespace: MakeNamespace
    ) -> None:
        name = make_namespace()
        apply_documented(control_plane, name, "192.0.2.77")
        done = bootstrap(control_plane, name, "--adopt")
        assert done.returncode == 0, done.stderr
        assert "-        cidr: 192.0.2.77/32" in done.stdout
        assert f"+        cidr: {API_SERVER}/32" in done.stdout
        assert policies(control_plane, name) == {OPERATOR, MANAGED}
        with unchanged(control_plane):
            assert bootstrap(control_plane, name, "--adopt").returncode == 0

    def test_a_namespace_is_labelled_when_told(
        self, control_plane: ControlPlane, make_namespace: MakeNamespace
    ) -> None:
        name = make_namespace(managed=False)
        with unchanged(control_plane):
            refused = bootstrap(control_plane, name)
        assert refused.returncode == 2
        assert "have it labelled with --label" in refused.stderr
        done = bootstrap(control_plane, name, "--label")
        assert done.returncode == 0, done.stderr
        assert '+    iomete.com/managed: "true"' in done.stdout.replace("'", '"')
        labels = control_plane.kubectl("get", "namespace", name, "-o", "jsonpath={.metadata.labels}").stdout
        assert json.loads(labels)["iomete.com/managed"] == "true"
        with unchanged(control_plane):
            assert bootstrap(control_plane, name, "--label").returncode == 0

    def test_sources_that_were_not_measured_are_said_to_be_so(
        self, control_plane: ControlPlane, make_namespace: MakeNamespace
    ) -> None:
        done = run(control_plane, "bootstrap", "--baselines-only", "-n", make_namespace(), "--dry-run")
        listed = control_plane.network.members[0].advertise
        assert f"{listed}  (guessed: EndpointSlice default/kubernetes)" in done.stdout
        assert "was looked up, not measured" in done.stdout


def test_a_guard_that_is_up_admits_every_step(
    control_plane: ControlPlane, make_namespace: MakeNamespace, tmp_path: Path
) -> None:
    name = make_namespace()
    with (
        running_guard(control_plane, tmp_path, apiServer={"sources": [API_SERVER]}) as guard,
        register_webhook(control_plane, guard.url, control_plane.ca_pem, configuration()),
    ):
        brought = bootstrap(control_plane, name, "--allow-namespace", "kube-system")
        assert brought.returncode == 0, brought.stderr + brought.stdout
        refused = control_plane.kubectl("delete", "networkpolicy", MANAGED, "-n", name, check=False)
        assert "would cut managed namespaces" in refused.stderr
        taken = uninstall(control_plane, name)
        assert taken.returncode == 0, taken.stderr + taken.stdout
    assert policies(control_plane, name) == set()


@pytest.mark.parametrize("cut", [(1, KeyboardInterrupt), (3, ChangeFailed)], ids=["bridge", "both"])
def test_ended_between_steps_it_says_what_stands_and_a_second_run_completes_it(
    control_plane: ControlPlane,
    make_namespace: MakeNamespace,
    capsys: pytest.CaptureFixture[str],
    cut: tuple[int, type[BaseException]],
) -> None:
    name, (writes, end) = make_namespace(), cut
    request = BootstrapRequest((name,), declared=declared_sources([API_SERVER]), yes=True, pause=0)
    removal = UninstallRequest((name,), yes=True, pause=0)
    site, terminal = LiveSite.connect(control_plane.kubeconfig(), None), LineTerminal()
    with watched(control_plane, API_SERVER) as history:
        assert bring_baselines(cut_site(control_plane.kubeconfig(), writes, end), terminal, request) == 2
        told = capsys.readouterr().out
        assert f"Done: {writes} of 4 steps. Left:" in told
        assert "To complete it: netpol-guard bootstrap" in told
        assert bring_baselines(site, terminal, request) == 0
        assert policies(control_plane, name) == {OPERATOR, MANAGED}
        assert take_away(cut_site(control_plane.kubeconfig(), writes, end), terminal, removal) == 2
        assert take_away(site, terminal, removal) == 0
        assert policies(control_plane, name) == set()
    history.assert_nothing_lost()


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_during_the_pause_leaves_the_bridge_which_a_second_run_takes_away(
    control_plane: ControlPlane, make_namespace: MakeNamespace, sent: signal.Signals
) -> None:
    name = make_namespace()
    arguments = ("bootstrap", "--baselines-only", "-n", name, "--api-server", API_SERVER, "--yes")
    with started(control_plane, *arguments, "--pause", "600") as process:
        output = process.stdout
        assert output is not None
        while "... done" not in (line := output.readline()) or MANAGED not in line:
            assert line, "it ended before the pause"
        process.send_signal(sent)
        rest, _ = process.communicate(timeout=120)
    if sent is not signal.SIGKILL:
        assert process.returncode == 2
        assert f"  - remove NetworkPolicy {name}/{BRIDGE}" in rest
    assert policies(control_plane, name) == {OPERATOR, MANAGED, BRIDGE}
    done = bootstrap(control_plane, name)
    assert done.returncode == 0
    assert policies(control_plane, name) == {OPERATOR, MANAGED}


class TestRefusals:
    """Each with a message that says what to do, exit code 2, and nothing changed."""

    def test_another_manager_that_owns_a_field_is_shown_and_not_overruled(
        self, control_plane: ControlPlane, make_namespace: MakeNamespace
    ) -> None:
        name = make_namespace()
        assert bootstrap(control_plane, name).returncode == 0
        ours = json.loads(
            control_plane.kubectl("get", "networkpolicy", OPERATOR, "-n", name, "-o", "json").stdout
        )
        taken = json.loads(policy(name, OPERATOR, {**ours["spec"], "ingress": []}))
        control_plane.kubectl(
            *("apply", "--server-side", "--force-conflicts", "--field-manager", "gitops", "-f", "-"),
            stdin=json.dumps(taken),
        )
        with unchanged(control_plane):
            done = bootstrap(control_plane, name)
        assert done.returncode == 2
        assert "another manager owns a field" in done.stderr
        assert '"gitops"' in done.stderr
        assert "--adopt" in done.stderr
        assert bootstrap(control_plane, name, "--adopt").returncode == 0

    def test_cilium_that_does_not_match_nodes(
        self, control_plane: ControlPlane, make_namespace: MakeNamespace
    ) -> None:
        name = make_namespace()
        config = ("configmap", "cilium-config", "-n", "kube-system")
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "control-plane-1"}}
        control_plane.apply(json.dumps(node))
        addresses = [{"type": "InternalIP", "address": API_SERVER}]
        control_plane.client().request(
            "PATCH",
            "/api/v1/nodes/control-plane-1/status",
            {"status": {"addresses": addresses}},
            content_type="application/merge-patch+json",
        )
        control_plane.kubectl("create", *config, "--from-literal=enable-policy=default")
        try:
            with unchanged(control_plane):
                done = bootstrap(control_plane, name)
            assert done.returncode == 2
            assert "policyCIDRMatchMode" in done.stderr
            control_plane.kubectl(*("patch", *config, "-p", '{"data": {"policy-cidr-match-mode": "nodes"}}'))
            assert bootstrap(control_plane, name).returncode == 0
        finally:
            control_plane.kubectl("delete", *config)
            control_plane.kubectl("delete", "node", "control-plane-1")
