from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from app.cli.main import main
from app.lint.rewrite import Mending, mended

SAMPLE = Path(__file__).parents[2] / "deploy" / "sample"
DENY = """\
# nobody gets in
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: default-deny
  namespace: data-plane
spec:
  podSelector: {}  # all
  policyTypes: [Ingress]
"""
ADDED = """\
  ingress:
    - from:
        - namespaceSelector:
            matchLabels:
              iomete.com/managed: "true"
"""
OPEN = DENY + "  ingress:\n  - {}\n"
UNKNOWN = DENY + "  ingress:\n  - to: []\n"

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
            env={**{one: os.environ[one] for one in ("PATH",)}, "TERM": "xterm-256color", **environment},
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

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("a: &a [x]\nb: *a\n", "1:4: anchor &a is not allowed here"),
            (f"{DENY}kind: Pod\n", '10:1: duplicate key "kind"'),
            ("spec:\n\tpodSelector: {}\n", "2:1: not valid YAML: a tab stands where YAML wants spaces"),
            ("[" * 300 + "]" * 300, "1:201: nested more than 200 levels deep"),
            ("just words\n", "1:1: must be an object, not a string"),
            (
                "metadata: {name: {{ .Values.name }}}\n",
                "it looks like a template: render it first, e.g. helm template . | netpol-guard check -",
            ),
        ],
    )
    def test_a_file_of_which_nothing_can_be_used_is_exit_code_2_with_the_place(  # noqa: PLR0917 - a table
        self, tmp_path: Path, check: Check, capsys: pytest.CaptureFixture[str], text: str, said: str
    ) -> None:
        (tmp_path / "bad.yaml").write_text(text)
        assert check(tmp_path / "bad.yaml") == 2
        assert said in capsys.readouterr().err

    def test_text_that_is_no_utf_8_is_named_with_its_place(
        self, tmp_path: Path, check: Check, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "latin.yaml").write_bytes(b"a: b\nname: caf\xe9\n")
        assert check(tmp_path) == 2
        assert "latin.yaml:2:10: not valid UTF-8" in capsys.readouterr().err

    def test_a_file_that_is_too_large_is_not_read(
        self, tmp_path: Path, check: Check, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with (tmp_path / "huge.yaml").open("wb") as file:
            file.truncate(200 * 1024 * 1024)
        assert check(tmp_path) == 2
        assert "larger than 32 MiB" in capsys.readouterr().err

    def test_everything_unusable_is_named_at_once(
        self, tmp_path: Path, check: Check, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "bad.yaml").write_text("a: *b\n")
        (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere")
        assert check(tmp_path, tmp_path / "missing.yaml", "--format", "json") == 2
        told = capsys.readouterr()
        assert told.out == ""
        assert told.err.splitlines() == [
            f"netpol-guard: {tmp_path / 'bad.yaml'}:1:4: alias *b is not allowed here: write the value out",
            f"netpol-guard: {tmp_path / 'gone.yaml'}: No such file or directory",
            f"netpol-guard: {tmp_path / 'missing.yaml'}: No such file or directory",
        ]

    def test_a_folder_without_manifests_is_unusable_and_hidden_folders_hold_none(
        self, tmp_path: Path, check: Check, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / ".git").mkdir()
        (tmp_path / ".git" / "deny.yaml").write_text(DENY)
        assert check(tmp_path) == 2
        assert "there is no .yaml, .yml or .json file in this folder" in capsys.readouterr().err

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
    """As their consumers take them."""

    def report(self, check: Check, capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
        check(*arguments)
        return capsys.readouterr().out

    def test_json_holds_everything_a_program_needs(
        self, deny: Path, check: Check, capsys: pytest.CaptureFixture[str]
    ) -> None:
        shown = json.loads(self.report(check, capsys, deny, "--format", "json"))
        (finding,) = shown["findings"]
        assert (finding["level"], finding["rule"], finding["line"], finding["column"]) == (
            "error",
            "managed-ingress",
            8,
            3,
        )
        assert finding["onlyAsWholeSet"] is True
        assert finding["patch"][0]["path"] == "/spec/ingress"
        assert (shown["errors"], shown["warnings"], shown["policies"]) == (1, 0, 1)

    def test_sarif_names_the_rule_and_the_region(
        self, deny: Path, check: Check, capsys: pytest.CaptureFixture[str]
    ) -> None:
        log = json.loads(self.report(check, capsys, deny, "--format", "sarif"))
        (run,) = log["runs"]
        (result,) = run["results"]
        rules = run["tool"]["driver"]["rules"]
        assert log["version"] == "2.1.0"
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"] == "managed-ingress"
        place = result["locations"][0]["physicalLocation"]
        assert place["artifactLocation"]["uri"] == deny.as_uri()
        assert place["region"] == {"startLine": 8, "startColumn": 3}

    def test_sarif_keeps_relative_names_relative_and_spells_them_as_uris(
        self,
        tmp_path: Path,
        check: Check,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        (tmp_path / "my policies").mkdir()
        (tmp_path / "my policies" / "deny.yaml").write_text(DENY)
        monkeypatch.chdir(tmp_path)
        assert '"uri": "my%20policies/deny.yaml"' in self.report(check, capsys, ".", "--format", "sarif")

    def test_junit_has_a_test_for_each_file(
        self, deny: Path, check: Check, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (deny.parent / "open.yaml").write_text(OPEN.replace("default-deny", "open").replace("plane", "x"))
        (deny.parent / "unknown.yaml").write_text(UNKNOWN.replace("default-deny", "u").replace("plane", "y"))
        root = ET.fromstring(self.report(check, capsys, deny.parent, "--format", "junit"))  # noqa: S314 - ours
        (suite,) = root
        assert {one.get("name"): [child.tag for child in one] for one in suite} == {
            str(deny): ["failure"],
            str(deny.parent / "open.yaml"): [],
            str(deny.parent / "unknown.yaml"): ["system-out"],
        }
        assert (suite.get("tests"), suite.get("failures")) == ("3", "1")
        strict = ET.fromstring(self.report(check, capsys, deny.parent, "--format", "junit", "--strict"))  # noqa: S314
        assert strict.get("failures") == "2"

    def test_junit_is_xml_whatever_a_manifest_says(
        self, tmp_path: Path, check: Check, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "odd.yaml").write_text(OPEN + '  "\\u0001]]><&": 1\n')
        ET.fromstring(self.report(check, capsys, tmp_path, "--format", "junit"))  # noqa: S314 - ours

    def test_github_annotations_name_file_and_line_and_stay_on_one_line(
        self, deny: Path, check: Check, capsys: pytest.CaptureFixture[str]
    ) -> None:
        odd = deny.rename(deny.parent / "a,b:c%.yaml")
        first, notice = self.report(check, capsys, odd, "--format", "github").splitlines()
        name = str(odd).replace("%", "%25").replace(":", "%3A").replace(",", "%2C")
        assert first.startswith(f"::error file={name},line=8,col=3,title=managed-ingress::cuts managed")
        assert "%0A  example: a pod in data-plane" in first
        assert notice.startswith("::notice title=netpol-guard::1 error and 0 warnings")

    def test_standard_input_has_no_file_to_annotate(
        self, check: Check, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        pipe(monkeypatch, DENY)
        assert self.report(check, capsys, "-", "--format", "github").startswith("::error line=8,col=3,title=")


class TestFix:
    """--fix, with and without --diff."""

    def test_the_fix_is_written_and_what_is_left_is_judged_again(
        self, deny: Path, check: Check, capsys: pytest.CaptureFixture[str]
    ) -> None:
        deny.chmod(0o640)
        assert check(deny, "--fix") == 0
        assert deny.read_text() == DENY + ADDED
        assert stat.S_IMODE(deny.stat().st_mode) == 0o640
        told = capsys.readouterr()
        assert told.err == (
            f"fixed {deny}:5: NetworkPolicy default-deny: "
            "add an ingress rule for every pod of managed namespaces, all ports\n"
        )
        assert told.out.startswith("0 errors and 0 warnings")
        assert list(deny.parent.iterdir()) == [deny]

    def test_a_second_run_changes_nothing(self, deny: Path, check: Check) -> None:
        check(deny, "--fix")
        before = deny.stat()
        assert check(deny, "--fix") == 0
        assert deny.stat().st_mtime_ns == before.st_mtime_ns

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

    def test_the_diff_is_one_that_patch_takes(
        self, deny: Path, check: Check, capsys: pytest.CaptureFixture[str]
    ) -> None:
        deny.write_text(DENY.rstrip("\n"))
        check(deny, "--fix", "--diff")
        patch = capsys.readouterr().out
        subprocess.run(["patch", "-p0", str(deny)], input=patch, text=True, check=True, capture_output=True)
        assert check(deny) == 0

    def test_standard_input_comes_out_mended_and_the_report_beside_it(
        self, check: Check, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        pipe(monkeypatch, DENY)
        assert check("-", "--fix") == 0
        told = capsys.readouterr()
        assert told.out == DENY + ADDED
        assert "fixed <stdin>:5" in told.err
        assert "0 errors" in told.err

    def test_several_policies_of_several_files_are_mended_and_others_left_alone(
        self, tmp_path: Path, check: Check
    ) -> None:
        two = tmp_path / "two.yaml"
        two.write_text(
            "---\n".join(
                DENY.replace("podSelector: {}", f"podSelector: {{matchLabels: {{app: {name}}}}}").replace(
                    "default-deny", name
                )
                for name in ("a", "b")
            )
        )
        listed = tmp_path / "list.json"
        spec = {"podSelector": {"matchLabels": {"app": "c"}}, "policyTypes": ["Ingress", "Egress"]}
        head = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}
        metadata = {"name": "c", "namespace": "data-plane"}
        items = [{"kind": "Secret", "apiVersion": "v1"}, {**head, "metadata": metadata, "spec": spec}]
        listed.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=2))
        other = tmp_path / "other.yaml"
        other.write_text("kind: ConfigMap\napiVersion: v1\n")
        assert check(tmp_path, "--fix") == 0
        assert two.read_text().count(ADDED) == 2
        assert json.loads(listed.read_text())["items"][0] == items[0]
        assert other.read_text() == "kind: ConfigMap\napiVersion: v1\n"

    def test_a_link_is_followed_and_stays_a_link(self, deny: Path, check: Check) -> None:
        link = deny.parent / "link.yaml"
        link.symlink_to(deny.name)
        assert check(link, "--fix") == 0
        assert link.is_symlink()
        assert deny.read_text() == DENY + ADDED

    def test_a_file_that_somebody_else_changed_meanwhile_is_not_written(
        self, deny: Path, check: Check, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def changed_meanwhile(text: str, mendings: Sequence[Mending]) -> str:
            deny.write_text(OPEN)
            return mended(text, mendings)

        monkeypatch.setattr("app.lint.fixing.mended", changed_meanwhile)
        assert check(deny, "--fix") == 2
        assert deny.read_text() == OPEN
        assert "was changed by somebody else meanwhile" in capsys.readouterr().err

    def test_a_folder_that_cannot_be_written_to_is_exit_code_2_and_leaves_nothing_behind(
        self, deny: Path, check: Check, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        def refused(*_: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("pathlib.Path.replace", refused)
        assert check(deny, "--fix") == 2
        assert f"{deny}: cannot be written: Permission denied" in capsys.readouterr().err
        assert [one.name for one in deny.parent.iterdir()] == ["deny.yaml"]
        assert deny.read_text() == DENY
