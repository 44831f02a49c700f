from __future__ import annotations

from pathlib import Path

import pytest

from app.cli.main import main

SAMPLE = Path(__file__).parents[2] / "deploy" / "sample"
OPERATOR = "iomete-system/service=spark-operator"


def explain(monkeypatch: pytest.MonkeyPatch, source: str, destination: str, port: str) -> int:
    arguments = ["--state", str(SAMPLE), "--from", source, "--to", destination, "--port", port]
    monkeypatch.setattr("sys.argv", ["netpol-guard", "explain", *arguments])
    return main()


@pytest.mark.parametrize(
    ("source", "destination", "port", "code", "said"),
    [
        ("10.20.0.10", OPERATOR, "9443", 0, "allowed by ingress[0] of iomete-spark-operator"),
        ("data-plane-science/app=x", OPERATOR, "15002", 0, "allowed by ingress[0] of iomete-ingress-egress"),
        ("monitoring", "data-plane-science", "9090", 1, "no rule of any policy lets it through"),
        ("monitoring", "data-plane-sandbox", "9090", 0, "no policy isolates this pod"),
        ("data-plane-science", "8.8.8.8", "53/UDP", 0, "allowed by egress[0]"),
    ],
)
def test_a_flow_is_explained_by_the_policies_and_rules_that_decide_it(  # noqa: PLR0917 - a table
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    source: str,
    destination: str,
    port: str,
    code: int,
    said: str,
) -> None:
    assert explain(monkeypatch, source, destination, port) == code
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("source", "port", "said"),
    [
        ("nowhere", "443", "no such namespace"),
        ("ns/label", "443", "neither an address nor"),
        ("monitoring", "70000", "is no port"),
    ],
)
def test_what_cannot_be_understood_is_named_with_exit_code_2(  # noqa: PLR0917 - a table
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], source: str, port: str, said: str
) -> None:
    assert explain(monkeypatch, source, OPERATOR, port) == 2
    assert said in capsys.readouterr().err
