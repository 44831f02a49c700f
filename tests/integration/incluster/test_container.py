"""A program in a container of the tests, without a cluster around it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.incluster.scenes import eventually
from tests.integration.test_control_plane import is_alive
from tests.kube.container import CHECKOUT, ContainerSpec, Mount, start
from tests.kube.hosts import NetworkNamespace

USER = {"runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 2000}


@pytest.fixture
def namespace(network_namespaces: None) -> NetworkNamespace:  # noqa: ARG001 - makes sure that there can be one
    return NetworkNamespace()


def output_of(command: str, folder: Path, namespace: NetworkNamespace, **rest: object) -> str:
    given = {"mounts": (), "environment": {}, "security": USER, **rest}
    spec = ContainerSpec(name="c", hostname="pod-1", command=["sh", "-c", command], **given)  # type: ignore[arg-type]
    with namespace:
        process = start(spec, folder, namespace)
        assert eventually(lambda: not process.is_running())
    return process.tail()


def test_it_has_the_pods_name_user_groups_and_environment_and_its_own_network(
    tmp_path: Path, namespace: NetworkNamespace
) -> None:
    command = "hostname; id -u; id -g; id -G; echo $GIVEN; ls /sys/class/net /proc/self/net/dev_snmp6"
    shown = output_of(command, tmp_path, namespace, environment={"GIVEN": "yes"}).splitlines()
    assert shown[:5] == ["pod-1", "65532", "65532", "65532 2000", "yes"]
    assert shown[-1] == "lo"


def test_it_sees_mounts_at_their_paths_and_nobody_else_does(
    tmp_path: Path, namespace: NetworkNamespace
) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "file").write_text("content")
    mounts = [
        Mount(volume, "/var/run/secrets/tests", read_only=True),
        Mount(volume, "/data", read_only=False),
    ]
    command = "cat /var/run/secrets/tests/file; touch /data/new; touch /run/secrets/tests/no"
    shown = output_of(command, tmp_path, namespace, mounts=mounts, security={})
    assert shown.startswith("content")
    assert "Read-only file system" in shown
    assert (volume / "new").exists()
    assert not Path("/data").exists()


def test_what_it_writes_elsewhere_is_gone_with_it(tmp_path: Path, namespace: NetworkNamespace) -> None:
    shown = output_of("echo text > /etc/written && cat /etc/written", tmp_path, namespace, security={})
    assert shown == "text"
    assert not Path("/etc/written").exists()


def test_it_dies_with_the_test_run_although_it_became_another_user(
    tmp_path: Path,
    network_namespaces: None,  # noqa: ARG001 - as above
) -> None:
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from tests.kube.container import ContainerSpec, start\n"
        "from tests.kube.hosts import NetworkNamespace\n"
        f"spec = ContainerSpec('c', 'pod-1', ['sh', '-c', 'echo up; exec sleep 600'], {{}}, (), {USER})\n"
        f"process = start(spec, Path('{tmp_path}'), NetworkNamespace())\n"
        "process.wait_until(lambda: process.tail() == 'up', 30)\n"
        "print(process.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        pid = int(run.stdout.readline())
        assert f"Uid:\t{USER['runAsUser']}" in Path(f"/proc/{pid}/status").read_text()
        os.kill(run.pid, signal.SIGKILL)
    assert eventually(lambda: not is_alive(pid))
