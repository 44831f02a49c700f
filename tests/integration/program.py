"""Our own command line as a process, and what a cluster holds before and after."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.cli.site import MANAGER, LiveSite
from app.cluster.client.objects import Objects
from app.model.kinds import DryRun, Manifest, Reference, Written
from app.names import LEDGER_CONFIG_MAP, NAME, WEBHOOK_SERVICES_CONFIG_MAP
from tests.integration.guard import ROOT
from tests.kube import writer
from tests.kube.api import ApiClient
from tests.kube.control_plane import ControlPlane
from tests.kube.history import PolicyHistory

_SECONDS = 300.0
_NAMESPACES = "/api/v1/namespaces"
_ACCOUNTS = "/api/v1/serviceaccounts"
_MAPS = "/api/v1/configmaps"
_POLICIES = "/apis/networking.k8s.io/v1/networkpolicies"
_WATCHED = (
    _NAMESPACES,
    "/api/v1/secrets",
    _MAPS,
    "/api/v1/services",
    _ACCOUNTS,
    "/apis/apps/v1/deployments",
    _POLICIES,
    "/apis/policy/v1/poddisruptionbudgets",
    "/apis/rbac.authorization.k8s.io/v1/roles",
    "/apis/rbac.authorization.k8s.io/v1/rolebindings",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
)


def command(kubeconfig: Path, *args: str) -> list[str]:
    """Return the command line that runs us with ``args``."""
    return [sys.executable, "-m", "app", *args, "--kubeconfig", str(kubeconfig)]


def run(
    control_plane: ControlPlane, *args: str, user: str = "admin", kubeconfig: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run us as the user; standard input is empty, so nobody can be asked."""
    return subprocess.run(
        command(kubeconfig or control_plane.kubeconfig(user), *args),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
        env={**os.environ, "PYTHONFAULTHANDLER": "1"},
    )


@contextmanager
def started(control_plane: ControlPlane, *args: str) -> Iterator[subprocess.Popen[str]]:
    """Start us as the admin; killed at the end where it still runs."""
    # Tests that run in the background of a shell ignore SIGINT, and so would whatever they start.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen(
            command(control_plane.kubeconfig(), *args),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        try:
            yield process
        finally:
            process.kill()


def inventory(control_plane: ControlPlane) -> dict[str, str]:
    """Return the version of every object of the cluster that we could have touched, by its path."""
    return inventory_of(control_plane.client())


def _version_in(metadata: dict[str, Any]) -> str:
    """Return what moves when somebody changes the object, not its status, which controllers write."""
    if "generation" not in metadata:
        return str(metadata["resourceVersion"])
    annotations = metadata.get("annotations", {})
    mine = {key: value for key, value in annotations.items() if key != "deployment.kubernetes.io/revision"}
    return json.dumps([metadata["generation"], metadata.get("labels"), mine], sort_keys=True)


_OTHERS = (
    (_MAPS, "kube-root-ca.crt"),
    (_MAPS, writer.NAME),
    (_ACCOUNTS, "default"),
)
_TOUCHED = (
    (_MAPS, LEDGER_CONFIG_MAP),
    (_MAPS, WEBHOOK_SERVICES_CONFIG_MAP),
    (_POLICIES, NAME),
    (_NAMESPACES, NAME),
)
"""What a running guard writes while changes are under way: being there is all that tests ask of it."""


def inventory_of(client: ApiClient) -> dict[str, str]:
    """Return the version of every object of the cluster that we could have touched, by its path.

    Left out is what others do meanwhile: a namespace's first objects, the end of one that goes, a writer, and
    what the running guard writes for changes that are under way.
    """
    listed = {path: client.request("GET", path).json()["items"] for path in _WATCHED}
    going = {
        each["metadata"]["name"] for each in listed[_NAMESPACES] if "deletionTimestamp" in each["metadata"]
    }
    return {
        f"{path} {each.get('namespace', '')}/{each['name']}": ""
        if (path, each["name"]) in _TOUCHED
        else _version_in(each)
        for path, items in listed.items()
        for each in (item["metadata"] for item in items)
        if each.get("namespace", each["name"]) not in going and (path, each["name"]) not in _OTHERS
    }


@contextmanager
def unchanged(control_plane: ControlPlane) -> Iterator[None]:
    """Fail where the body leaves anything changed."""
    before = inventory(control_plane)
    yield
    assert inventory(control_plane) == before


@contextmanager
def watched(control_plane: ControlPlane, *sources: str) -> Iterator[PolicyHistory]:
    """Record every state of the policies meanwhile; ``sources`` are what webhooks must let in."""
    history = PolicyHistory(control_plane.client(), sources)
    yield history
    history.finish()


class Cut(Objects):
    """Objects whose connection breaks, or whose user loses patience, after some writes."""

    left = 0
    end: type[BaseException] = KeyboardInterrupt

    def apply(self, manifest: Manifest, dry_run: DryRun = DryRun.NONE, *, force: bool = False) -> Written:
        """Apply, as long as writes go through."""
        if dry_run is DryRun.NONE:
            self._count()
        return super().apply(manifest, dry_run, force=force)

    def delete(self, reference: Reference, dry_run: DryRun = DryRun.NONE, *, uid: str = "") -> Written | None:
        """Delete, as long as writes go through."""
        self._count()
        return super().delete(reference, dry_run, uid=uid)

    def _count(self) -> None:
        if self.left == 0:
            raise self.end("write", "the API server went away")
        self.left -= 1


def cut_site(kubeconfig: Path, writes: int, end: type[BaseException] = KeyboardInterrupt) -> LiveSite:
    """Return a site that ends with an exception after so many writes."""
    site = LiveSite.connect(kubeconfig, None)
    objects = Cut(site.connection, MANAGER)
    objects.left, objects.end = writes, end
    return replace(site, objects=objects)
