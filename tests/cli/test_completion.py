from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(sys.executable).parent / "netpol-guard"
BASH = """
eval "$(netpol-guard --show-completion)"
COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
_netpol_guard_completion netpol-guard
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def run(*command: str, **environment: str) -> list[str]:
    path = f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, env={**os.environ, **environment, "PATH": path}, capture_output=True, text=True, check=True
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        ("netpol-guard ch", ["check"]),
        ("netpol-guard check --format ''", ["text", "json", "sarif", "junit", "github"]),
        ("netpol-guard check --format s", ["sarif"]),
        ("netpol-guard check --fo", ["--format"]),
        ("netpol-guard check --kube", ["--kubeconfig"]),
        ("netpol-guard explain --format j", ["json"]),
        # Nothing of ours: bash then offers files, which is what -o default asks it to.
        ("netpol-guard check pol", []),
    ],
)
def test_bash_completes_commands_options_and_values(words: str, completed: list[str]) -> None:
    assert run("bash", "-c", BASH.format(words=words)) == completed


def test_zsh_completes_values_and_falls_back_to_files() -> None:
    environment = {"_NETPOL_GUARD_COMPLETE": "complete_zsh"}
    shown = run(str(PROGRAM), _TYPER_COMPLETE_ARGS="netpol-guard check --format s", **environment)
    assert '"sarif"))\'' in "".join(shown)
    assert run(str(PROGRAM), _TYPER_COMPLETE_ARGS="netpol-guard check pol", **environment) == ["_files"]


def test_fish_completes_values() -> None:
    environment = {"_NETPOL_GUARD_COMPLETE": "complete_fish", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    assert run(str(PROGRAM), _TYPER_COMPLETE_ARGS="netpol-guard check --format s", **environment) == ["sarif"]


def test_the_installed_script_is_the_one_that_is_shown(tmp_path: Path) -> None:
    # With one command alone bash gives way to it, and nobody could tell for which shell to install.
    run("bash", "-c", "netpol-guard --install-completion; exit", HOME=str(tmp_path))
    script = (tmp_path / ".bash_completions" / "netpol-guard.sh").read_text()
    assert "complete -o default -F _netpol_guard_completion netpol-guard" in script
    assert "netpol-guard.sh" in (tmp_path / ".bashrc").read_text()
