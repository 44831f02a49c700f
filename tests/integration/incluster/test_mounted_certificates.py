"""Certificates that somebody else renews: `certs/cert-manager`, with the tests in cert-manager's part."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.incluster import deployed
from tests.integration.incluster.deployed import GUARD, replicas
from tests.integration.incluster.handshakes import Handshakes
from tests.integration.incluster.load import Load, Outcome, questions
from tests.integration.incluster.scenes import baselined_namespace, eventually, make_managed
from tests.kube.authority import Authority
from tests.kube.cluster import IMAGE, Cluster
from tests.kube.container import CHECKOUT


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def mounted(cluster: Cluster, authority: Authority, tmp_path: Path) -> Cluster:
    """A cluster with the guard as `certs/cert-manager` has it."""
    make_managed(cluster, "bare")
    baselined_namespace(cluster, "baselined")
    shown = cluster.kubectl("kustomize", str(CHECKOUT / "certs" / "cert-manager")).stdout
    known = [each for each in yaml.safe_load_all(shown) if "cert-manager.io" not in each["apiVersion"]]
    for each in known:
        if each["kind"] == "Deployment":
            each["spec"]["template"]["spec"]["containers"][0]["image"] = IMAGE
        if each["kind"] == "ValidatingWebhookConfiguration":
            inject(each, authority)
    namespace = next(each for each in known if each["kind"] == "Namespace")
    cluster.apply(namespace)
    renew(cluster, authority, tmp_path)
    cluster.apply(*known)
    deployed.wait_until_guarding(cluster)
    return cluster


def inject(configuration: dict[str, Any], authority: Authority) -> None:
    """Do what cert-manager's CA injector does."""
    for webhook in configuration["webhooks"]:
        webhook["clientConfig"]["caBundle"] = base64.b64encode(authority.pem.encode()).decode()


def renew(cluster: Cluster, authority: Authority, folder: Path) -> None:
    """Do what cert-manager does for a Certificate: another one in the same Secret."""
    files = authority.issue(folder, "serving", [f"{GUARD}.{GUARD}.svc"])
    pair = {"tls.crt": files.certificate, "tls.key": files.key}
    data = {name: base64.b64encode(path.read_bytes()).decode() for name, path in pair.items()}
    metadata = {"name": f"{GUARD}-tls", "namespace": GUARD}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/tls"}
    cluster.control_plane.apply(json.dumps({**secret, "data": data}))


def test_a_renewed_certificate_is_served_without_a_failure_by_each_replica_when_its_kubelet_brings_it(
    mounted: Cluster, authority: Authority, tmp_path: Path
) -> None:
    early, late = replicas(mounted)
    late.habits.volume_seconds = 3600.0
    late.refresh_volumes()  # so that none is under way that could bring the new one
    restarts = [each.restarts for each in replicas(mounted)]
    with Load(mounted, questions("bare", "baselined")) as load, Handshakes(mounted) as handshakes:
        assert eventually(lambda: len(handshakes.serials) == 2)
        before = dict(handshakes.serials)
        renew(mounted, authority, tmp_path)
        assert eventually(lambda: handshakes.serials[early.address] != before[early.address])
        load.wait_for(more=50)
        assert handshakes.serials[late.address] == before[late.address]
        late.refresh_volumes()
        assert eventually(lambda: handshakes.serials[late.address] != before[late.address])
        load.wait_for(more=20)
    assert len(set(handshakes.serials.values())) == 1
    assert handshakes.failures == []
    assert {each.outcome for each in load.answered} == {Outcome.RIGHT}, load.of(Outcome.FAILED)
    assert all(each.is_ready for each in replicas(mounted))
    assert [each.restarts for each in replicas(mounted)] == restarts
