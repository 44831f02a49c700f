"""An API server that is slow, or busy: the webhook's own timeout is the time for reading and writing.

Changes come in bursts of twenty. Until the timeout is used up, only verdicts refuse; past it, a refusal may
say that the API server was slow, and no verdict is wrong.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from tests.integration.decisions.objects import (
    API_SERVER,
    POLICIES,
    create,
    eventually,
    names,
    open_to_all,
    path_of,
    policy,
)
from tests.integration.guard import Guard, registered_replicas
from tests.integration.ledger_cluster import (
    DENY,
    LEDGER,
    entries,
    ledger_cluster,
    managed_namespace,
    restore,
)
from tests.integration.slow import SlowApiServer, slow_api_server
from tests.kube.api import ApiResponse
from tests.kube.control_plane import ControlPlane

SPARE = tuple(f"spare-{number}" for number in range(8))
"""Policies that may go, for two others keep everything open."""
STAYING = ("one", "two")
SLOW = "could not be judged: could not read (the ledger|the NetworkPolicies|what the change meets)"
BYTES_PER_SECOND = 1_000_000
DENIED = (
    'netpol_guard_decisions_total{mode="enforce",operation="CREATE",'
    'resource="networkpolicies",verdict="deny"}'
)


@pytest.fixture(scope="module")
def cluster(kubernetes_programs: None) -> Iterator[ControlPlane]:  # noqa: ARG001 - it makes them be there
    """A control plane for the whole module."""
    with ledger_cluster() as running:
        yield running


@dataclass(frozen=True, slots=True)
class SlowGuard:
    """A guard that reaches its API server through a slow one."""

    cluster: ControlPlane
    slow: SlowApiServer
    guard: Guard

    def uses_ledger(self) -> bool:
        """Tell whether the ledger is in use."""
        return self.guard.metric("netpol_guard_ledger_in_use") == 1


@pytest.fixture(scope="module")
def slow_guard(cluster: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlowGuard]:
    """Run it for the whole module."""
    folder = tmp_path_factory.mktemp("slow")
    with (
        slow_api_server(cluster, folder) as (slow, kubeconfig),
        registered_replicas(cluster, [folder], API_SERVER, state={"kubeconfig": str(kubeconfig)}) as (guard,),
    ):
        yield SlowGuard(cluster, slow, guard)


@dataclass(frozen=True, slots=True)
class Scene:
    """Two namespaces: in one much may go, in the other nothing."""

    cluster: ControlPlane
    slow: SlowApiServer
    rich: str
    poor: str

    def burst(self) -> tuple[list[ApiResponse], list[ApiResponse]]:
        """Send twenty hazardous changes at once; return the answers to those that may pass, and to others."""
        client = self.cluster.client()
        rich, keeper = POLICIES.format(self.rich), open_to_all(self.poor, "keeper")
        closed = policy(self.poor, "keeper", DENY)
        denying = [policy(self.rich, f"deny-{number}", DENY) for number in range(6)]
        allowed: list[Callable[[], ApiResponse]] = [
            *(lambda name=name: client.request("DELETE", f"{rich}/{name}") for name in SPARE),
            *(lambda body=body: client.request("POST", rich, body) for body in denying),
        ]
        refused: list[Callable[[], ApiResponse]] = [
            *(lambda: client.request("DELETE", path_of(keeper)) for _ in range(3)),
            *(lambda: client.request("PUT", path_of(closed), closed) for _ in range(3)),
        ]
        with ThreadPoolExecutor(20) as threads:
            answers = list(threads.map(lambda send: send(), [*allowed, *refused]))
        return answers[: len(allowed)], answers[len(allowed) :]

    def restore(self) -> None:
        """Bring everything back; these changes are harmless in every state, and need nothing read."""
        restore(self.cluster, self.rich, SPARE)
        for name in names(self.cluster, self.rich):
            if name.startswith("deny-"):
                path = path_of(policy(self.rich, name, DENY))
                assert self.cluster.client().request("DELETE", path).ok


@pytest.fixture
def scene(slow_guard: SlowGuard) -> Iterator[Scene]:
    """Make them; the API server is quick at first, and in the end."""
    cluster = slow_guard.cluster
    eventually(slow_guard.uses_ledger, "the ledger is not in use")
    rich, poor = (f"{name}-{secrets.token_hex(3)}" for name in ("rich", "poor"))
    managed_namespace(cluster, rich, (*STAYING, *SPARE))
    managed_namespace(cluster, poor, ("keeper",))
    yield Scene(cluster, slow_guard.slow, rich, poor)
    slow_guard.slow.latency = 0.0


def messages(answers: list[ApiResponse]) -> list[str]:
    return [answer.message for answer in answers if not answer.ok]


@pytest.mark.parametrize("latency", [0.2, 0.5, 1.0])
def test_only_verdicts_refuse_while_the_api_server_takes_less_time_than_the_webhook_has(
    scene: Scene, latency: float
) -> None:
    scene.slow.latency = latency
    began = time.monotonic()
    allowed, refused = scene.burst()
    print(f"latency {latency:g} s: a burst of 20 answered in {time.monotonic() - began:.1f} s")
    assert messages(allowed) == []
    assert len(messages(refused)) == len(refused)
    assert all("would cut" in message for message in messages(refused)), messages(refused)


def test_past_that_a_refusal_says_what_was_slow_and_no_verdict_is_wrong(scene: Scene) -> None:
    scene.slow.latency = 3.0
    allowed, refused = scene.burst()
    told = messages(allowed)
    assert told, "nothing was too slow"
    assert all(re.search(SLOW, message) for message in told), told
    assert len(messages(refused)) == len(refused)
    assert all(re.search(f"would cut|{SLOW}", message) for message in messages(refused)), messages(refused)
    print(f"latency 3 s: {len(told)} of {len(allowed)} told that the API server was slow: {told[0]}")


def test_without_the_ledger_a_namespace_is_read_for_all_who_wait_for_it(
    scene: Scene, slow_guard: SlowGuard
) -> None:
    with _no_ledger(scene.cluster):
        eventually(lambda: not slow_guard.uses_ledger(), "the ledger is still in use")
        scene.slow.latency = 1.0
        scene.slow.requests.clear()
        allowed, refused = scene.burst()
        assert messages(allowed) == []
        assert all("would cut" in message for message in messages(refused)), messages(refused)
        lists = [line for line in scene.slow.requests if line.endswith("/networkpolicies")]
        assert 2 <= len(lists) <= 10, "twenty reviews, and hardly more than one list of each namespace"
        scene.slow.latency = 0.0
        scene.restore()
        scene.slow.busy = 4
        assert messages(scene.burst()[0]) == []
        assert scene.slow.busy == 0


@contextmanager
def _no_ledger(cluster: ControlPlane) -> Iterator[None]:
    client = cluster.client()
    stored = client.request("GET", LEDGER).json()
    assert client.request("DELETE", LEDGER).ok
    try:
        yield
    finally:
        metadata = {key: stored["metadata"][key] for key in ("name", "namespace", "labels")}
        assert client.request("POST", LEDGER.rpartition("/")[0], {**stored, "metadata": metadata}).ok


def test_what_the_api_server_wants_to_be_asked_again_is(scene: Scene) -> None:
    scene.slow.busy = 6
    allowed, refused = scene.burst()
    assert messages(allowed) == []
    assert all("would cut" in message for message in messages(refused)), messages(refused)
    assert scene.slow.busy == 0


def test_a_flood_of_changes_that_are_never_made_fills_its_own_part_of_the_ledger_alone(
    scene: Scene, slow_guard: SlowGuard
) -> None:
    cluster, client, rich = scene.cluster, scene.cluster.client(), POLICIES.format(scene.rich)

    def flood(number: int) -> bool:
        body = policy(scene.rich, f"flood-{number}", DENY, labels={"flood": "yes"})
        return client.request("POST", rich, body).ok

    denied = slow_guard.guard.metric(DENIED)
    with _another_webhook_refuses(cluster):
        began, scene.slow.written = time.monotonic(), 0
        with ThreadPoolExecutor(8) as threads:
            assert not any(threads.map(flood, range(150)))
        assert slow_guard.guard.metric(DENIED) - denied >= 150 - (64 + 8)
        # Eight at a time see the same ledger, and each may write an entry more.
        assert 0 < len(entries(cluster, f"{scene.rich}.")) <= 64 + 8
        other = open_to_all(scene.poor, "another")
        create(cluster, other)
        assert client.request("DELETE", path_of(other)).ok
        seconds = time.monotonic() - began
    print(f"{scene.slow.written:,} bytes in {seconds:.1f} s")
    assert scene.slow.written < BYTES_PER_SECOND * seconds


@contextmanager
def _another_webhook_refuses(cluster: ControlPlane) -> Iterator[None]:
    """Have somebody else refuse what is labelled: it is never made, and nobody tells the guard."""
    path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
    webhook = {
        "name": "refuse.example.com",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "clientConfig": {"url": "https://127.0.0.1:9/"},
        "objectSelector": {"matchLabels": {"flood": "yes"}},
        "rules": [
            {
                "apiGroups": ["networking.k8s.io"],
                "apiVersions": ["v1"],
                "operations": ["CREATE"],
                "resources": ["networkpolicies"],
            }
        ],
    }
    body = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "refuse"},
        "webhooks": [webhook],
    }
    client = cluster.client()
    assert client.request("POST", path, json.dumps(body)).ok
    try:
        yield
    finally:
        client.request("DELETE", f"{path}/refuse")
