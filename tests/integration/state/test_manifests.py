from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from app.names import NAME
from app.shipped import DEPLOY, guard_manifests
from tests.integration.conftest import cannot_run
from tests.kube.building import BuildError
from tests.kube.control_plane import ControlPlane
from tests.kube.modules import CERT_MANAGER, module_folder

ROOT = Path(__file__).resolve().parents[3]
ALL = [DEPLOY, ROOT / "certs" / "cert-manager"]


def test_kustomize_prints_just_what_the_finder_finds(control_plane: ControlPlane) -> None:
    printed = yaml.safe_load_all(control_plane.kubectl("kustomize", str(DEPLOY)).stdout)

    def spelled(manifests: list[dict[str, object]]) -> list[str]:
        return sorted(json.dumps(manifest, sort_keys=True) for manifest in manifests)

    assert spelled(list(printed)) == spelled(guard_manifests())


@pytest.fixture(scope="module")
def cert_manager_kinds(control_plane: ControlPlane) -> Iterator[None]:
    """Have the API server know cert-manager's kinds, by the definitions that cert-manager ships."""
    try:
        definitions = module_folder(CERT_MANAGER, "certmanager") / "deploy" / "crds"
    except BuildError as error:
        cannot_run(str(error))
    control_plane.kubectl("apply", "--server-side", "-f", str(definitions))
    control_plane.kubectl("wait", "--for=condition=Established", "-f", str(definitions), "--timeout=180s")
    yield
    control_plane.kubectl("delete", "-f", str(definitions))


@pytest.mark.usefixtures("cert_manager_kinds")
@pytest.mark.parametrize("folder", ALL, ids=lambda namespace: str(namespace.name))
def test_the_api_server_takes_every_manifest_strictly(control_plane: ControlPlane, folder: Path) -> None:
    # What lies in a namespace can only be tried where there is one; this one also warns of unsafe pods.
    control_plane.kubectl("apply", "-f", str(DEPLOY / "namespace.yaml"))
    try:
        shown = control_plane.kubectl("apply", "--dry-run=server", "--validate=strict", "-k", str(folder))
    finally:
        control_plane.kubectl("delete", "namespace", NAME)
    expected = control_plane.kubectl("kustomize", str(folder)).stdout
    assert len(shown.stdout.splitlines()) == len(list(yaml.safe_load_all(expected)))
    assert all(line.endswith("(server dry run)") for line in shown.stdout.splitlines())
    assert shown.stderr == ""


def test_with_cert_manager_the_guard_may_neither_read_nor_write_secrets(control_plane: ControlPlane) -> None:
    shown = yaml.safe_load_all(control_plane.kubectl("kustomize", str(ALL[1])).stdout)
    rules = [
        rule
        for manifest in shown
        if manifest["kind"] in ("Role", "ClusterRole")
        for rule in manifest["rules"]
    ]
    assert not [rule for rule in rules if "secrets" in rule["resources"]]
    shipped = [
        rule
        for manifest in guard_manifests()
        if manifest["kind"] in ("Role", "ClusterRole")
        for rule in manifest["rules"]
    ]
    of_maps = [[rule for rule in each if "configmaps" in rule["resources"]] for each in (rules, shipped)]
    assert sorted(of_maps[0], key=str) == sorted(of_maps[1], key=str)
