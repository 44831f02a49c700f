"""What `LiveState` promises, kept by a real API server."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.cluster.client.connection import ApiAnswer, ApiRequest, Connection, Method, Stream, configuration
from app.cluster.client.errors import Purpose
from app.cluster.state.folder import DirectoryState
from app.cluster.state.live import LiveState
from app.deadline import Deadline
from app.engine.addresses import place_of
from app.engine.cluster import MANAGED, Provenance, TargetPort, WebhookService
from app.engine.intervals import IntervalSet
from app.engine.ports import Protocol
from app.engine.selectors import Selector
from app.model.access import Scope
from app.wire.text.documents import read_documents
from tests.integration.conftest import MakeNamespace
from tests.integration.live import READ_SECONDS, SYNC_SECONDS, live, names, read, with_state
from tests.kube.control_plane import ControlPlane

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


class CountingApi:
    """A connection that counts the lists of policies that reads asked for, and the pages they came in.

    What the watches list has a thread of its own, and is not what a read waits for.
    """

    def __init__(self, connection: Connection) -> None:
        self.lists = self.pages = 0
        self._connection = connection

    def fetch(self, request: ApiRequest, deadline: Deadline) -> bytes:
        is_read = not threading.current_thread().name.startswith("reflector")
        is_page = is_read and request.path.endswith("/networkpolicies")
        self.pages += is_page
        self.lists += is_page and "continue" not in request.query
        return self._connection.fetch(request, deadline)

    def call(self, request: ApiRequest, deadline: Deadline) -> ApiAnswer:
        return self._connection.call(request, deadline)

    def watch(self, request: ApiRequest, seconds: float) -> Stream:
        return self._connection.watch(request, seconds)


async def until(is_so: Callable[[], Awaitable[bool]]) -> None:
    """Wait for what watches bring, a moment after the API server knows it."""
    async with asyncio.timeout(SYNC_SECONDS):
        while not await is_so():  # noqa: ASYNC110 - there is no event to wait for
            await asyncio.sleep(0.02)


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
    purpose = Purpose("a policy of the test", "create", "networking.k8s.io", "networkpolicies")
    for index in range(1_200):
        manifest = {"metadata": {"name": f"p{index:04}"}, "spec": {"podSelector": {}}}
        body = json.dumps(manifest).encode()
        connection.fetch(ApiRequest(purpose, path, body=body, method=Method.CREATE), Deadline.after(10))
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
        cluster = await state.read(Scope.managed(), Deadline.after(READ_SECONDS))
        assert names(cluster, managed) == ["one"]
        assert names(cluster, joined) == []
        assert {left, other}.isdisjoint(cluster.policies)
        assert "iomete.com/managed" not in cluster.namespaces[left].labels

    with_state(live(control_plane), scenario)


def test_the_api_servers_address_is_a_guessed_source_and_an_endpoint(control_plane: ControlPlane) -> None:
    async def scenario(state: LiveState) -> None:
        cluster = await read(state, "default")
        place = place_of(control_plane.network.members[0].advertise)
        address = IntervalSet.of((place, place + 1))
        assert [(source.provenance, source.addresses, source.origin) for source in cluster.sources] == [
            (Provenance.GUESSED, address, "EndpointSlice default/kubernetes")
        ]
        port = int(control_plane.url.rpartition(":")[2])
        assert [
            (endpoint.addresses, endpoint.protocol, endpoint.port) for endpoint in cluster.api_server
        ] == [(address, Protocol.TCP, port)]

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
        return [webhook for webhook in cluster.webhooks if webhook.namespace == namespace]

    async def scenario(state: LiveState) -> None:
        assert await found(state) == []

        async def is_unresolved() -> bool:
            return await found(state) == [expected]

        control_plane.apply(WEBHOOK.format(namespace=namespace, target="serving"))
        await until(is_unresolved)

        async def is_resolved() -> bool:
            return [webhook.ports[0].resolved for webhook in await found(state)] == [{9443}]

        control_plane.apply(SLICE.format(namespace=namespace))
        await until(is_resolved)

        async def is_remembered() -> bool:
            names = [webhook.configurations for webhook in await found(state)]
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
        assert [webhook.ports for webhook in cluster.webhooks if webhook.namespace == webhook_namespace] == [
            (TargetPort(Protocol.TCP, number=8443),)
        ]

    with_state(live(control_plane), scenario)


SAMPLE = Path(__file__).resolve().parents[3] / "deploy" / "sample"


SAMPLE = Path(__file__).resolve().parents[3] / "deploy" / "sample"
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
        cluster = await state.read(Scope.managed(), Deadline.after(READ_SECONDS))
        folder = await DirectoryState(SAMPLE).read(Scope.managed(), Deadline.after(READ_SECONDS))
        managed = {name for name, namespace in folder.namespaces.items() if MANAGED.matches(namespace.labels)}
        assert len(managed) == 4
        assert {name: cluster.policies[name] for name in managed} == {
            name: folder.policies[name] for name in managed
        }
        assert {name: cluster.namespaces[name] for name in folder.namespaces} == folder.namespaces
        assert [webhook for webhook in cluster.webhooks if webhook.namespace in managed] == list(
            folder.webhooks
        )

    try:
        with_state(live(control_plane), scenario)
    finally:
        control_plane.kubectl("delete", "-f", "-", "--wait=false", stdin=json.dumps(manifests))


def test_a_stopped_state_leaves_no_thread_behind(control_plane: ControlPlane) -> None:
    async def scenario(state: LiveState) -> None:
        await read(state, "default")
        assert any(thread.name.startswith("reflector") for thread in threading.enumerate())

    with_state(live(control_plane), scenario)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("reflector")]


def test_many_managed_namespaces_are_read_by_one_list_each_with_its_own_policies(
    control_plane: ControlPlane, make_namespace: MakeNamespace
) -> None:
    made = [make_namespace() for _ in range(10)]
    for namespace in made:
        control_plane.apply(POLICY.format(name=f"of-{namespace}", namespace=namespace))
    api = CountingApi(Connection(configuration(control_plane.kubeconfig("admin"))))

    async def scenario(state: LiveState) -> None:
        cluster = await state.read(Scope.managed(), Deadline.after(READ_SECONDS))
        # The policies of other tests' namespaces may fill more than a page.
        assert api.lists == 1
        for namespace in made:
            assert names(cluster, namespace) == [f"of-{namespace}"]

    with_state(LiveState(api), scenario)
