from __future__ import annotations

import re
import shlex
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from ssl import create_default_context

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "app", "serve", "--embedded"]


@contextmanager
def embedded(tmp_path: Path, ports: str = "port: 0, healthPort: 0") -> Iterator[list[str]]:
    """Yield the lines of an embedded run that goes on; end it afterwards."""
    settings = tmp_path / "settings.yaml"
    settings.write_text(f"listen: {{{ports}}}\n")
    command = [*COMMAND, "--config", str(settings)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            lines: list[str] = []
            for line in process.stdout or ():
                lines.append(line.rstrip("\n"))
                if line.startswith("Ctrl-C ends it"):
                    break
            yield lines
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> str:
    settings = tmp_path_factory.mktemp("embedded") / "settings.yaml"
    settings.write_text("listen: {port: 0, healthPort: 0}\n")
    return subprocess.run(
        [*COMMAND, "--once", "--config", str(settings)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout


def test_the_embedded_run_shows_five_changes_with_their_verdicts_as_kubectl_would(shown: str) -> None:
    assert shown.count("Error from server (Forbidden): admission webhook") == 4
    assert "Warning: netpol-guard: default-deny has no effect" in shown
    assert "curl --cacert" in shown


def test_the_curl_line_that_it_prints_works_as_it_stands(tmp_path: Path) -> None:
    with embedded(tmp_path) as lines:
        words = shlex.split(next(line for line in lines if line.startswith("  curl ")))
        authority = words[words.index("--cacert") + 1]
        review = Path(words[words.index("--data") + 1].removeprefix("@"))
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(words[-1], review.read_bytes(), headers)  # noqa: S310 - our own server
        context = create_default_context(cafile=authority)
        with urllib.request.urlopen(request, context=context) as answer:  # noqa: S310 - the same
            assert '"allowed":false' in answer.read().decode()


def test_the_other_commands_that_it_prints_work_as_they_stand(tmp_path: Path) -> None:
    with embedded(tmp_path) as lines:
        arguments = next(line for line in lines if " explain " in line).partition(" explain ")[2]
    command = [sys.executable, "-m", "app", "explain", *shlex.split(arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "TCP 9090: DENIED" in done.stdout


def test_a_port_that_somebody_has_does_not_stop_it(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with embedded(tmp_path, f"port: {port}, healthPort: 0") as lines:
            assert lines[0].startswith("netpol-guard serves https://localhost:")
            assert f":{port}/" not in lines[0]


def test_the_answers_in_the_readme_are_those_of_the_embedded_run(shown: str) -> None:
    chapter = (ROOT / "README.md").read_text(encoding="utf-8").partition("## My policy was rejected")[2]
    readme = chapter.partition("\n## ")[0]
    answers = re.findall(r"```console\n(\$ kubectl (?:apply|delete networkpolicy) .*?)```", readme, re.DOTALL)
    assert len(answers) == 4
    for answer in answers:
        assert answer in shown
