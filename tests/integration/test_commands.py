"""`check` and `explain` with what a real API server holds and prints."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from app.cli.main import main
from tests.integration.conftest import MakeNamespace
from tests.kube.control_plane import ControlPlane

BASELINE = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: iomete-ingress-egress, namespace: {namespace}}}
spec:
  podSelector: {{}}
  policyTypes: [Ingress, Egress]
  ingress: [{{from: [{{namespaceSelector: {{matchLabels: {{iomete.com/managed: "true"}}}}}}]}}]
  egress: [{{}}]
"""
POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: {namespace}, labels: {{app: {name}}}}}
spec:
  containers: [{{name: main, image: none, ports: [{{name: http, containerPort: 8080}}]}}]
"""

Call = Callable[..., int]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Call:
    def run(*arguments: object) -> int:
        monkeypatch.setattr("sys.argv", ["netpol-guard", *map(str, arguments)])
        return main()

    return run


@pytest.fixture
def namespace(control_plane: ControlPlane, make_namespace: MakeNamespace) -> str:
    """Return a managed namespace with the baseline that lets managed namespaces in."""
    name = make_namespace()
    control_plane.apply(BASELINE.format(namespace=name))
    return name


def printed(control_plane: ControlPlane, namespace: str, file: Path, *options: str) -> Path:
    """Return ``file`` with the namespace's policies as the real kubectl prints them."""
    shown = control_plane.kubectl("get", "networkpolicies", "-n", namespace, "-o", "yaml", *options)
    file.write_text(shown.stdout)
    return file


def test_what_kubectl_prints_is_clean_and_everything_in_it_is_known(  # noqa: PLR0917 - fixtures
    control_plane: ControlPlane,
    namespace: str,
    call: Call,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = printed(control_plane, namespace, tmp_path / "all.yaml", "--show-managed-fields")
    assert call("check", file, "--assume-baselines", "--strict") == 0
    assert capsys.readouterr().out.startswith("0 errors and 0 warnings in 1 NetworkPolicy of 1 file")


def test_what_kubectl_prints_is_mended_and_applied_again(  # noqa: PLR0917 - fixtures
    control_plane: ControlPlane,
    namespace: str,
    make_namespace: MakeNamespace,
    call: Call,
    tmp_path: Path,
) -> None:
    make_namespace()  # which the narrowed policy keeps out
    live = ("--live", "--kubeconfig", control_plane.kubeconfig())
    file = printed(control_plane, namespace, tmp_path / "all.yaml")
    narrowed = file.read_text().replace(
        'iomete.com/managed: "true"', f"kubernetes.io/metadata.name: {namespace}"
    )
    file.write_text(narrowed)
    assert call("check", file, *live) == 1
    assert call("check", file, *live, "--fix") == 0
    control_plane.kubectl("apply", "-f", str(file))
    after = printed(control_plane, namespace, tmp_path / "after.yaml")
    assert 'iomete.com/managed: "true"' in after.read_text()
    assert call("check", after, *live, "--strict") == 0


def test_the_files_are_judged_as_a_change_to_what_the_cluster_holds(  # noqa: PLR0917 - fixtures
    namespace: str,
    make_namespace: MakeNamespace,
    control_plane: ControlPlane,
    call: Call,
    tmp_path: Path,
) -> None:
    deny = (
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
        "metadata: {{name: deny, namespace: {}}}\nspec: {{podSelector: {{}}}}\n"
    )
    beside, alone = tmp_path / "beside.yaml", tmp_path / "alone.yaml"
    beside.write_text(deny.format(namespace))
    alone.write_text(deny.format(make_namespace()))
    assert call("check", beside, "--kubeconfig", control_plane.kubeconfig()) == 0
    assert call("check", alone, "--kubeconfig", control_plane.kubeconfig()) == 1


def test_taking_a_label_away_is_judged_for_the_whole_cluster(  # noqa: PLR0917 - fixtures
    control_plane: ControlPlane,
    namespace: str,
    call: Call,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "namespace.yaml"
    file.write_text(f"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {namespace}\n  labels: {{}}\n")
    assert call("check", file, "--live", "--kubeconfig", control_plane.kubeconfig()) == 1
    assert f"{file}:5:11: error[managed-ingress]" in capsys.readouterr().out


def test_pods_are_found_by_name_with_their_labels_addresses_and_ports(  # noqa: PLR0917 - fixtures
    control_plane: ControlPlane,
    namespace: str,
    make_namespace: MakeNamespace,
    call: Call,
    capsys: pytest.CaptureFixture[str],
) -> None:
    outside = make_namespace(managed=False)
    for name, place in (("web", namespace), ("client", outside)):
        control_plane.apply(POD.format(name=name, namespace=place))
    status = json.dumps({"status": {"podIP": "10.1.0.7", "podIPs": [{"ip": "10.1.0.7"}]}})
    patch = ("patch", "pod", "client", "-n", outside, "--subresource=status", "-p", status)
    control_plane.kubectl(*patch)
    flow = ("--from", f"{outside}/client", "--to", f"{namespace}/web", "--port", "http")
    live = ("--kubeconfig", control_plane.kubeconfig())
    assert call("explain", *live, *flow) == 1
    shown = capsys.readouterr().out
    assert f"{outside}/client -> {namespace}/web, TCP 8080 (http): DENIED" in shown
    assert "closest is ingress[0] of iomete-ingress-egress (every pod of managed namespaces" in shown
    control_plane.apply(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
        f"metadata: {{name: clients, namespace: {namespace}}}\n"
        "spec: {podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.1.0.0/16}}]}]}\n"
    )
    assert call("explain", *live, *flow) == 1
    assert "only an ipBlock covers this pod" in capsys.readouterr().out
    assert call("explain", *live, "--from", f"{namespace}/web", "--to", f"{outside}/client") == 0


@pytest.mark.parametrize("command", ["check", "explain"])
def test_an_api_server_that_cannot_be_reached_is_exit_code_2_with_what_to_check(  # noqa: PLR0917 - fixtures
    control_plane: ControlPlane,
    call: Call,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
) -> None:
    url = "https://127.0.0.1:1"  # where nobody ever listens
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(control_plane.kubeconfig().read_text().replace(control_plane.url, url))
    file = tmp_path / "policy.yaml"
    file.write_text(BASELINE.format(namespace="a"))
    flow = ("--from", "a", "--to", "b") if command == "explain" else ()
    assert call(command, file, "--kubeconfig", kubeconfig, *flow) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert "the API server cannot be reached: " in told.err
    assert "check that the API server runs" in told.err


def test_a_permission_that_is_missing_is_named_as_the_rule_to_grant(  # noqa: PLR0917 - fixtures
    control_plane: ControlPlane,
    namespace: str,
    call: Call,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(BASELINE.format(namespace=namespace))
    kubeconfig = control_plane.service_account_kubeconfig(namespace, "default")
    assert call("check", file, "--kubeconfig", kubeconfig) == 2
    assert (
        'grant this rule: apiGroups: [""], resources: ["namespaces"], verbs: ["list"]'
        in capsys.readouterr().err
    )
