"""What `LiveState` says when it may not read, is not known, or nobody answers."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from app.cluster.state.live import LiveState
from app.deadline import Deadline
from app.engine.cluster import WebhookService
from app.engine.selectors import Selector
from app.errors import SettingsError, StateUnreadable
from app.model.access import AccessQuestion, Scope
from tests.integration.conftest import MakeNamespace
from tests.integration.live import READ_SECONDS, live, names, not_ready, question, read, with_state
from tests.kube.authority import Authority
from tests.kube.control_plane import ControlPlane

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


def test_a_read_only_user_sees_everything_but_cannot_ask_what_others_may_do(
    control_plane: ControlPlane,
) -> None:
    async def scenario(state: LiveState) -> None:
        assert (await read(state, "default")).sources
        assert state.notes == ()
        answer = await state.access(question("developer"), Deadline.after(READ_SECONDS))
        assert answer.allowed is None
        assert 'resources: ["subjectaccessreviews"], verbs: ["create"]' in answer.reason

    with_state(live(control_plane, "readonly"), scenario)


def test_a_user_who_may_not_list_namespaces_is_never_ready_and_told_which_rule_is_missing(
    control_plane: ControlPlane,
) -> None:
    not_ready(live(control_plane, "developer"), 'resources: ["namespaces"], verbs: ["list"]')


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
        return (await live(control_plane).access(asked, Deadline.after(READ_SECONDS))).allowed

    assert asyncio.run(ask()) is allowed


def test_a_token_that_the_api_server_does_not_know_is_told_apart_from_a_missing_permission(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    text = control_plane.kubeconfig().read_text().replace(control_plane.token(), "unknown")
    (tmp_path / "config").write_text(text)

    state = LiveState.connect(kubeconfig=tmp_path / "config")
    not_ready(state, "does not accept these credentials")


def test_a_certificate_of_another_authority_is_a_tls_error(
    control_plane: ControlPlane, tmp_path: Path
) -> None:
    (tmp_path / "ca.crt").write_text(Authority().pem)
    text = control_plane.kubeconfig().read_text()
    text = text.replace(str(control_plane.ca_file), str(tmp_path / "ca.crt"))
    (tmp_path / "config").write_text(text)

    async def ask() -> str:
        state = LiveState.connect(kubeconfig=tmp_path / "config")
        return (await state.access(question("developer"), Deadline.after(READ_SECONDS))).reason

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
            with api_server.paused():
                with pytest.raises(StateUnreadable, match=r"did not answer within 0\.5 s") as caught:
                    await state.read(Scope.namespace("default"), Deadline.after(0.5))
                assert caught.value.how
                assert (await state.access(question("developer"), Deadline.after(0.5))).allowed is None
            assert names(await read(state, "default"), "default") == [], "it recovers by itself"
            own.processes[2].stop()
            os.kill(api_server.pid, signal.SIGKILL)
            api_server.stop()
            with pytest.raises(StateUnreadable, match="cannot be reached") as caught:
                await read(state, "default")
            assert "check that the API server runs" in caught.value.how
            assert state.ready() is None, "one hiccup of the API server must not empty the Service"

        with_state(live(own), scenario)
