"""The README's chapters about `check` and `explain`: their commands print what stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from app.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
HEAD = (
    "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata:\n  name: {}\n  namespace: {}\nspec:\n"
)
FILES = {
    "policies/default-deny.yaml": HEAD.format("default-deny", "data-plane")
    + "  podSelector: {}          # every pod\n  policyTypes: [Ingress]\n",
    "policies/web.yaml": HEAD.format("web", "data-plane") + "  podSelector:\n    matchLabels: {app: web}\n"
    "  ingress:\n  - from:\n    - ipBlock: {cidr: 10.0.0.0/8}\n",
    "scrape.yaml": HEAD.format("scrape", "data-plane-science")
    + "  podSelector: {}\n  ingress:\n  - from: [{namespaceSelector: {matchLabels: "
    "{kubernetes.io/metadata.name: monitoring}}}]\n    ports: [{port: 9090}]\n",
}


def examples(*chapters: str) -> list[tuple[str, str]]:
    """Return the commands of the chapters, each with the output below it."""
    text = "".join(README.partition(f"\n## {chapter}\n")[2].partition("\n## ")[0] for chapter in chapters)
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    command = re.compile(r"^\$ (.*)\n((?:[^$].*\n|\n)*)", re.MULTILINE)
    return [(found[1], found[2]) for block in blocks for found in command.finditer(block)]


EXAMPLES = examples("Lint manifests before they are applied", "Is this flow allowed?")


def test_there_are_commands_to_try() -> None:
    assert len(EXAMPLES) == 4


@pytest.mark.parametrize(("command", "output"), EXAMPLES)
def test_a_command_of_the_readme_prints_what_stands_there(  # noqa: PLR0917 - fixtures
    command: str,
    output: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", shlex.split(command))
    main()
    assert capsys.readouterr().out == output
