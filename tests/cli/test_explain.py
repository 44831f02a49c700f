from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from app.cli.main import main

SAMPLE = Path(__file__).parents[2] / "deploy" / "sample"
OPERATOR = "iomete-system/service=spark-operator"

Explain = Callable[..., int]

PODS = """\
apiVersion: v1
kind: Pod
metadata: {name: web-0, namespace: shop, labels: {app: web}}
spec:
  containers:
  - ports:
    - {name: http, containerPort: 8080}
    - {name: dns, containerPort: 5353, protocol: UDP}
status: {podIP: 10.1.2.3}
---
apiVersion: v1
kind: Pod
metadata: {name: node-agent, namespace: shop}
spec: {hostNetwork: true}
status: {podIPs: [{ip: 192.168.0.7}]}
"""
POLICIES = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress:
  - from: [{podSelector: {matchLabels: {app: front}}}]
    ports: [{port: http}]
  - from: [{ipBlock: {cidr: 192.168.0.0/24}}]
  policyTypes: [Ingress, Egress]
  egress:
  - to: [{ipBlock: {cidr: 10.0.0.0/8}}]
"""


@pytest.fixture
def explain(monkeypatch: pytest.MonkeyPatch) -> Explain:
    def call(source: str, destination: str, port: str, *arguments: object) -> int:
        flow = ["--from", source, "--to", destination, "--port", port]
        monkeypatch.setattr("sys.argv", ["netpol-guard", "explain", *map(str, arguments), *flow])
        return main()

    return call


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "pods.yaml").write_text(PODS)
    (tmp_path / "policies.yaml").write_text(POLICIES)
    return tmp_path


@pytest.mark.parametrize(
    ("source", "destination", "port", "code", "said"),
    [
        ("10.20.0.10", OPERATOR, "9443", 0, "allowed by ingress[0] of iomete-spark-operator"),
        ("data-plane-science/app=x", OPERATOR, "15002", 0, "allowed by ingress[0] of iomete-ingress-egress"),
        ("monitoring", "data-plane-science", "9090", 1, "no rule of any policy lets it through"),
        ("monitoring", "data-plane-science", "9090", 1, "closest is ingress[0] of iomete-ingress-egress"),
        ("monitoring", "data-plane-sandbox", "9090", 0, "no policy isolates this pod"),
        ("data-plane-science", "8.8.8.8", "53/UDP", 0, "allowed by egress[0]"),
    ],
)
def test_a_flow_is_explained_by_the_policies_and_rules_that_decide_it(  # noqa: PLR0917 - a table
    explain: Explain,
    capsys: pytest.CaptureFixture[str],
    source: str,
    destination: str,
    port: str,
    code: int,
    said: str,
) -> None:
    assert explain(source, destination, port, "--state", SAMPLE) == code
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("source", "destination", "port", "code", "said"),
    [
        ("shop/app=front", "shop/web-0", "http", 0, "TCP 8080 (http): allowed"),
        ("shop/app=front", "shop/web-0", "8080", 0, "TCP 8080 (http): allowed"),
        ("shop/app=front", "shop/web-0", "8081", 1, "not this port"),
        ("shop/app=front", "shop/app=web", "8080/TCP/http", 0, "allowed by ingress[0] of web"),
        ("shop/app=front", "shop/app=web", "8080", 1, "not this port"),
        ("shop/app=back", "shop/web-0", "dns", 1, "UDP 5353 (dns): DENIED"),
        (
            "shop/node-agent",
            "shop/web-0",
            "80",
            0,
            "allowed by ingress[1] of web (192.168.0.0/24, all ports)",
        ),
        ("shop/node-agent", "shop/web-0", "80", 0, "note: shop/node-agent uses its node's network"),
        ("shop/web-0", "shop/web-0", "80", 1, "only an ipBlock covers this pod"),
        ("shop/web-0", "shop/app=front", "80", 1, "egress   DENIED"),
        ("shop", "other", "80", 0, "note: taken for managed, as no file describes it: namespace other"),
    ],
)
def test_pods_by_name_have_their_labels_ports_and_addresses(  # noqa: PLR0917 - a table
    shop: Path,
    explain: Explain,
    capsys: pytest.CaptureFixture[str],
    source: str,
    destination: str,
    port: str,
    code: int,
    said: str,
) -> None:
    assert explain(source, destination, port, shop) == code
    assert said in capsys.readouterr().out


def test_pods_are_found_in_the_folder_of_the_state(shop: Path, explain: Explain) -> None:
    (shop / "namespace.yaml").write_text("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n")
    assert explain("shop/app=front", "shop/web-0", "http", "--state", shop) == 0


def test_a_file_is_judged_as_if_it_were_applied_to_the_state(
    tmp_path: Path, explain: Explain, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "scrape.yaml"
    file.write_text(
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n"
        "metadata: {name: scrape, namespace: data-plane-science}\n"
        "spec:\n  podSelector: {}\n  ingress:\n  - from: [{namespaceSelector: "
        "{matchLabels: {kubernetes.io/metadata.name: monitoring}}}]\n"
    )
    assert explain("monitoring", "data-plane-science", "9090", "--state", SAMPLE, file) == 0
    assert "allowed by ingress[0] of scrape" in capsys.readouterr().out


def test_a_program_gets_json(explain: Explain, capsys: pytest.CaptureFixture[str]) -> None:
    assert explain("monitoring", "data-plane-science", "9090", "--state", SAMPLE, "--format", "json") == 1
    shown = json.loads(capsys.readouterr().out)
    assert (shown["answer"], shown["protocol"], shown["port"]) == ("denied", "TCP", 9090)
    assert shown["egress"] == {"answer": "allowed", "isolatedBy": [], "allowedBy": [], "closest": None}
    assert shown["ingress"]["isolatedBy"] == ["iomete-ingress-egress"]
    assert "not this peer" in shown["ingress"]["closest"]


@pytest.mark.parametrize(
    ("source", "port", "said"),
    [
        ("nowhere", "443", "--from: there is no namespace nowhere in the state; there are data-plane-"),
        ("monitoring/prometheus-0", "443", "there is no pod monitoring/prometheus-0 in the state"),
        ("monitoring/../secrets", "443", "is no address, namespace/pod"),
        ("monitoring/", "443", "is no address, namespace/pod"),
        ("monitoring/=x", "443", "is no address, namespace/pod"),
        ("monitoring/a=b,c", "443", "is no address, namespace/pod"),
        ("Monitoring", "443", "is no address, namespace/pod"),
        ("300.1.1.1", "443", "is no address, namespace/pod"),
        ("monitoring", "70000", "70000 is no port: 1 to 65535"),
        ("monitoring", "0", "0 is no port"),
        ("monitoring", "80/HTTP", "'HTTP' is no protocol"),
        ("monitoring", "web", "only a pod given by name can resolve"),
    ],
)
def test_what_cannot_be_understood_is_named_with_exit_code_2(  # noqa: PLR0917 - a table
    explain: Explain, capsys: pytest.CaptureFixture[str], source: str, port: str, said: str
) -> None:
    assert explain(source, OPERATOR, port, "--state", SAMPLE) == 2
    assert said in capsys.readouterr().err


def test_a_port_name_that_the_pod_does_not_have_is_answered_with_those_it_has(
    shop: Path, explain: Explain, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain("shop", "shop/web-0", "grpc", shop) == 2
    assert "pod web-0 names no port 'grpc'; its port names: dns, http" in capsys.readouterr().err


def test_without_anything_to_explain_by_it_says_what_to_give(
    explain: Explain, capsys: pytest.CaptureFixture[str]
) -> None:
    assert explain("a", "b", "80") == 2
    assert "Give --live, --state DIR" in capsys.readouterr().err


def test_a_policy_that_no_api_server_takes_explains_nothing(
    shop: Path, explain: Explain, capsys: pytest.CaptureFixture[str]
) -> None:
    (shop / "policies.yaml").write_text(POLICIES.replace("10.0.0.0/8", "10.0.0.0/99"))
    assert explain("shop", "shop/web-0", "80", shop) == 2
    assert "policies.yaml:12:" in capsys.readouterr().err
