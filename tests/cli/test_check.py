from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.cli.main import main
from tests.lint.policies import ADDED, DENY, OPEN, UNKNOWN

SAMPLE = Path(__file__).parents[2] / "deploy" / "sample"
Check = Callable[..., int]


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> Check:
    def call(*arguments: object) -> int:
        monkeypatch.setattr("sys.argv", ["netpol-guard", "check", *map(str, arguments)])
        return main()

    return call


@pytest.fixture
def deny(tmp_path: Path) -> Path:
    file = tmp_path / "deny.yaml"
    file.write_text(DENY)
    return file


def pipe(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


class TestFindings:
    """What is found, and how a person reads it."""

    def test_a_policy_that_cuts_managed_traffic_is_shown_with_its_place_the_reason_and_a_fix(
        self, deny: Path, check: Check, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert check(deny) == 1
        assert capsys.readouterr().out == (
            f"{deny}:8:3: error[managed-ingress]: "
            "cuts managed namespaces from the pods of data-plane (ingress)\n"
            "  example: a pod in data-plane -> a pod in data-plane, TCP 443\n"
            "  why:     isolated for Ingress by default-deny; no rule lets it through\n"
            "  then:    Spark drivers, executors and the control plane lose connections into this namespace;"
            " jobs fail at random\n"
            "  fix:     add an ingress rule for every pod of managed namespaces, all ports\n"
            "  note:    not beside the two baselines; --assume-baselines judges as if they stood\n"
            "\n"
            "1 error and 0 warnings in 1 NetworkPolicy of 1 file\n"
            "note: webhooks not judged, as the API server's addresses are not known: give --api-server\n"
            "--fix writes the fixes; --fix --diff shows what it would write\n"
        )

    def test_the_same_policy_beside_the_baselines_is_clean(self, deny: Path, check: Check) -> None:
        assert check(deny, "--assume-baselines", "--api-server", "10.20.0.10") == 0

    def test_a_policy_that_lets_everyone_in_is_clean(self, tmp_path: Path, check: Check) -> None:
        (tmp_path / "open.yaml").write_text(OPEN)
        assert check(tmp_path) == 0

    def test_an_invalid_field_is_a_finding_at_its_place(
        self, tmp_path: Path, check: Check, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "bad.yaml"
        file.write_text(DENY + "  ingress:\n  - ports:\n    - port: 70000\n")
        assert check(file) == 1
        assert f"{file}:12:13: error[invalid]: spec.ingress[0].ports[0].port" in capsys.readouterr().out

    def test_warnings_are_clean_unless_it_is_strict(self, tmp_path: Path, check: Check) -> None:
        (tmp_path / "unknown.yaml").write_text(UNKNOWN)
        assert check(tmp_path) == 0
        assert check(tmp_path, "--strict") == 1

    def test_a_namespace_option_says_where_a_manifest_without_one_goes(
        self, tmp_path: Path, check: Check, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "deny.yaml").write_text(DENY.replace("  namespace: data-plane\n", ""))
        check(tmp_path, "-n", "elsewhere")
        assert "a pod in elsewhere" in capsys.readouterr().out

    def test_the_files_are_a_change_where_a_state_is_given(
        self, tmp_path: Path, check: Check, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "deny.yaml"
        file.write_text(DENY.replace("data-plane", "data-plane-sandbox"))
        assert check(file, "--state", SAMPLE) == 1
        shown = capsys.readouterr().out
        assert "a pod in data-plane-analytics" in shown
        assert "baselines" not in shown
        file.write_text(DENY.replace("data-plane", "data-plane-analytics"))
        assert check(file, "--state", SAMPLE) == 0

    def test_the_guards_settings_decide_as_they_do_for_the_webhook(
        self, tmp_path: Path, check: Check, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file, settings = tmp_path / "wide.yaml", tmp_path / "settings.yml"
        file.write_text(DENY + "  ingress:\n  - from: [{ipBlock: {cidr: 0.0.0.0/0}}]\n")
        settings.write_text("ipBlockMatchesPods: no\napiServer: {sources: [10.20.0.10]}\n")
        assert check(file) == 0
        assert "only an ipBlock keeps this open" in capsys.readouterr().out
        assert check(file, "--config", settings) == 1
        assert "webhooks not judged" not in capsys.readouterr().out
        settings.write_text("ipBlocksMatchPods: no\n")
        assert check(file, "--config", settings) == 2
        assert "ipBlocksMatchPods" in capsys.readouterr().err

    def test_control_characters_of_a_manifest_do_not_reach_the_terminal(
        self, tmp_path: Path, check: Check, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "odd.yaml").write_text(OPEN + '  "\\e[2J\\a": 1\n')
        check(tmp_path)
        assert "\x1b" not in capsys.readouterr().out


class TestColour:
    """On a terminal, unless somebody does not want it."""

    def shown(self, deny: Path, **environment: str) -> str:
        """Return what a terminal gets to see."""
        command = f"{sys.executable} -m app check {deny}"
        done = subprocess.run(
            ["script", "-qec", command, "/dev/null"],
            capture_output=True,
            text=True,
            env={"PATH": os.environ["PATH"], "TERM": "xterm-256color", **environment},
            cwd=SAMPLE.parents[1],
            check=False,
        )
        return done.stdout

    def test_a_terminal_gets_colour(self, deny: Path) -> None:
        assert "\x1b[1;31m" in self.shown(deny)

    def test_no_color_is_honoured(self, deny: Path) -> None:
        shown = self.shown(deny, NO_COLOR="1")
        assert "\x1b[1;31m" not in shown
        assert "\x1b[3" not in shown
        assert "error[managed-ingress]" in shown


class TestUnusableInput:
    """Exit code 2, and what to do."""

    def test_a_file_of_which_nothing_can_be_used_is_exit_code_2_and_a_format_is_not_begun(
        self, tmp_path: Path, check: Check, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "bad.yaml").write_text("a: *b\n")
        assert check(tmp_path, tmp_path / "missing.yaml", "--format", "json") == 2
        told = capsys.readouterr()
        assert told.out == ""
        assert told.err.splitlines() == [
            f"netpol-guard: {tmp_path / 'bad.yaml'}:1:4: alias *b is not allowed here: write the value out",
            f"netpol-guard: {tmp_path / 'missing.yaml'}: No such file or directory",
        ]

    @pytest.mark.parametrize("text", ["", "# nothing\n---\n", "kind: List\napiVersion: v1\nitems: []\n"])
    def test_input_without_any_policy_is_unusable_unless_that_is_allowed(
        self, check: Check, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str
    ) -> None:
        pipe(monkeypatch, text)
        assert check("-") == 2
        assert "<stdin>: there is no NetworkPolicy in it" in capsys.readouterr().err
        pipe(monkeypatch, text)
        assert check("-", "--allow-empty") == 0

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--format", "word"],
            ["--state", "/nonexistent"],
            ["--api-server", "here"],
            ["--state", SAMPLE, "--live"],
            ["--kubeconfig", "/nonexistent"],
        ],
    )
    def test_options_that_cannot_be_used_are_exit_code_2(
        self, deny: Path, check: Check, capsys: pytest.CaptureFixture[str], arguments: list[str]
    ) -> None:
        assert check(deny, *arguments) == 2
        assert capsys.readouterr().err


class TestReports:
    """Each format comes out alone, fit for a program."""

    @pytest.mark.parametrize(
        ("form", "begin"),
        [
            ("json", '{\n  "findings": [\n    {\n      "level": "error"'),
            ("sarif", '{\n  "$schema": "https://json.schemastore.org/sarif-2.1.0.json"'),
            ("junit", "<?xml version="),
            ("github", "::error line=8,col=3,title=managed-ingress::cuts managed namespaces"),
        ],
    )
    def test_a_format_is_all_that_is_printed(  # noqa: PLR0917 - a table
        self,
        check: Check,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
        form: str,
        begin: str,
    ) -> None:
        pipe(monkeypatch, DENY)
        assert check("-", "--format", form) == 1
        told = capsys.readouterr()
        assert told.out.startswith(begin)
        assert told.err == ""

    def test_strict_makes_warnings_failed_tests(
        self, tmp_path: Path, check: Check, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "unknown.yaml").write_text(UNKNOWN)
        assert check(tmp_path, "--format", "junit", "--strict") == 1
        assert 'failures="1"' in capsys.readouterr().out


class TestFix:
    """--fix, with and without --diff."""

    def test_the_fix_is_written_and_what_is_left_is_judged_again(
        self, deny: Path, check: Check, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert check(deny, "--fix") == 0
        assert deny.read_text() == DENY + ADDED
        told = capsys.readouterr()
        assert told.err == (
            f"fixed {deny}:5: NetworkPolicy default-deny: "
            "add an ingress rule for every pod of managed namespaces, all ports\n"
        )
        assert told.out.startswith("0 errors and 0 warnings")

    @pytest.mark.parametrize("option", ["--diff", "--dry-run"])
    def test_a_dry_run_shows_a_diff_and_writes_nothing(
        self, deny: Path, check: Check, capsys: pytest.CaptureFixture[str], option: str
    ) -> None:
        assert check(deny, "--fix", option) == 1
        assert deny.read_text() == DENY
        told = capsys.readouterr()
        assert told.out == f"--- {deny}\n+++ {deny}\n@@ -7,3 +7,8 @@\n" + "".join(
            [" spec:\n", "   podSelector: {}  # all\n".replace("   ", "   "), "   policyTypes: [Ingress]\n"]
        ) + "".join(f"+{line}\n" for line in ADDED.splitlines())
        assert "error[managed-ingress]" in told.err

    def test_standard_input_comes_out_mended_and_the_report_beside_it(
        self, check: Check, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        pipe(monkeypatch, DENY)
        assert check("-", "--fix") == 0
        told = capsys.readouterr()
        assert told.out == DENY + ADDED
        assert "fixed <stdin>:5" in told.err
        assert "0 errors" in told.err
