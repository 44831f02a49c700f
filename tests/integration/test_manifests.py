from __future__ import annotations

import json

import yaml

from app.shipped import DEPLOY, guard_manifests
from app.wire.identity import NAME
from tests.cluster.control_plane import ControlPlane


def test_kustomize_prints_just_what_the_finder_finds(control_plane: ControlPlane) -> None:
    printed = yaml.safe_load_all(control_plane.kubectl("kustomize", str(DEPLOY)).stdout)

    def spelled(manifests: list[dict[str, object]]) -> list[str]:
        return sorted(json.dumps(one, sort_keys=True) for one in manifests)

    assert spelled(list(printed)) == spelled(guard_manifests())


def test_the_api_server_takes_every_manifest_strictly(control_plane: ControlPlane) -> None:
    # What lies in a namespace can only be tried where there is one; this one also warns of unsafe pods.
    control_plane.kubectl("apply", "-f", str(DEPLOY / "namespace.yaml"))
    try:
        shown = control_plane.kubectl("apply", "--dry-run=server", "--validate=strict", "-k", str(DEPLOY))
    finally:
        control_plane.kubectl("delete", "namespace", NAME)
    assert len(shown.stdout.splitlines()) == len(guard_manifests())
    assert all(line.endswith("(server dry run)") for line in shown.stdout.splitlines())
    assert shown.stderr == ""
