from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest

from app.cluster.state.folder import DirectoryState
from app.deadline import Deadline
from app.engine.cluster import MANAGED, Cluster, Provenance, TargetPort
from app.engine.ports import Protocol
from app.engine.selectors import Selector
from app.errors import StateUnreadable
from app.model.access import AccessQuestion, Scope
from app.model.declared_sources import declared_source
from app.model.measured_sources import Remembered
from app.model.measurement import CallerPlace
from app.model.sources_config_map import render_measured
from tests.cluster.running import running

MEASURED = datetime(2026, 11, 25, 12, tzinfo=UTC)
SAMPLE = Path(__file__).resolve().parents[3] / "deploy" / "sample"

NAMESPACE = """\
apiVersion: v1
kind: Namespace
metadata:
  name: {name}
  labels: {{iomete.com/managed: "true"}}
"""

POLICY = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {name}
  namespace: {namespace}
spec:
  podSelector: {{}}
  policyTypes: [Ingress]
"""

SERVICE = """\
apiVersion: v1
kind: Service
metadata: {name: hook, namespace: one}
spec:
  selector: {app: hook}
  ports: [{port: 443, targetPort: 9443}]
"""

CONFIGURATION = """\
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: hook}
webhooks: [{name: hook.example.test, clientConfig: {service: {name: hook, namespace: one}}}]
"""


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)


def read(state: DirectoryState) -> Cluster:
    return asyncio.run(state.read(Scope.managed(), Deadline.after(1)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a managed namespace and a policy in it."""
    write(tmp_path, namespace=NAMESPACE.format(name="one"), policy=POLICY.format(name="p", namespace="one"))
    return tmp_path


def test_the_sample_is_a_control_plane_two_protected_data_planes_and_an_unprotected_one() -> None:
    state = DirectoryState(SAMPLE)
    cluster = read(state)
    managed = {name for name, item in cluster.namespaces.items() if MANAGED.matches(item.labels)}
    baselines = ["iomete-ingress-egress", "iomete-spark-operator"]
    assert {name: [policy.name for policy in cluster.policies[name]] for name in managed} == {
        "iomete-system": baselines,
        "data-plane-analytics": baselines,
        "data-plane-science": baselines,
        "data-plane-sandbox": [],
    }
    assert cluster.namespaces.keys() - managed == {"default", "istio-system", "kube-system", "monitoring"}
    (webhook,) = cluster.webhooks
    assert (webhook.namespace, webhook.name) == ("iomete-system", "spark-operator-webhook")
    assert webhook.selector == Selector.labels({"service": "spark-operator"})
    assert webhook.ports == (TargetPort(Protocol.TCP, number=9443),)
    assert [source.addresses for source in cluster.sources] == [declared_source("10.20.0.10").addresses]
    assert [found.port for found in cluster.api_server] == [6443]
    assert state.notes == ()


def test_declared_sources_override_those_of_the_manifests() -> None:
    declared = (declared_source("10.99.0.1"),)
    assert read(DirectoryState(SAMPLE, declared=declared)).sources == declared


def test_it_is_not_ready_before_it_was_read_and_ready_afterwards(folder: Path) -> None:
    state = DirectoryState(folder)
    assert state.ready() == f"{folder} has not been read yet"
    state.refresh()
    assert state.ready() is None


def test_every_scope_gets_the_same_cluster(folder: Path) -> None:
    state = DirectoryState(folder)
    one = asyncio.run(state.read(Scope.namespace("one"), Deadline.after(1)))
    assert one is read(state)


def test_nothing_changes_identity_while_no_file_changes_its_meaning(folder: Path) -> None:
    state = DirectoryState(folder)
    before = read(state)
    write(folder, policy="# a comment\n" + POLICY.format(name="p", namespace="one"))
    state.refresh()
    assert read(state) is before


def test_a_changed_file_changes_what_it_says_and_leaves_everything_else_the_same_object(folder: Path) -> None:
    write(folder, two=NAMESPACE.format(name="two"), other=POLICY.format(name="q", namespace="two"))
    state = DirectoryState(folder)
    before = read(state)
    write(folder, policy=POLICY.format(name="renamed", namespace="one"))
    state.refresh()
    after = read(state)
    assert [policy.name for policy in after.policies["one"]] == ["renamed"]
    assert after.policies["two"] is before.policies["two"]
    assert after.namespaces is before.namespaces


def test_a_changed_policy_leaves_its_neighbours_the_same_objects(folder: Path) -> None:
    write(folder, other=POLICY.format(name="q", namespace="one"))
    state = DirectoryState(folder)
    before = read(state).policies["one"]
    write(folder, policy=POLICY.format(name="p", namespace="one").replace("Ingress", "Egress"))
    state.refresh()
    after = read(state).policies["one"]
    assert after[0] is not before[0]
    assert after[1] is before[1]


def test_files_may_be_added_and_removed(folder: Path) -> None:
    state = DirectoryState(folder)
    read(state)
    (folder / "below").mkdir()
    write(folder / "below", more=POLICY.format(name="q", namespace="one"))
    state.refresh()
    assert [policy.name for policy in read(state).policies["one"]] == ["p", "q"]
    (folder / "policy.yaml").unlink()
    state.refresh()
    assert [policy.name for policy in read(state).policies["one"]] == ["q"]


def test_changes_are_seen_while_it_runs(folder: Path) -> None:
    state = DirectoryState(folder)

    async def scenario() -> None:
        async with running(state, timeout=10):
            write(folder, other=POLICY.format(name="q", namespace="one"))
            async with asyncio.timeout(10):
                while len((await state.read(Scope.managed(), Deadline.after(1))).policies["one"]) < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)

    asyncio.run(scenario())


def test_an_unexpected_exception_is_logged_and_survived(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    state = DirectoryState(folder)
    refresh, failures = state.refresh, iter([ZeroDivisionError("unexpected")])

    def fail_once() -> None:
        for error in failures:
            raise error
        refresh()

    monkeypatch.setattr("app.cluster.state.folder.POLL_SECONDS", 0.01)
    monkeypatch.setattr(state, "refresh", fail_once)

    async def scenario() -> None:
        async with running(state, timeout=10):
            assert "unexpected" in caplog.text

    asyncio.run(scenario())


def test_a_broken_file_leaves_the_last_good_state_in_force_and_is_noted_until_mended(
    folder: Path,
) -> None:
    state = DirectoryState(folder)
    good = read(state)
    write(folder, policy="kind: [")
    state.refresh()
    assert read(state) is good
    assert state.ready() is None
    assert f"{folder / 'policy.yaml'}:2:" in state.notes[0]
    write(folder, policy=POLICY.format(name="p", namespace="one"))
    state.refresh()
    assert all(str(folder) not in note for note in state.notes)


def test_a_folder_that_never_was_good_makes_the_state_unreadable(folder: Path) -> None:
    write(folder, policy="kind: [")
    state = DirectoryState(folder)
    with pytest.raises(StateUnreadable, match=r"policy\.yaml:2:") as caught:
        read(state)
    assert state.ready() == str(caught.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            POLICY.format(name="p", namespace="elsewhere"),
            "policy.yaml:5:14: NetworkPolicy p is in namespace elsewhere, for which there is no Name",
        ),
        (POLICY.format(name="p", namespace=""), "policy.yaml:4:3: metadata.namespace: Required value"),
        (
            POLICY.format(name="p", namespace="one").replace(
                "{}", "{matchExpressions: [{key: a, operator: Like}]}"
            ),
            "policy.yaml:7:55: spec.podSelector.matchExpressions[0].operator",
        ),
        (NAMESPACE.format(name="one"), "Namespace one is there twice"),
        (
            "---\n".join([POLICY.format(name="p", namespace="one")] * 2),
            "is there twice, also at",
        ),
        (
            "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: 7}\n",
            "policy.yaml:4:15: Service: spec.ports",
        ),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_its_place(folder: Path, text: str, complaint: str) -> None:
    write(folder, policy=text)
    with pytest.raises(StateUnreadable) as caught:
        read(DirectoryState(folder))
    assert complaint in str(caught.value)


def test_a_folder_that_is_not_there_or_empty_says_so(tmp_path: Path) -> None:
    with pytest.raises(StateUnreadable, match="no such folder"):
        read(DirectoryState(tmp_path / "missing"))
    with pytest.raises(StateUnreadable, match=r"no \.yaml, \.yml or \.json file"):
        read(DirectoryState(tmp_path))


def test_many_problems_are_cut_short(folder: Path) -> None:
    broken = "---\n".join(POLICY.format(name=f"p{index}", namespace="elsewhere") for index in range(9))
    write(folder, policy=broken)
    with pytest.raises(StateUnreadable, match="and 4 more"):
        read(DirectoryState(folder))


def test_kinds_that_decide_nothing_and_kinds_of_other_groups_are_skipped(folder: Path) -> None:
    write(
        folder,
        other="apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: 7\n",
        secret="apiVersion: v1\nkind: Secret\n",
    )
    assert set(read(DirectoryState(folder)).policies) == {"one"}


def test_hidden_folders_are_left_out_as_a_mounted_configmap_has_its_files_twice(folder: Path) -> None:
    (folder / "..2026").mkdir()
    (folder / "namespace.yaml").rename(folder / "..2026" / "namespace.yaml")
    Path(folder / "..data").symlink_to("..2026")
    Path(folder / "namespace.yaml").symlink_to("..data/namespace.yaml")
    assert set(read(DirectoryState(folder)).namespaces) == {"one"}


def test_without_webhook_configurations_the_documented_default_is_assumed(folder: Path) -> None:
    state = DirectoryState(folder)
    assert [(webhook.namespace, webhook.assumed) for webhook in read(state).webhooks] == [("one", True)]
    assert any("documented default" in note for note in state.notes)


def test_a_deleted_webhook_configuration_is_remembered_while_its_service_exists(folder: Path) -> None:
    write(folder, service=SERVICE, configuration=CONFIGURATION)
    state = DirectoryState(folder)
    assert [webhook.configurations for webhook in read(state).webhooks] == [
        ("ValidatingWebhookConfiguration/hook",)
    ]
    write(folder, configuration=CONFIGURATION.replace("service: {name: hook", "service: {name: other"))
    state.refresh()
    assert [webhook.configurations for webhook in read(state).webhooks] == [
        ("ValidatingWebhookConfiguration/hook (deleted)",)
    ]
    (folder / "service.yaml").unlink()
    state.refresh()
    assert read(state).webhooks == ()


def test_a_terminating_namespace_and_policy_are_known_as_such(folder: Path) -> None:
    stamp = "metadata:\n  deletionTimestamp: 2026-03-03T08:22:14Z\n"
    write(
        folder,
        namespace=NAMESPACE.format(name="one").replace("metadata:\n", stamp),
        policy=POLICY.format(name="p", namespace="one").replace("metadata:\n", stamp),
    )
    cluster = read(DirectoryState(folder))
    assert cluster.namespaces["one"].terminating
    assert cluster.policies["one"][0].terminating


def test_a_konnectivity_agent_among_the_manifests_is_a_source(folder: Path) -> None:
    labels = "labels: {{app: konnectivity-agent}}"
    pod = f"apiVersion: v1\nkind: Pod\nmetadata: {{{{name: a, namespace: {{}}, {labels}}}}}\n"
    write(folder, pod=pod.format("kube-system"), other=pod.format("one"))
    assert [source.origin for source in read(DirectoryState(folder)).sources] == [
        "pods app=konnectivity-agent in kube-system"
    ]


def test_measured_sources_among_the_manifests_count_as_measured(folder: Path) -> None:
    remembered = Remembered(CallerPlace(ip_address("10.98.0.13")), MEASURED, MEASURED, "admin")
    data = json.dumps(render_measured([remembered]))
    name = "metadata: {name: netpol-guard-sources, namespace: netpol-guard}"
    write(folder, sources=f"apiVersion: v1\nkind: ConfigMap\n{name}\ndata: {data}\n")
    assert [(source.provenance, source.origin) for source in read(DirectoryState(folder)).sources] == [
        (Provenance.MEASURED, "a probe by admin on 2026-11-25")
    ]


def test_a_folder_cannot_tell_what_users_may_do(folder: Path) -> None:
    question = AccessQuestion("somebody", "override", "networking.k8s.io", "networkpolicies")
    answer = asyncio.run(DirectoryState(folder).access(question, Deadline.after(1)))
    assert answer.allowed is None
    assert "cannot tell" in answer.reason


def test_what_is_null_is_absent_in_objects_of_every_kind(folder: Path) -> None:
    objects = """
metadata: {name: a, labels: null, annotations: null}
apiVersion: v1
kind: Namespace
---
apiVersion: v1
kind: Service
metadata: {name: a, namespace: a, labels: null}
spec: {selector: null, ports: null}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: a, namespace: a, labels: null}
addressType: IPv4
endpoints: null
---
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: a, labels: null}
spec: {containers: [{name: a, ports: null}]}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: a, labels: null}
webhooks: null
"""
    write(folder, nulls=objects)
    assert "a" in read(DirectoryState(folder)).namespaces


def test_cilium_is_known_by_its_configuration(folder: Path) -> None:
    write(folder, namespace=NAMESPACE.format(name="one"))
    assert read(DirectoryState(folder)).blocks_match_pods is None
    write(
        folder,
        cilium="apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cilium-config, namespace: kube-system}\n",
    )
    state = DirectoryState(folder)
    assert read(state).blocks_match_pods is False
    assert any("the network plugin is Cilium" in note for note in state.notes)
