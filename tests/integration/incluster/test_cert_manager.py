"""With certificates from cert-manager, whose part the test plays: it writes the Secret and the bundle."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from app.certificates.configuration import CONFIGURATION
from app.certificates.pairs import fingerprints
from app.names import SERVICE_HOST, TLS_SECRET
from tests.integration.conftest import cannot_run
from tests.integration.incluster import deployed
from tests.integration.incluster.deployed import GUARD
from tests.integration.incluster.handshakes import bundle_of
from tests.integration.incluster.scenes import deny_all, make_managed
from tests.kube.authority import Authority
from tests.kube.building import BuildError
from tests.kube.cluster import Cluster
from tests.kube.container import CHECKOUT
from tests.kube.modules import CERT_MANAGER, module_folder


@pytest.fixture
def authority() -> Authority:
    return Authority("cert-manager")


def issue(cluster: Cluster, authority: Authority, folder: Path) -> None:
    """Do what cert-manager does: the Secret of the Certificate, and the bundle by its CA injector."""
    files = authority.issue(folder, "tls", [SERVICE_HOST])
    data = {"tls.crt": files.certificate.read_bytes(), "tls.key": files.key.read_bytes()}
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": TLS_SECRET, "namespace": GUARD},
        "type": "kubernetes.io/tls",
        "data": {name: base64.b64encode(value).decode() for name, value in data.items()},
    }
    cluster.apply(secret)
    encoded = base64.b64encode(authority.pem.encode()).decode()
    count = len(deployed.configuration(cluster)["webhooks"])
    patch = [
        {"op": "add", "path": f"/webhooks/{number}/clientConfig/caBundle", "value": encoded}
        for number in range(count)
    ]
    what = ("validatingwebhookconfiguration", GUARD, "--type=json", "-p", json.dumps(patch))
    cluster.kubectl("patch", *what, "--field-manager=cert-manager-cainjector")


def test_the_guard_serves_what_is_mounted_raises_the_policy_and_leaves_the_bundle(
    cluster: Cluster, authority: Authority, tmp_path: Path
) -> None:
    try:
        definitions = module_folder(CERT_MANAGER, "certmanager") / "deploy" / "crds"
    except BuildError as error:
        cannot_run(str(error))
    cluster.kubectl("apply", "--server-side", "-f", str(definitions))
    cluster.kubectl("wait", "--for=condition=Established", "-f", str(definitions), "--timeout=180s")
    make_managed(cluster, "managed")
    folder = tmp_path / "overlay"
    folder.mkdir()
    deployed.apply(cluster, deployed.overlay(folder, base=CHECKOUT / "certs" / "cert-manager"))
    issue(cluster, authority, tmp_path)
    deployed.wait_until_guarding(cluster)
    assert fingerprints(bundle_of(cluster).encode()) == fingerprints(authority.pem.encode())
    refused = cluster.kubectl("apply", "-f", "-", stdin=json.dumps(deny_all("managed")), check=False)
    assert "would cut managed namespaces" in refused.stderr
    owners = cluster.client().request("GET", CONFIGURATION.path).json()["metadata"]["managedFields"]
    (ours,) = (owner for owner in owners if owner["manager"] == GUARD)
    assert "caBundle" not in json.dumps(ours)
