"""Gatekeeper with one rule about NetworkPolicies, as a process beside the API server, for comparison.

``GATEKEEPER`` in the environment names its binary; the ``gatekeeper.yaml`` of its release lies beside it.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.integration.decisions.objects import POLICIES, deny
from tests.kube.control_plane import ControlPlane
from tests.kube.processes import free_ports
from tests.kube.webhook import MANAGED_LABEL, register_webhook

_READY_SECONDS = 120.0
_RULE = """
package networkpolicies

violation[{"msg": msg}] {
  input.review.object.spec.podSelector == {}
  not input.review.object.spec.ingress
  msg := "a policy for every pod must let somebody in"
}
"""
_TEMPLATE = {
    "apiVersion": "templates.gatekeeper.sh/v1",
    "kind": "ConstraintTemplate",
    "metadata": {"name": "openpolicies"},
    "spec": {
        "crd": {"spec": {"names": {"kind": "OpenPolicies"}}},
        "targets": [{"target": "admission.k8s.gatekeeper.sh", "rego": _RULE}],
    },
}
_CONSTRAINT = {
    "apiVersion": "constraints.gatekeeper.sh/v1beta1",
    "kind": "OpenPolicies",
    "metadata": {"name": "open"},
    "spec": {"match": {"kinds": [{"apiGroups": ["networking.k8s.io"], "kinds": ["NetworkPolicy"]}]}},
}
_CONFIGURATION: dict[str, Any] = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingWebhookConfiguration",
    "metadata": {"name": "gatekeeper"},
    "webhooks": [
        {
            "name": "validation.gatekeeper.sh",
            "admissionReviewVersions": ["v1"],
            "sideEffects": "None",
            "failurePolicy": "Fail",
            "namespaceSelector": {"matchLabels": {MANAGED_LABEL: "true"}},
            "clientConfig": {
                "service": {"name": "gatekeeper", "namespace": "gatekeeper", "path": "/v1/admit"}
            },
            "rules": [
                {
                    "apiGroups": ["networking.k8s.io"],
                    "apiVersions": ["v1"],
                    "operations": ["CREATE", "UPDATE", "DELETE"],
                    "resources": ["networkpolicies"],
                }
            ],
        }
    ],
}


def gatekeeper_binary() -> Path | None:
    """Return Gatekeeper's binary, None where the environment names none."""
    named = os.environ.get("GATEKEEPER")
    return None if named is None else Path(named)


def install_gatekeeper(control_plane: ControlPlane, binary: Path) -> None:
    """Create its CustomResourceDefinitions, its namespace and one rule."""
    release = list(yaml.safe_load_all((binary.parent / "gatekeeper.yaml").read_text()))
    kept = [each for each in release if each["kind"] in ("CustomResourceDefinition", "Namespace")]
    control_plane.kubectl("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump_all(kept))
    control_plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    control_plane.apply(json.dumps(_TEMPLATE))


@contextmanager
def gatekeeper(control_plane: ControlPlane, binary: Path, folder: Path, managed: str) -> Iterator[int]:
    """Have Gatekeeper judge policies; it is called once one in the namespace ``managed`` is refused."""
    certificates = folder / "gatekeeper"
    certificates.mkdir(exist_ok=True)
    served = control_plane.authority.issue(certificates, "gatekeeper", ("127.0.0.1", "localhost"))
    (certificates / "tls.crt").write_bytes(served.certificate.read_bytes())
    (certificates / "tls.key").write_bytes(served.key.read_bytes())
    port, health = free_ports(2, "127.0.0.1")
    flags = {
        "debug-use-fake-pod": "true",
        "disable-cert-rotation": "true",
        "log-level": "ERROR",
        "cert-dir": certificates,
        "host": "127.0.0.1",
        "port": port,
        "health-addr": f"127.0.0.1:{health}",
        "prometheus-port": 0,
        "shutdown-delay": 0,
    }
    command = [
        str(binary),
        "--operation=webhook",
        "--operation=generate",
        *(f"--{name}={value}" for name, value in flags.items()),
    ]
    environment = {
        **os.environ,
        "KUBECONFIG": str(control_plane.kubeconfig()),
        "POD_NAME": "gatekeeper",
        "POD_NAMESPACE": "gatekeeper-system",
    }
    with (folder / "gatekeeper.log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        _constrain(control_plane)
        url = f"https://127.0.0.1:{port}"
        with register_webhook(control_plane, url, control_plane.ca_pem, _CONFIGURATION):
            _wait_until(lambda: _is_refused(control_plane, managed), "Gatekeeper refuses nothing")
            yield process.pid
    finally:
        process.terminate()
        process.wait(20)


def _constrain(control_plane: ControlPlane) -> None:
    """Create the rule's constraint as soon as Gatekeeper has made its kind known."""

    def is_made() -> bool:
        manifest = json.dumps(_CONSTRAINT)
        return control_plane.kubectl("apply", "-f", "-", stdin=manifest, check=False).returncode == 0

    _wait_until(is_made, "Gatekeeper does not take its constraint")


def _is_refused(control_plane: ControlPlane, namespace: str) -> bool:
    path = f"{POLICIES.format(namespace)}?dryRun=All"
    return not control_plane.client().request("POST", path, deny(namespace)).ok


def _wait_until(is_so: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while not is_so():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{otherwise} after {_READY_SECONDS:.0f} s")
        time.sleep(0.5)
