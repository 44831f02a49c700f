from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from app.cli.main import main

DENY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: default-deny
  namespace: data-plane
spec:
  podSelector: {}
  policyTypes: [Ingress]
"""
OPEN = DENY + "  ingress:\n  - {}\n"


def check(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["netpol-guard", "check", *arguments])
    return main()


@pytest.fixture
def deny(tmp_path: Path) -> Path:
    file = tmp_path / "deny.yaml"
    file.write_text(DENY)
    return file


def test_a_policy_that_cuts_managed_traffic_is_a_finding_with_file_line_and_fix(
    deny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(monkeypatch, str(deny)) == 1
    shown = capsys.readouterr().out
    assert f"{deny}:7:3: error[managed-ingress]: managed-ingress: cuts managed namespaces" in shown
    assert "--assume-baselines" in shown
    assert "fix:     add an ingress rule for every pod of managed namespaces, all ports" in shown


def test_the_same_policy_beside_the_baselines_is_clean(deny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check(monkeypatch, str(deny), "--assume-baselines", "--api-server", "10.20.0.10") == 0


def test_a_policy_that_lets_everyone_in_is_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "open.yaml").write_text(OPEN)
    assert check(monkeypatch, str(tmp_path)) == 0


def test_an_invalid_field_is_a_finding_at_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(DENY + "  ingress:\n  - ports:\n    - port: 70000\n")
    assert check(monkeypatch, str(file)) == 1
    assert f"{file}:11:13: error[invalid]: spec.ingress[0].ports[0].port" in capsys.readouterr().out


def test_input_that_cannot_be_read_is_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bomb.yaml").write_text("a: &a [x]\nb: *a\n")
    assert check(monkeypatch, str(tmp_path / "bomb.yaml")) == 2
    assert check(monkeypatch, str(tmp_path / "missing.yaml")) == 2
    assert "missing.yaml: No such file" in capsys.readouterr().err


@pytest.mark.parametrize("report", ["json", "sarif"])
def test_reports_for_programs_are_json(
    deny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], report: str
) -> None:
    assert check(monkeypatch, str(deny), "--format", report) == 1
    assert "managed-ingress" in json.dumps(json.loads(capsys.readouterr().out))


def test_the_junit_report_counts_failures(
    deny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(monkeypatch, str(deny), "--format", "junit") == 1
    suite = ET.fromstring(capsys.readouterr().out)  # noqa: S314 - our own output
    assert suite.get("failures") == "1"


def test_github_annotations_name_file_and_line(
    deny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(monkeypatch, str(deny), "--format", "github") == 1
    assert f"::error file={deny},line=7,col=3" in capsys.readouterr().out


def test_the_files_are_a_change_where_a_state_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = Path(__file__).parents[2] / "deploy" / "sample"
    file = tmp_path / "deny.yaml"
    file.write_text(DENY.replace("data-plane", "data-plane-sandbox"))
    assert check(monkeypatch, str(file), "--state", str(sample)) == 1
    assert "a pod in data-plane-analytics" in capsys.readouterr().out
    file.write_text(DENY.replace("data-plane", "data-plane-analytics"))
    assert check(monkeypatch, str(file), "--state", str(sample)) == 0
