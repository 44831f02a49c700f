from __future__ import annotations

import subprocess
import sys

import pytest

from app.cli.group import examples_text
from app.cli.main import _Commands, main


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["netpol-guard", *arguments])
    return main()


@pytest.mark.parametrize("name", ["", *_Commands.NAMES])
def test_every_help_ends_with_examples_that_call_this_program(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert call(monkeypatch, *([name] if name else []), "--help") == 0
    examples = capsys.readouterr().out.partition("Examples:")[2]
    assert f"netpol-guard {name}".strip() in examples


def test_the_lines_of_an_example_are_kept_as_they_are() -> None:
    assert examples_text((("Do it", "one \\", "    two"),)) == "Examples:\n\n\b\n# Do it\none \\\n    two"


def test_an_unknown_command_is_exit_code_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "frobnicate") == 2
    assert "frobnicate" in capsys.readouterr().err


def test_the_version_is_shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "--version") == 0
    assert capsys.readouterr().out.startswith("netpol-guard ")


@pytest.mark.parametrize(
    ("module", "never"),
    [
        ("app.cli.main", "app.cli.check|app.serving|kubernetes|rich|pysat"),
        ("app.cli.serve", "kubernetes|fastapi|rich"),
        ("app.cli.check", "kubernetes|fastapi|rich"),
        ("app.cli.explain", "kubernetes|fastapi|rich"),
    ],
)
def test_a_command_does_not_import_what_another_one_needs(module: str, never: str) -> None:
    program = f"import sys, {module}; print([x for x in '{never}'.split('|') if x in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
