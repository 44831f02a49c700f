"""An update from a version that keeps no ledger and back, with changes all the while.

While both versions answer, all judge as the old one does: by fresh lists, nobody refused for want of rights,
and of two changes one after the other, harmless only alone, never both pass.

The old version is modelled by a replica that may not write to the ledger, and judges so. ``OLD_TREE`` names a
folder with the code of another version, which is run instead.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from app.names import NAME
from tests.integration.balancer import Address, balancer
from tests.integration.decisions.objects import (
    API_SERVER,
    POLICIES,
    baselines,
    create,
    eventually,
    names,
    open_to_all,
    path_of,
    policy,
)
from tests.integration.guard import Guard, configuration, running_guard
from tests.integration.ledger_cluster import DENY, ledger_cluster, managed_namespace
from tests.kube.control_plane import ControlPlane
from tests.kube.webhook import register_webhook

OLD_TREE = os.environ.get("OLD_TREE")
TWINS = ("one", "two")
SLICES = f"/apis/discovery.k8s.io/v1/namespaces/{NAME}/endpointslices"
TURNS = 8
"""Of the load, in each phase of the update."""


@pytest.fixture(scope="module")
def cluster(kubernetes_programs: None) -> Iterator[ControlPlane]:  # noqa: ARG001 - it makes them be there
    """A control plane for the whole module."""
    with ledger_cluster() as running:
        yield running


def tell_who_answers(cluster: ControlPlane, *pods: str) -> None:
    """Write the EndpointSlice of the guard's Service, as its controller would."""
    endpoints = [
        {
            "addresses": [f"10.1.1.{number}"],
            "conditions": {"ready": True},
            "targetRef": {"kind": "Pod", "name": pod, "namespace": NAME},
        }
        for number, pod in enumerate(pods, start=1)
    ]
    body = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "guard", "namespace": NAME, "labels": {"kubernetes.io/service-name": NAME}},
        "addressType": "IPv4",
        "endpoints": endpoints,
    }
    client = cluster.client()
    answer = client.request("POST", SLICES, body)
    assert (answer if answer.ok else client.request("PUT", f"{SLICES}/guard", body)).ok


def old_kubeconfig(cluster: ControlPlane) -> Path:
    """Return the kubeconfig of somebody who may read all, ask for access, and write nothing."""
    rules = [
        {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
    ]
    rbac = "/apis/rbac.authorization.k8s.io/v1"
    subject = {"kind": "ServiceAccount", "name": "old", "namespace": NAME}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "old-guard"}
    for path, body in (
        (f"/api/v1/namespaces/{NAME}/serviceaccounts", {"metadata": {"name": "old"}}),
        (f"{rbac}/clusterroles", {"metadata": {"name": "old-guard"}, "rules": rules}),
        (
            f"{rbac}/clusterrolebindings",
            {"metadata": {"name": "old-guard"}, "subjects": [subject], "roleRef": role},
        ),
    ):
        assert cluster.client().request("POST", path, body).ok
    return cluster.service_account_kubeconfig(NAME, "old")


@dataclass
class Load:
    """Somebody who changes all the time; what must not happen is told in ``wrong``."""

    cluster: ControlPlane
    turns: int = 0
    wrong: list[str] = field(default_factory=list)
    _done: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        """Make honest changes, and pairs of deletions one after the other, until ended."""
        while not self._done.is_set():
            self._honest(f"deny-{self.turns}")
            self._pair()
            self.turns += 1

    def end(self) -> None:
        """Make no more, and wait for the last one."""
        self._done.set()
        self._thread.join()

    def _honest(self, name: str) -> None:
        client, policies = self.cluster.client(), POLICIES.format("usual")
        for answer in (
            client.request("POST", policies, policy("usual", name, DENY)),
            client.request("DELETE", f"{policies}/{name}"),
        ):
            if not answer.ok and "denied the request" in answer.message:
                self.wrong.append(answer.message)

    def _pair(self) -> None:
        client = self.cluster.client()
        answers = [client.request("DELETE", path_of(open_to_all("pair", name))) for name in TWINS]
        if all(answer.ok for answer in answers):
            self.wrong.append("both deletions passed")
        self.wrong += [
            answer.message
            for answer in answers
            if "denied the request" in answer.text and "would cut" not in answer.message
        ]
        self._restored()

    def _restored(self) -> None:
        """Bring back what is gone; a connection that ends with a replica may be in the way."""
        create = partial(self.cluster.client().request, "POST", POLICIES.format("pair"))
        for name in set(TWINS) - names(self.cluster, "pair"):
            body = open_to_all("pair", name)
            # On a busy machine it may be there although the API server said that it had taken too long.
            eventually(lambda body=body: create(body).status in (201, 409), "it stays away")  # type: ignore[misc]


@contextmanager
def loaded(cluster: ControlPlane) -> Iterator[Load]:
    """Have changes made meanwhile."""
    load = Load(cluster)
    try:
        yield load
    finally:
        load.end()


def test_from_a_version_without_the_ledger_and_back(
    cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubeconfig, own, folders = old_kubeconfig(cluster), socket.gethostname(), tmp_path_factory.mktemp
    managed_namespace(cluster, "usual", ())
    create(cluster, *baselines("usual"))
    managed_namespace(cluster, "pair", TWINS)
    backends: list[Address] = []

    def old_guard(stack: ExitStack, name: str) -> Guard:
        state = {"kubeconfig": str(kubeconfig)}
        with monkeypatch.context() as patched:
            if OLD_TREE:
                patched.setattr("tests.integration.guard.ROOT", Path(OLD_TREE))
            sources = {"sources": [API_SERVER]}
            return stack.enter_context(
                running_guard(cluster, folders(name), apiServer=sources, state=state, drainSeconds=1)
            )

    with ExitStack() as stack:
        before = stack.enter_context(ExitStack())
        backends.append(old_guard(before, "before").address)
        tell_who_answers(cluster, "old-1")
        host, port = stack.enter_context(balancer(backends))
        url = f"https://{host}:{port}"
        stack.enter_context(register_webhook(cluster, url, cluster.ca_pem, configuration()))
        load = stack.enter_context(loaded(cluster))

        def some_turns() -> None:
            enough = load.turns + TURNS
            eventually(lambda: load.turns >= enough, "the load does not go on")

        some_turns()
        new = stack.enter_context(
            running_guard(cluster, folders("new"), apiServer={"sources": [API_SERVER]}, drainSeconds=1)
        )
        assert _is_beside_others(new), "it was never without knowing of the old one"
        backends.append(new.address)
        tell_who_answers(cluster, "old-1", own)
        some_turns()
        backends.pop(0)
        before.close()
        tell_who_answers(cluster, own)
        eventually(lambda: new.metric("netpol_guard_replicas_without_ledger") == 0, "the old one is not gone")
        assert new.metric("netpol_guard_ledger_in_use") == 0, "what the old one admitted may not be made yet"
        some_turns()
        after = stack.enter_context(ExitStack())
        other = old_guard(after, "after")
        tell_who_answers(cluster, own, "old-2")
        eventually(lambda: _is_beside_others(new), "the old one is not noticed")
        backends.append(other.address)
        some_turns()
        backends.pop(0)
        tell_who_answers(cluster, "old-2")
        some_turns()
        load.end()  # while there still is somebody to answer
    assert load.wrong == []
    assert new.process.returncode is not None


def _is_beside_others(guard: Guard) -> bool:
    others, in_use = (
        guard.metric(f"netpol_guard_{name}") for name in ("replicas_without_ledger", "ledger_in_use")
    )
    return others == 1 and in_use == 0
