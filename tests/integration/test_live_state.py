"""What `LiveState` promises, kept by a real API server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from app.cluster.connection import Connection, Request, Stream, configuration
from app.cluster.deadline import Deadline
from app.cluster.directory import DirectoryState
from app.cluster.errors import Wanted
from app.cluster.live import LiveState
from app.cluster.running import running
from app.engine.addresses import place_of
from app.engine.cluster import MANAGED, Cluster, Provenance, TargetPort, WebhookService
from app.engine.intervals import IntervalSet
from app.engine.ports import Protocol
from app.engine.selectors import Selector
from app.errors import SettingsError, StateUnreadable
from app.wire.manifests import read_documents
from app.wire.state import AccessQuestion, Scope
from tests.cluster.control_plane import ControlPlane
from tests.integration.conftest import MakeNamespace

T = TypeVar("T")
READ_SECONDS = 10.0
SYNC_SECONDS = 60.0

POLICY = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{podSelector: {{}}, ingress: [{{}}]}}
"""

WEBHOOK = """
apiVersion: v1
kind: Service
metadata: {{name: hook, namespace: {namespace}}}
spec:
  selector: {{app: hook}}
  ports: [{{name: https, port: 443, targetPort: {target}}}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {{name: hook-{namespace}}}
webhooks:
  - name: hook.example.test
    clientConfig: {{service: {{name: hook, namespace: {namespace}}}}}
    rules: [{{apiGroups: [example.test], apiVersions: [v1], operations: [CREATE], resources: [nothings]}}]
    failurePolicy: Ignore
    sideEffects: None
    admissionReviewVersions: [v1]
"""

SLICE = """
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: hook-by-hand, namespace: {namespace}, labels: {{kubernetes.io/service-name: hook}}}}
addressType: IPv4
endpoints: [{{addresses: [10.1.2.3]}}]
ports: [{{name: https, port: 9443, protocol: TCP}}]
"""

POLICIES_READER = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: reader-{namespace}}}
rules:
  - {{apiGroups: [""], resources: [namespaces], verbs: [get, list, watch]}}
  - {{apiGroups: [networking.k8s.io], resources: [networkpolicies], verbs: [list]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: reader-{namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: reader-{namespace}}}
subjects: [{{kind: ServiceAccount, name: reader, namespace: {namespace}}}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {{name: reader, namespace: {namespace}}}
"""


class CountingApi:
    """A connection that counts the lists of policies it was asked for."""

    def __init__(self, connection: Connection) -> None:
        self.pages = 0
        self._connection = connection

    def fetch(self, request: Request, deadline: Deadline) -> bytes:
        self.pages += request.path.endswith("/networkpolicies")
        return self._connection.fetch(request, deadline)

    def watch(self, request: Request, seconds: float) -> Stream:
        return self._connection.watch(request, seconds)


def with_state(state: LiveState, scenario: Callable[[LiveState], Awaitable[T]]) -> T:
    """Run the scenario with the state in sync."""

    async def run() -> T:
        async with running(state, timeout=SYNC_SECONDS):
            return await scenario(state)

    return asyncio.run(run())


def live(control_plane: ControlPlane, user: str = "admin") -> LiveState:
    return LiveState.connect(kubeconfig=control_plane.kubeconfig(user))


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what watches bring, a moment after the API server knows it."""
    async with asyncio.timeout(READ_SECONDS):
        while not await is_so():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.02)


def names(cluster: Cluster, namespace: str) -> list[str]:
    return [policy.name for policy in cluster.policies[namespace]]


def read(state: LiveState, namespace: str) -> Awaitable[Cluster]:
    return state.read(Scope.namespace(namespace), timeout=READ_SECONDS)


def test_a_policy_is_seen_the_moment_kubectl_returned_and_gone_the_moment_it_is_deleted(
    control_plane: ControlPlane, make_namespace: MakeNamespace
) -> None:
    namespace = make_namespace()

    async def scenario(state: LiveState) -> None:
        for _ in range(3):
            control_plane.apply(POLICY.format(name="one", namespace=namespace))
            assert names(await read(state, namespace), namespace) == ["one"]
            control_plane.kubectl("delete", "netpol", "one", "-n", namespace)
            assert names(await read(state, namespace), namespace) == []

    with_state(live(control_plane), scenario)


def test_the_judged_namespace_is_read_fresh_with_its_labels(
    control_plane: ControlPlane, make_namespace: MakeNamespace
) -> None:
    namespace = make_namespace()

    async def scenario(state: LiveState) -> None:
        for team in ("red", "blue"):
            control_plane.kubectl("label", "namespace", namespace, f"team={team}", "--overwrite")
            cluster = await read(state, namespace)
            assert cluster.namespaces[namespace].labels["team"] == team
            assert {"default", "kube-system"} < cluster.namespaces.keys()

    with_state(live(control_plane), scenario)


def test_a_namespace_that_does_not_exist_has_no_policies_and_is_not_among_the_namespaces(
    control_plane: ControlPlane,
) -> None:
    async def scenario(state: LiveState) -> None:
        for name in ("no-such-namespace", "..", "a/b", "a?limit=1"):
            cluster = await read(state, name)
            assert cluster.policies == {name: ()}
            assert name not in cluster.namespaces

    with_state(live(control_plane), scenario)


def test_two_reads_of_an_unchanged_namespace_return_the_identical_objects(
    control_plane: ControlPlane, make_namespace: MakeNamespace
) -> None:
    namespace = make_namespace()
    control_plane.apply(POLICY.format(name="one", namespace=namespace))
    control_plane.apply(POLICY.format(name="two", namespace=namespace))

    async def scenario(state: LiveState) -> None:
        first, second = await read(state, namespace), await read(state, namespace)
        assert first.policies[namespace] is second.policies[namespace]
        control_plane.kubectl("annotate", "netpol", "one", "-n", namespace, "changed=yes")
        third = await read(state, namespace)
        assert third.policies[namespace][0] is not first.policies[namespace][0]
        assert third.policies[namespace][1] is first.policies[namespace][1]
        assert first.sources is third.sources

    with_state(live(control_plane), scenario)


def test_twelve_hundred_policies_are_read_in_three_pages(
    control_plane: ControlPlane, make_namespace: MakeNamespace
) -> None:
    namespace = make_namespace()
    connection = Connection(configuration(control_plane.kubeconfig()))
    path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"
    wanted = Wanted("a policy of the test", "create", "networking.k8s.io", "networkpolicies")
    for index in range(1_200):
        manifest = {"metadata": {"name": f"p{index:04}"}, "spec": {"podSelector": {}}}
        connection.fetch(Request(wanted, path, body=json.dumps(manifest).encode()), Deadline.after(10))
    counting = CountingApi(connection)

    async def scenario(state: LiveState) -> None:
        cluster = await read(state, namespace)
        assert names(cluster, namespace) == [f"p{index:04}" for index in range(1_200)]

    with_state(LiveState(counting), scenario)
    assert counting.pages == 3


def test_all_managed_namespaces_are_read_together_as_they_are_at_that_moment(
    control_plane: ControlPlane, make_namespace: MakeNamespace
) -> None:
    managed, left, other = make_namespace(), make_namespace(), make_namespace(managed=False)
    for namespace in (managed, left, other):
        control_plane.apply(POLICY.format(name="one", namespace=namespace))

    async def scenario(state: LiveState) -> None:
        control_plane.kubectl("label", "namespace", left, "iomete.com/managed-")
        joined = make_namespace()
        cluster = await state.read(Scope.managed(), timeout=READ_SECONDS)
        assert names(cluster, managed) == ["one"]
        assert names(cluster, joined) == []
        assert {left, other}.isdisjoint(cluster.policies)
        assert "iomete.com/managed" not in cluster.namespaces[left].labels

    with_state(live(control_plane), scenario)


def test_the_api_servers_address_is_a_guessed_source_and_an_endpoint(control_plane: ControlPlane) -> None:
    async def scenario(state: LiveState) -> None:
        cluster = await read(state, "default")
        place = place_of(control_plane.network.advertise)
        address = IntervalSet.of((place, place + 1))
        assert [(one.provenance, one.addresses, one.origin) for one in cluster.sources] == [
            (Provenance.GUESSED, address, "EndpointSlice default/kubernetes")
        ]
        port = int(control_plane.url.rpartition(":")[2])
        assert [(one.addresses, one.protocol, one.port) for one in cluster.api_server] == [
            (address, Protocol.TCP, port)
        ]

    with_state(live(control_plane), scenario)


@pytest.fixture
def webhook_namespace(control_plane: ControlPlane, make_namespace: MakeNamespace) -> Iterator[str]:
    namespace = make_namespace()
    yield namespace
    control_plane.kubectl("delete", "mutatingwebhookconfiguration", f"hook-{namespace}", "--ignore-not-found")


def test_a_webhook_service_is_followed_from_its_configuration_until_the_service_is_gone(
    control_plane: ControlPlane, webhook_namespace: str
) -> None:
    namespace = webhook_namespace
    expected = WebhookService(
        namespace,
        "hook",
        Selector.labels({"app": "hook"}),
        (TargetPort(Protocol.TCP, name="serving"),),
        (f"MutatingWebhookConfiguration/hook-{namespace}",),
    )

    async def found(state: LiveState) -> list[WebhookService]:
        cluster = await read(state, namespace)
        return [one for one in cluster.webhooks if one.namespace == namespace]

    async def scenario(state: LiveState) -> None:
        assert await found(state) == []

        async def is_unresolved() -> bool:
            return await found(state) == [expected]

        control_plane.apply(WEBHOOK.format(namespace=namespace, target="serving"))
        await until(is_unresolved)

        async def is_resolved() -> bool:
            return [one.ports[0].resolved for one in await found(state)] == [{9443}]

        control_plane.apply(SLICE.format(namespace=namespace))
        await until(is_resolved)

        async def is_remembered() -> bool:
            names = [one.configurations for one in await found(state)]
            return names == [(f"MutatingWebhookConfiguration/hook-{namespace} (deleted)",)]

        control_plane.kubectl("delete", "mutatingwebhookconfiguration", f"hook-{namespace}")
        await until(is_remembered)

        async def is_gone() -> bool:
            return await found(state) == []

        control_plane.kubectl("delete", "service", "hook", "-n", namespace)
        await until(is_gone)

    with_state(live(control_plane), scenario)


def test_a_webhook_service_that_stands_before_the_start_is_known_as_soon_as_the_state_is_ready(
    control_plane: ControlPlane, webhook_namespace: str
) -> None:
    control_plane.apply(WEBHOOK.format(namespace=webhook_namespace, target=8443))

    async def scenario(state: LiveState) -> None:
        cluster = await read(state, webhook_namespace)
        assert [one.ports for one in cluster.webhooks if one.namespace == webhook_namespace] == [
            (TargetPort(Protocol.TCP, number=8443),)
        ]

    with_state(live(control_plane), scenario)


SAMPLE = Path(__file__).resolve().parent.parent.parent / "deploy" / "sample"
OWN_FIELDS = ("creationTimestamp", "generation", "resourceVersion", "uid")


def sample_manifests() -> list[dict[str, Any]]:
    """Return the sample's objects as somebody would create them: without what an API server fills in."""
    found: list[dict[str, Any]] = [
        dict(document.object)
        for kind in ("namespaces", "networkpolicies", "services", "mutatingwebhookconfigurations")
        for document in read_documents((SAMPLE / f"{kind}.yaml").read_text(), kind)
    ]
    for each in found:
        each["metadata"] = {key: value for key, value in each["metadata"].items() if key not in OWN_FIELDS}
        for field in ("clusterIP", "clusterIPs"):
            each.get("spec", {}).pop(field, None)
    there_already = {("default", "kubernetes"), (None, "default"), (None, "kube-system")}
    return [
        each
        for each in found
        if (each["metadata"].get("namespace"), each["metadata"]["name"]) not in there_already
    ]


def test_the_sample_read_from_its_folder_is_what_a_cluster_with_these_objects_is(
    control_plane: ControlPlane,
) -> None:
    manifests = {"apiVersion": "v1", "kind": "List", "items": sample_manifests()}
    control_plane.apply(json.dumps(manifests))

    async def scenario(state: LiveState) -> None:
        cluster = await state.read(Scope.managed(), timeout=READ_SECONDS)
        folder = await DirectoryState(SAMPLE).read(Scope.managed(), timeout=READ_SECONDS)
        managed = {name for name, one in folder.namespaces.items() if MANAGED.matches(one.labels)}
        assert len(managed) == 4
        assert {name: cluster.policies[name] for name in managed} == {
            name: folder.policies[name] for name in managed
        }
        assert {name: cluster.namespaces[name] for name in folder.namespaces} == folder.namespaces
        assert [one for one in cluster.webhooks if one.namespace in managed] == list(folder.webhooks)

    try:
        with_state(live(control_plane), scenario)
    finally:
        control_plane.kubectl("delete", "-f", "-", "--wait=false", stdin=json.dumps(manifests))


def test_a_read_only_user_sees_everything_but_cannot_ask_what_others_may_do(
    control_plane: ControlPlane,
) -> None:
    async def scenario(state: LiveState) -> None:
        assert (await read(state, "default")).sources
        assert state.notes == ()
        answer = await state.access(question("developer"), timeout=READ_SECONDS)
        assert answer.allowed is None
        assert 'resources: ["subjectaccessreviews"], verbs: ["create"]' in answer.reason

    with_state(live(control_plane, "readonly"), scenario)


def test_a_user_who_may_not_list_namespaces_is_never_ready_and_told_which_rule_is_missing(
    control_plane: ControlPlane,
) -> None:
    async def start() -> None:
        async with running(live(control_plane, "developer"), timeout=3):
            pytest.fail("it must not become ready")

    with pytest.raises(StateUnreadable, match=r'resources: \["namespaces"\], verbs: \["list"\]'):
        asyncio.run(start())


def test_optional_permissions_that_are_missing_become_notes_and_the_documented_default(
    control_plane: ControlPlane, make_namespace: MakeNamespace
) -> None:
    namespace = make_namespace()
    control_plane.apply(POLICIES_READER.format(namespace=namespace))
    state = LiveState.connect(kubeconfig=control_plane.service_account_kubeconfig(namespace, "reader"))

    async def scenario(state: LiveState) -> None:
        cluster = await read(state, namespace)
        assert cluster.sources == ()
        default = Selector.labels({"service": "spark-operator"})
        assert WebhookService(namespace, "spark-operator", default, (), assumed=True) in cluster.webhooks
        notes = "\n".join(state.notes)
        for resource in ("nodes", "pods", "endpointslices", "mutatingwebhookconfigurations"):
            assert f'resources: ["{resource}"], verbs: ["list"]' in notes

    try:
        with_state(state, scenario)
    finally:
        for kind in ("clusterrole", "clusterrolebinding"):
            control_plane.kubectl("delete", kind, f"reader-{namespace}")


def test_policies_that_may_not_be_read_make_the_state_unreadable_and_the_rule_is_named(
    control_plane: ControlPlane, make_namespace: MakeNamespace
) -> None:
    namespace = make_namespace()
    role = POLICIES_READER.replace("networkpolicies", "ingresses")
    control_plane.apply(role.format(namespace=namespace))
    state = LiveState.connect(kubeconfig=control_plane.service_account_kubeconfig(namespace, "reader"))

    async def scenario(state: LiveState) -> None:
        with pytest.raises(StateUnreadable) as caught:
            await read(state, namespace)
        assert caught.value.what == f"the NetworkPolicies of namespace {namespace}"
        assert 'resources: ["networkpolicies"], verbs: ["list"]' in caught.value.how

    try:
        with_state(state, scenario)
    finally:
        for kind in ("clusterrole", "clusterrolebinding"):
            control_plane.kubectl("delete", kind, f"reader-{namespace}")


def question(username: str, verb: str = "delete", groups: tuple[str, ...] = ()) -> AccessQuestion:
    return AccessQuestion(
        username, verb, "networking.k8s.io", "networkpolicies", namespace="default", groups=groups
    )


@pytest.mark.parametrize(
    ("asked", "allowed"),
    [
        (question("developer", groups=("developers",)), True),
        (question("developer"), False),
        (question("readonly", groups=("viewers",)), False),
        (question("readonly", "list", ("viewers",)), True),
        (question("developer", "override", ("developers",)), False),
        (question("anybody", "override", ("system:masters",)), True),
    ],
)
def test_the_api_server_says_who_may_do_what(
    control_plane: ControlPlane, asked: AccessQuestion, *, allowed: bool
) -> None:
    async def ask() -> bool | None:
        return (await live(control_plane).access(asked, timeout=READ_SECONDS)).allowed

    assert asyncio.run(ask()) is allowed


def test_a_token_that_the_api_server_does_not_know_is_told_apart_from_a_missing_permission(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    text = control_plane.kubeconfig().read_text().replace(control_plane.token(), "unknown")
    (tmp_path / "config").write_text(text)

    async def start() -> None:
        async with running(LiveState.connect(kubeconfig=tmp_path / "config"), timeout=2):
            pytest.fail("it must not become ready")

    with pytest.raises(StateUnreadable, match="does not accept these credentials"):
        asyncio.run(start())


def test_a_certificate_of_another_authority_is_a_tls_error(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    from tests.cluster.authority import Authority  # noqa: PLC0415 - only here

    (tmp_path / "ca.crt").write_text(Authority().pem)
    text = control_plane.kubeconfig().read_text()
    text = text.replace(str(control_plane.ca_file), str(tmp_path / "ca.crt"))
    (tmp_path / "config").write_text(text)

    async def ask() -> str:
        state = LiveState.connect(kubeconfig=tmp_path / "config")
        return (await state.access(question("developer"), timeout=READ_SECONDS)).reason

    assert "the TLS connection to the API server failed" in asyncio.run(ask())


def test_a_context_that_is_not_in_the_kubeconfig_is_an_error_of_the_settings(
    control_plane: ControlPlane,
) -> None:
    with pytest.raises(SettingsError, match="no-such-context"):
        LiveState.connect(kubeconfig=control_plane.kubeconfig(), context="no-such-context")


def test_an_api_server_that_hangs_or_is_gone_makes_the_state_unreadable_within_the_time_given(
    kubernetes_programs: None,  # noqa: ARG001 - it makes them be there
) -> None:
    with ControlPlane() as own:
        api_server = own.processes[1]

        async def scenario(state: LiveState) -> None:
            assert names(await read(state, "default"), "default") == []
            os.kill(api_server.pid, signal.SIGSTOP)
            try:
                with pytest.raises(StateUnreadable, match=r"did not answer within 0\.5 s") as caught:
                    await state.read(Scope.namespace("default"), timeout=0.5)
                assert caught.value.how
                assert (await state.access(question("developer"), timeout=0.5)).allowed is None
            finally:
                os.kill(api_server.pid, signal.SIGCONT)
            assert names(await read(state, "default"), "default") == [], "it recovers by itself"
            own.processes[2].stop()
            os.kill(api_server.pid, signal.SIGKILL)
            api_server.stop()
            with pytest.raises(StateUnreadable, match="cannot be reached") as caught:
                await read(state, "default")
            assert "check that the API server runs" in caught.value.how
            assert state.ready() is None, "one hiccup of the API server must not empty the Service"

        with_state(live(own), scenario)


def test_a_stopped_state_leaves_no_thread_behind(control_plane: ControlPlane) -> None:
    import threading  # noqa: PLC0415 - only here

    async def scenario(state: LiveState) -> None:
        await read(state, "default")
        assert any(thread.name.startswith("feed") for thread in threading.enumerate())

    with_state(live(control_plane), scenario)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("feed")]
