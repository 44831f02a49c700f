"""What bootstrap installs is healthy to doctor, and what doctor suggests for the guard is bootstrap again."""

from __future__ import annotations

import pytest

from tests.doctor.world import healthy
from tests.integration.incluster.doctored import OPERATOR_IMAGE
from tests.integration.incluster.scenes import eventually
from tests.kube.cluster import IMAGE, Cluster


@pytest.fixture(scope="module")
def platform(cluster: Cluster) -> Cluster:
    """The platform without any policy or guard."""
    cluster.kubelet.images["spark-operator"] = OPERATOR_IMAGE
    objects = [
        manifest
        for (kind, namespace, name), manifest in healthy().items()
        if "netpol-guard" not in (namespace, name) and kind not in {"NetworkPolicy", "ClusterRoleBinding"}
    ]
    cluster.apply(*(manifest for manifest in objects if manifest["kind"] == "Namespace"))
    cluster.apply(*objects)
    return cluster


def suggested(cluster: Cluster, check: str) -> list[str]:
    """Return the arguments of the netpol-guard command that doctor shows for a check."""
    shown = cluster.guard("doctor").stdout
    assert f"[{check}]" in shown, shown
    lines = shown[shown.index(f"[{check}]") :].splitlines()
    command = next(line.strip() for line in lines if line.strip().startswith("netpol-guard "))
    return command.replace("IMAGE", IMAGE).split()[1:]


def run(cluster: Cluster, *arguments: str) -> None:
    done = cluster.guard(*arguments, "--yes", "--pause", "0")
    assert done.returncode == 0, done.stdout + done.stderr


def is_healthy(cluster: Cluster) -> bool:
    return cluster.guard("doctor").returncode == 0


@pytest.fixture(scope="module")
def mended(platform: Cluster) -> Cluster:
    """The platform after the commands that doctor shows there."""
    run(platform, *suggested(platform, "guard-absent"))
    for neighbour in ("gateway-cut-off", "scraper-cut-off"):
        run(platform, *suggested(platform, neighbour))
    return platform


def test_a_cluster_without_anything_becomes_healthy_by_the_commands_that_doctor_shows(
    mended: Cluster,
) -> None:
    for _ in range(5):
        done = mended.guard("doctor")
        assert (done.returncode, done.stderr) == (0, ""), done.stdout
        assert done.stdout == "healthy: nothing is cut off\n"


@pytest.mark.parametrize(
    ("arguments", "check"),
    [
        (("delete", "validatingwebhookconfiguration", "netpol-guard"), "guard-not-registered"),
        (("delete", "service", "netpol-guard", "-n", "netpol-guard"), "webhook-service-missing"),
    ],
    ids=["registration", "service"],
)
def test_a_guard_that_lost_a_part_of_itself_is_mended_by_bootstrap(
    mended: Cluster, arguments: tuple[str, ...], check: str
) -> None:
    mended.kubectl(*arguments)
    run(mended, *suggested(mended, check))
    assert eventually(lambda: is_healthy(mended)), mended.guard("doctor").stdout
