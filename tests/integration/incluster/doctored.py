"""The healthy cluster of ``tests/doctor`` for real, with ways to break it and to make it healthy again."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from app.cli.examination import ExaminationOptions, examination
from app.doctor.findings import Report
from app.model.kinds import Reference, kind_of
from tests.doctor.world import Key, Manifest, changed, healthy, key_of, parse_key
from tests.integration.incluster.scenes import eventually
from tests.kube.api import ApiClient, ApiResponse
from tests.kube.binaries import Program, ensure
from tests.kube.cluster import Cluster
from tests.kube.container import CHECKOUT
from tests.kube.container_specs import Image
from tests.kube.webhook import calls

OPERATOR_IMAGE = Image(
    (sys.executable, "-m", "tests.doctor.operator"), ("9443", "/etc/certs/tls.crt", "/etc/certs/tls.key")
)
REGISTRATION: Key = ("ValidatingWebhookConfiguration", "", "netpol-guard")
_SECONDS = 30.0
_MERGE = "application/merge-patch+json"
_KEPT = {"Service": ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy")}


class Doctored:
    """A healthy cluster that tests break, and that is made healthy again."""

    def __init__(self, cluster: Cluster) -> None:
        """Apply everything and wait until it answers."""
        cluster.kubelet.images["spark-operator"] = OPERATOR_IMAGE
        self.cluster = cluster
        self.client: ApiClient = cluster.client()
        self.objects = healthy()
        known = {key: manifest for key, manifest in self.objects.items() if key != REGISTRATION}
        cluster.apply(*(manifest for manifest in known.values() if manifest["kind"] == "Namespace"))
        cluster.apply(*known.values())
        self.wait()
        self.register()

    def wait(self) -> None:
        """Wait until the Deployments are as they should be."""
        for place in ("iomete-system deployment/spark-operator", "netpol-guard deployment/netpol-guard"):
            namespace, name = place.split()
            self.cluster.kubectl("rollout", "status", name, "-n", namespace, "--timeout=180s")

    def register(self) -> None:
        """Register the guard as it is when healthy, and wait until it is asked."""
        self.put(self.objects[REGISTRATION])
        assert eventually(self.is_asked)

    def is_asked(self) -> bool:
        """Tell whether the API server asks the guard, by its own count of calls."""
        webhooks = {webhook["name"] for webhook in self.objects[REGISTRATION]["webhooks"]}
        before = calls(self.cluster.control_plane, webhooks)
        path = "/apis/networking.k8s.io/v1/namespaces/iomete-system/networkpolicies?dryRun=All"
        self.client.request("POST", path, {"metadata": {"name": "probe"}, "spec": {"podSelector": {}}})
        return calls(self.cluster.control_plane, webhooks) > before

    @contextmanager
    def unguarded(self) -> Iterator[None]:
        """Let changes pass that the guard would reject, as if somebody had made them before it came."""
        self.delete(REGISTRATION)
        assert eventually(lambda: not self.is_asked())
        yield

    def look(self, user: str = "admin", *, only: Iterable[str] = ()) -> Report:
        """Return doctor's report, as the user sees the cluster."""
        with self.cluster.entered():
            given = ExaminationOptions(only=frozenset(only), kubeconfig=self.cluster.kubeconfig(user))
            return examination(given, lambda _: None).report

    def run(self, *arguments: str, user: str = "admin") -> subprocess.CompletedProcess[str]:
        """Run ``netpol-guard doctor`` as a program."""
        return self.cluster.guard("doctor", *arguments, kubeconfig=self.cluster.kubeconfig(user))

    def shell(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run what doctor suggests in a shell, with kubectl and netpol-guard at hand."""
        tools = self.cluster.control_plane.folder / "tools"
        tools.mkdir(exist_ok=True)
        for name, program in (
            ("kubectl", ensure(Program.KUBECTL)),
            ("netpol-guard", Path(sys.executable).with_name("netpol-guard")),
            ("kubectl-netpol_guard", Path(sys.executable).with_name("kubectl-netpol_guard")),
        ):
            with suppress(FileExistsError):
                (tools / name).symlink_to(program)
        environment = self.cluster.guard_environment()
        with self.cluster.entered():
            return subprocess.run(
                ["/bin/bash", "-c", command],
                cwd=CHECKOUT,
                env={**environment, "PATH": f"{tools}:{os.environ['PATH']}"},
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )

    # -- breaking and mending ------------------------------------------------------------------------------

    def break_by(self, change: Iterable[Manifest]) -> None:
        """Make the changes, past the guard."""
        known = tuple(change)
        with self.unguarded():
            for each in known:
                self._change(each)
        named = (each.get("delete") or each.get("edit") for each in known)
        if all(name is None or parse_key(name) != REGISTRATION for name in named):
            self.register()
        elif any("edit" in each for each in known):
            self.put(changed(self.objects, known)[REGISTRATION])

    def mend(self, change: Iterable[Manifest]) -> None:
        """Bring everything that the changes touched, and whatever a repair added, back."""
        with self.unguarded():
            for each in change:
                if "create" in each:
                    self.delete(key_of(each["create"]))
                else:
                    key = parse_key(each.get("delete") or each.get("patch") or each["edit"])
                    self.put(self.objects[key])
            self._remove_strangers()
            for key, manifest in self.objects.items():
                is_missing = self.client.request("GET", self.path(key)).status == 404
                if key != REGISTRATION and (is_missing or key[0] in _REPAIRED):
                    self.put(manifest)
        self.wait()
        self.register()

    def _remove_strangers(self) -> None:
        answer = self.client.request("GET", "/apis/networking.k8s.io/v1/networkpolicies").json()
        for policy in answer["items"]:
            key = ("NetworkPolicy", policy["metadata"]["namespace"], policy["metadata"]["name"])
            if key not in self.objects:
                self.delete(key)
            elif policy["spec"] != self.objects[key]["spec"]:
                self.put(self.objects[key])

    def _change(self, change: Manifest) -> None:
        if "delete" in change:
            self.delete(parse_key(change["delete"]))
        elif "create" in change:
            self.put(change["create"])
        elif "edit" in change:
            return  # of the registration, which is made anew with the change
        else:
            self._patch(parse_key(change["patch"]), change["with"])

    def _patch(self, key: Key, patch: Mapping[str, Any]) -> None:
        if key[0] == "Deployment" and "selector" in patch.get("spec", {}):
            made = changed({key: self.objects[key]}, [{"patch": _words(key), "with": patch}])
            self.delete(key)  # a selector cannot be changed
            self.put(made[key])
            self.wait()
            return
        answer = self.client.request("PATCH", self.path(key), dict(patch), content_type=_MERGE)
        assert answer.ok, answer.text

    def put(self, manifest: Manifest) -> None:
        """Create the object, or make it what the manifest says."""
        reference = Reference.of(manifest)
        found = self.client.request("GET", reference.path)
        if not found.ok:
            _demand(self.client.request("POST", reference.kind.path(reference.namespace), manifest))
            return
        stored = found.json()
        kept = {
            name: stored["spec"][name] for name in _KEPT.get(manifest["kind"], ()) if name in stored["spec"]
        }
        made = {**manifest, "metadata": {**manifest["metadata"], **_version(stored)}}
        if kept:
            made["spec"] = {**manifest["spec"], **kept}
        answer = self.client.request("PUT", reference.path, made)
        if answer.status == 422:  # what cannot be changed is made anew
            self.delete(key_of(manifest))
            _demand(self.client.request("POST", reference.kind.path(reference.namespace), manifest))
            return
        _demand(answer)

    def delete(self, key: Key) -> None:
        """Delete the object, and wait until it is gone."""
        path = self.path(key)
        self.client.request("DELETE", path)
        assert eventually(lambda: self.client.request("GET", path).status == 404)

    def path(self, key: Key) -> str:
        """Return the path of an object."""
        kind, namespace, name = key
        version = _VERSIONS.get(kind) or self.objects[key]["apiVersion"]
        return Reference(kind_of({"apiVersion": version, "kind": kind}), name, namespace).path


_REPAIRED = ("MutatingWebhookConfiguration",)
"""What repairs change although the breakage did not."""
_VERSIONS = {
    "ConfigMap": "v1",
    "NetworkPolicy": "networking.k8s.io/v1",
    "ValidatingWebhookConfiguration": "admissionregistration.k8s.io/v1",
}


def _words(key: Key) -> str:
    kind, namespace, name = key
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"


def _version(stored: Mapping[str, Any]) -> dict[str, Any]:
    return {"resourceVersion": stored["metadata"]["resourceVersion"]}


def _demand(answer: ApiResponse) -> None:
    assert answer.ok, answer.text
