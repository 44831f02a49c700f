"""The control plane of the tests is a real one: if these fail, no other integration test means anything."""

from __future__ import annotations

import copy
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import MakeNamespace
from tests.kube.control_plane import ControlPlane, KubectlError
from tests.kube.load import empty_go_webhook
from tests.kube.processes import Process, ProcessError
from tests.kube.webhook import WebhookNotEffectiveError, register_webhook, with_url

ROOT = Path(__file__).resolve().parent.parent.parent
GONE_SECONDS = 120.0
PROGRAMS = ["etcd", "kube-apiserver", "kube-controller-manager"]

POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: example, namespace: {namespace}}}
spec:
  podSelector: {{}}
  ingress: [{{ports: [{{port: 80}}]}}]
  egress: [{{}}]
"""

CONFIGURATION: dict[str, Any] = {
    "apiVersion": "admissionregistration.k8s.io/v1",
    "kind": "ValidatingWebhookConfiguration",
    "metadata": {"name": "example"},
    "webhooks": [
        {
            "name": "networkpolicies.example.test",
            "clientConfig": {"service": {"name": "example", "namespace": "example", "path": "/validate"}},
            "rules": [
                {
                    "apiGroups": ["networking.k8s.io"],
                    "apiVersions": ["v1"],
                    "operations": ["CREATE"],
                    "resources": ["networkpolicies"],
                }
            ],
            "failurePolicy": "Fail",
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "timeoutSeconds": 5,
        }
    ],
}


def wait_until(is_so: Callable[[], bool]) -> None:
    """Fail the test if it is not so within a time that is long for everything waited for here."""
    deadline = time.monotonic() + GONE_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def is_alive(pid: int) -> bool:
    """Whether there is such a process; one that has ended and only waits to be collected does not count."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False


def test_a_stored_policy_has_its_policy_types_and_protocols_filled_in(
    control_plane: ControlPlane, make_namespace: MakeNamespace
) -> None:
    namespace = make_namespace()
    control_plane.apply(POLICY.format(namespace=namespace))
    stored = json.loads(
        control_plane.kubectl("get", "netpol", "example", "-n", namespace, "-o", "json").stdout
    )
    assert stored["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert stored["spec"]["ingress"] == [{"ports": [{"port": 80, "protocol": "TCP"}]}]


def test_a_developer_creates_policies_and_a_read_only_user_is_told_that_it_is_forbidden(
    control_plane: ControlPlane, make_namespace: MakeNamespace
) -> None:
    policy = POLICY.format(namespace=make_namespace())
    with pytest.raises(KubectlError, match=r'User "readonly" cannot create resource "networkpolicies"'):
        control_plane.apply(policy, user="readonly")
    assert "created" in control_plane.apply(policy, user="developer").stdout


def test_a_developer_relabels_namespaces_but_cannot_delete_them(
    control_plane: ControlPlane, make_namespace: MakeNamespace
) -> None:
    namespace = make_namespace()
    control_plane.kubectl("label", "namespace", namespace, "team=a", user="developer")
    with pytest.raises(KubectlError, match="cannot delete resource"):
        control_plane.kubectl("delete", "namespace", namespace, user="developer")


def test_a_namespace_has_the_managed_label_unless_asked_otherwise(
    control_plane: ControlPlane, make_namespace: MakeNamespace
) -> None:
    names = [make_namespace(labels={"team": "a"}), make_namespace(managed=False)]
    found = [control_plane.client().request("GET", f"/api/v1/namespaces/{name}").json() for name in names]
    labels = [
        {k: v for k, v in each["metadata"]["labels"].items() if "kubernetes.io" not in k} for each in found
    ]
    assert labels == [{"iomete.com/managed": "true", "team": "a"}, {}]


def test_deleting_a_namespace_removes_its_policies_and_then_the_namespace(
    control_plane: ControlPlane, make_namespace: MakeNamespace
) -> None:
    namespace = make_namespace()
    control_plane.apply(POLICY.format(namespace=namespace))
    control_plane.kubectl("delete", "namespace", namespace, "--wait=false")
    client = control_plane.client()
    wait_until(lambda: client.request("GET", f"/api/v1/namespaces/{namespace}").status == 404)
    deleters = {
        event["user"]["username"]
        for event in control_plane.audit_events()
        if event["verb"] == "deletecollection" and event["objectRef"]["namespace"] == namespace
    }
    assert deleters == {"system:serviceaccount:kube-system:namespace-controller"}


def test_the_api_server_lists_its_own_address_in_the_endpoints_of_default_kubernetes(
    control_plane: ControlPlane,
) -> None:
    selector = "kubernetes.io/service-name=kubernetes"
    path = f"/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector={selector}"
    slices = control_plane.client("readonly").request("GET", path).json()["items"]
    addresses = [
        address for each in slices for endpoint in each["endpoints"] for address in endpoint["addresses"]
    ]
    assert addresses == [control_plane.network.members[0].advertise]


def test_a_registered_webhook_is_called_for_the_first_request_and_for_none_after_it_is_gone(
    control_plane: ControlPlane, make_namespace: MakeNamespace, tmp_path: Path
) -> None:
    policy = POLICY.format(namespace=make_namespace())
    files = control_plane.authority.issue(tmp_path, "webhook", ["127.0.0.1"])
    with empty_go_webhook(files) as webhook:
        base = webhook.url.removesuffix("/validate")
        with register_webhook(control_plane, base, control_plane.ca_pem, CONFIGURATION):
            assert "created" in control_plane.apply(policy).stdout
    # Nobody listens at that address any more, and the configuration says Fail.
    assert control_plane.kubectl("replace", "--force", "-f", "-", stdin=policy).returncode == 0


def test_a_webhook_that_must_answer_and_does_not_stops_the_request(
    control_plane: ControlPlane, make_namespace: MakeNamespace
) -> None:
    policy = POLICY.format(namespace=make_namespace())
    nobody = "https://127.0.0.1:9"
    with (
        register_webhook(control_plane, nobody, control_plane.ca_pem, CONFIGURATION),
        pytest.raises(KubectlError, match="failed calling webhook"),
    ):
        control_plane.apply(policy)


def test_registering_fails_if_the_probe_never_sees_a_call(
    control_plane: ControlPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.kube.webhook.EFFECTIVE_SECONDS", 0.5)
    harmless = copy.deepcopy(CONFIGURATION)  # this probe cannot tell when it is no longer called
    harmless["webhooks"][0]["failurePolicy"] = "Ignore"
    nobody = "https://127.0.0.1:9"
    with (
        pytest.raises(WebhookNotEffectiveError, match="does not call example"),
        register_webhook(control_plane, nobody, control_plane.ca_pem, harmless, probe=lambda: False),
    ):
        pytest.fail("the body must not run")
    assert not control_plane.kubectl("get", "validatingwebhookconfigurations").stdout


def test_only_services_are_replaced_by_the_url_and_the_configuration_given_stays_as_it_is() -> None:
    given = copy.deepcopy(CONFIGURATION)
    changed = with_url(given, "https://127.0.0.1:8443/", "PEM")
    assert given == CONFIGURATION
    assert changed["webhooks"][0]["clientConfig"] == {
        "url": "https://127.0.0.1:8443/validate",
        "caBundle": "UEVN",
    }
    assert with_url(changed, "https://127.0.0.1:1", "OTHER") == changed


def test_stopping_leaves_no_process_and_no_file_behind(kubernetes_programs: None) -> None:  # noqa: ARG001
    with ControlPlane() as short_lived:
        running = short_lived.processes
        assert [process.name for process in running] == PROGRAMS
        assert all(is_alive(process.pid) for process in running)
    assert not any(is_alive(process.pid) for process in running)
    assert not short_lived.folder.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent is gone")
def test_no_process_survives_a_test_run_that_is_killed(kubernetes_programs: None) -> None:  # noqa: ARG001
    code = (
        "import sys, time\n"
        "from tests.kube.control_plane import ControlPlane\n"
        "with ControlPlane() as cluster:\n"
        "    print(cluster.folder, *(process.pid for process in cluster.processes), flush=True)\n"
        "    time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        folder, *pids = run.stdout.readline().split()
        assert len(pids) == len(PROGRAMS)
        os.kill(run.pid, signal.SIGKILL)
    wait_until(lambda: not any(is_alive(int(pid)) for pid in pids))
    shutil.rmtree(folder)


def test_a_program_that_ends_at_once_is_reported_with_its_last_lines(tmp_path: Path) -> None:
    process = Process(["sh", "-c", "echo no such flag; exit 3"], tmp_path / "log")
    with pytest.raises(ProcessError, match=r"sh ended with exit code 3. Its last lines:\nno such flag"):
        process.wait_until(lambda: False, seconds=30)
