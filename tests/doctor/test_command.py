from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from app.cli.main import _app
from app.errors import InputError, StateUnreadable
from app.shipped import SAMPLE
from tests.doctor.load import kubeconfig
from tests.doctor.world import Manifest, changed, controlled, healthy, with_status

Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(_app, list(arguments), env={"COLUMNS": "120"})

    return invoke


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A healthy cluster as manifests, with a narrowed baseline."""
    narrowed: Manifest = {"spec": {"ingress": [{"from": [{"podSelector": {}}]}]}}
    change = [{"patch": "NetworkPolicy data-plane/iomete-ingress-egress", "with": narrowed}]
    objects = changed(healthy(), change)
    everything = [*map(with_status, objects.values()), *controlled(objects)]
    (tmp_path / "cluster.yaml").write_text(yaml.safe_dump_all(everything))
    return tmp_path


def test_findings_end_with_exit_code_1_and_the_command_stands_on_a_line_of_its_own(
    run: Run, folder: Path
) -> None:
    done = run("doctor", "--state", str(folder))
    assert done.exit_code == 1
    assert "[baseline-altered]" in done.stdout
    commands = [line.strip() for line in done.stdout.splitlines() if "kubectl patch" in line]
    assert len(commands) == 1
    assert commands[0].endswith("'")
    assert done.stdout.rstrip().endswith("1 broken, 0 at risk, 1 thing(s) not checked")


def test_a_namespace_without_findings_is_healthy_and_verbose_says_what_was_looked_at(
    run: Run, folder: Path
) -> None:
    done = run("doctor", "--state", str(folder), "-n", "data-plane-2", "--verbose")
    assert done.exit_code == 0
    assert "namespace data-plane-2: both baselines stand, all required flows are open" in done.stdout
    assert "healthy: nothing is cut off" in done.stdout


def test_more_than_three_findings_of_a_kind_are_summed_up_unless_verbose(run: Run, tmp_path: Path) -> None:
    names = [f"team-{number}" for number in range(6)]
    labels = {"iomete.com/managed": "true"}
    namespaces = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        for name in names
    ]
    (tmp_path / "namespaces.yaml").write_text(yaml.safe_dump_all(namespaces))
    short, full = (run("doctor", "--state", str(tmp_path), *more).stdout for more in ((), ("--verbose",)))
    assert "and 3 more of this kind [baseline-missing]" in " ".join(short.split())
    assert short.count("netpol-guard bootstrap --baselines-only -n") == 3
    assert full.count("netpol-guard bootstrap --baselines-only -n") == 6


@pytest.mark.parametrize("report", ["json", "sarif", "junit", "html"])
def test_formats_for_programs_are_all_that_is_printed(run: Run, folder: Path, report: str) -> None:
    done = run("doctor", "--state", str(folder), "--format", report)
    assert done.exit_code == 1
    assert done.stdout[0] in "{<"
    if report in {"json", "sarif"}:
        json.loads(done.stdout)


def test_the_sample_cluster_can_be_examined_and_drawn(run: Run) -> None:
    assert run("doctor", "--state", str(SAMPLE)).exit_code == 1
    drawn = run("map", "--state", str(SAMPLE))
    assert drawn.exit_code == 0
    assert "data-plane-analytics, data-plane-sandbox and 2 more  (4 namespaces)" in drawn.stdout


@pytest.mark.parametrize("drawn", ["dot", "mermaid", "html"])
def test_a_map_with_a_lost_flow_ends_with_exit_code_1(run: Run, folder: Path, drawn: str) -> None:
    assert run("map", "--state", str(folder), "--format", drawn).exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("doctor", "--state", "{}", "--fix"), "repairs a live cluster"),
        (("doctor", "--state", "{}", "-n", "nowhere"), "there is no namespace nowhere"),
        (("doctor", "--state", "{}", "--api-server", "nonsense"), "--api-server"),
        (("map", "--state", "{}", "-n", "nowhere"), "there is no namespace nowhere"),
    ],
)
def test_what_cannot_be_used_is_an_input_error(
    run: Run, folder: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = run(*(argument.format(folder) for argument in arguments))
    assert isinstance(done.exception, InputError)
    assert said in str(done.exception)


def test_a_folder_that_is_not_there_is_said_to_be_unreadable(run: Run) -> None:
    assert "there is no such folder" in str(run("doctor", "--state", "/nowhere").exception)


@pytest.mark.parametrize("command", ["doctor", "map"])
def test_an_api_server_that_is_down_is_said_to_be_unreachable(run: Run, tmp_path: Path, command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    done = run(command, "--kubeconfig", str(kubeconfig(f"http://127.0.0.1:{port}", tmp_path)))
    assert isinstance(done.exception, StateUnreadable)
    assert "the API server cannot be reached" in str(done.exception)
    assert "check that the API server runs" in str(done.exception)


def test_an_api_server_that_does_not_answer_is_waited_for_a_moment_only(run: Run, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        done = run("doctor", "--kubeconfig", str(kubeconfig(f"http://127.0.0.1:{port}", tmp_path)))
    assert isinstance(done.exception, StateUnreadable)
    assert "did not answer within 3.0 s" in str(done.exception)
