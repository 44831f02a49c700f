"""A running `LiveState` of the control plane, and short words for what its tests do with it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.cluster.state.live import LiveState
from app.deadline import Deadline
from app.engine.cluster import Cluster
from app.model.access import AccessQuestion, Scope
from app.names import NAME
from tests.cluster.running import running
from tests.kube.control_plane import ControlPlane

T = TypeVar("T")
READ_SECONDS = 10.0
SYNC_SECONDS = 60.0


def with_state(state: LiveState, scenario: Callable[[LiveState], Awaitable[T]]) -> T:
    """Run the scenario with the state in sync."""

    async def run() -> T:
        async with running(state, timeout=SYNC_SECONDS):
            return await scenario(state)

    return asyncio.run(run())


def live(control_plane: ControlPlane, user: str = "admin", guard_namespace: str = NAME) -> LiveState:
    kubeconfig = control_plane.kubeconfig(user)
    return LiveState.connect(kubeconfig=kubeconfig, guard_namespace=guard_namespace)


def names(cluster: Cluster, namespace: str) -> list[str]:
    return [policy.name for policy in cluster.policies[namespace]]


def read(state: LiveState, namespace: str) -> Awaitable[Cluster]:
    return state.read(Scope.namespace(namespace), Deadline.after(READ_SECONDS))


def question(username: str, verb: str = "delete", groups: tuple[str, ...] = ()) -> AccessQuestion:
    return AccessQuestion(
        username, verb, "networking.k8s.io", "networkpolicies", namespace="default", groups=groups
    )


def not_ready(state: LiveState, why: str) -> None:
    """Run the state until it says with these words why it is not ready; fail where it comes to be."""

    async def run() -> None:
        running = asyncio.create_task(state.run())
        try:
            async with asyncio.timeout(SYNC_SECONDS):
                while why not in (reason := state.ready() or ""):
                    assert reason, "it must not become ready"
                    await asyncio.sleep(0.02)
        finally:
            running.cancel()
            await asyncio.wait([running])

    asyncio.run(run())
