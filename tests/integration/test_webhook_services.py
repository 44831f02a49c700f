"""A webhook whose Service is deleted: its requirement stays, whatever becomes of the guard's Pods."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.names import WEBHOOK_SERVICES_CONFIG_MAP
from tests.integration.conftest import MakeNamespace
from tests.integration.decisions.objects import (
    API_SERVER,
    MERGE,
    NAMESPACES,
    Object,
    baselines,
    create,
    eventually,
    path_of,
)
from tests.integration.decisions.webhooks import POD, Webhook
from tests.integration.guard import configuration, running_guard
from tests.kube.api import ApiResponse
from tests.kube.control_plane import ControlPlane
from tests.kube.webhook import register_webhook

NEW_PODS = {"app": "operator-two"}


@pytest.fixture
def home(control_plane: ControlPlane, make_namespace: MakeNamespace) -> str:
    """Return a namespace for the guard's own objects, with the ConfigMap of webhook Services."""
    name = make_namespace(managed=False)
    config_map = {"metadata": {"name": WEBHOOK_SERVICES_CONFIG_MAP}}
    assert control_plane.client().request("POST", f"{NAMESPACES}/{name}/configmaps", config_map).ok
    return name


@pytest.fixture
def webhook(control_plane: ControlPlane, make_namespace: MakeNamespace) -> Iterator[Webhook]:
    """Return a webhook of a namespace with both baselines."""
    namespace = make_namespace()
    create(control_plane, *baselines(namespace))
    made = Webhook(control_plane, namespace)
    yield made
    made.forget_configuration()


@contextmanager
def _guarded(control_plane: ControlPlane, folder: Path, home: str) -> Iterator[None]:
    """Run a guard that keeps its own objects in ``home``, as long as the body."""
    settings: Object = {"apiServer": {"sources": [API_SERVER]}, "guardNamespace": home}
    with (
        running_guard(control_plane, folder, **settings) as guard,
        register_webhook(control_plane, guard.url, control_plane.ca_pem, configuration()),
    ):
        yield


def _kept(control_plane: ControlPlane, home: str) -> dict[str, str]:
    path = f"{NAMESPACES}/{home}/configmaps/{WEBHOOK_SERVICES_CONFIG_MAP}"
    found: dict[str, str] = control_plane.client().request("GET", path).json().get("data") or {}
    return found


def _drop_the_baseline(webhook: Webhook) -> ApiResponse:
    """Try to delete the baseline that lets the API server in to the webhook."""
    baseline = path_of(baselines(webhook.namespace)[0])
    return webhook.control_plane.client("developer").request("DELETE", baseline)


def _is_refused(answer: ApiResponse) -> bool:
    return not answer.ok and "cuts the API server from webhook operator-webhook" in answer.message


def test_while_its_service_is_deleted_a_webhooks_baseline_stays_and_so_after_a_restart_of_the_guard(
    control_plane: ControlPlane, tmp_path: Path, home: str, webhook: Webhook
) -> None:
    with _guarded(control_plane, tmp_path, home):
        webhook.serve(9443)
        eventually(webhook.is_required, "the webhook's flow was never required")
        eventually(
            lambda: f"{webhook.namespace}.operator-webhook" in _kept(control_plane, home), "it was never kept"
        )
        webhook.forget_service()
        eventually(
            lambda: f"Service {webhook.namespace}/operator-webhook" in webhook.refusal(),
            "nobody told that the Service is missing",
        )
        assert _is_refused(_drop_the_baseline(webhook))
    with _guarded(control_plane, tmp_path, home):
        refused = _drop_the_baseline(webhook)
        assert _is_refused(refused)
        assert "is missing; the API server's way to it stays required" in " ".join(refused.message.split())


def test_while_its_configuration_is_deleted_it_is_the_same(
    control_plane: ControlPlane, tmp_path: Path, home: str, webhook: Webhook
) -> None:
    with _guarded(control_plane, tmp_path, home):
        webhook.serve(9443)
        eventually(lambda: len(_kept(control_plane, home)) == 2, "it was never kept")
        webhook.forget_configuration()
    with _guarded(control_plane, tmp_path, home):
        assert _is_refused(_drop_the_baseline(webhook))


def test_a_chart_upgrade_passes_and_leaves_nothing_of_the_old_service(
    control_plane: ControlPlane, tmp_path: Path, home: str, webhook: Webhook
) -> None:
    with _guarded(control_plane, tmp_path, home):
        webhook.serve(9443)
        eventually(webhook.is_required, "the webhook's flow was never required")
        # As an upgrade in place does it: the Service is made anew with other pods and another port, ...
        webhook.forget_service()
        webhook.forget_configuration()
        webhook.serve(8443, pods=NEW_PODS)
        eventually(
            lambda: '"app":"operator-two"' in str(_kept(control_plane, home)), "the new one was not kept"
        )
        # ... the baseline is brought in line with it, ...
        moved = baselines(webhook.namespace)[0]
        moved["spec"]["podSelector"] = {"matchLabels": NEW_PODS}
        port = {"protocol": "TCP", "port": 8443}
        moved["spec"]["ingress"] = [{"from": [{"ipBlock": {"cidr": f"{API_SERVER}/32"}}], "ports": [port]}]
        patch = {"spec": moved["spec"]}
        answer = control_plane.client().request("PATCH", path_of(moved), patch, content_type=MERGE)
        assert answer.ok, answer.text
        # ... and what the old pods needed is nobody's concern any more, but what the new ones need is.
        assert POD["service"] not in str(_kept(control_plane, home))
        assert not _drop_the_baseline(webhook).ok
        # Taken away for good, with its configuration: nothing is left.
        webhook.forget_configuration()
        webhook.forget_service()
        eventually(lambda: _kept(control_plane, home) == {"format": "1"}, "something was kept")
        eventually(lambda: _drop_the_baseline(webhook).ok, "the baseline was needed by nobody, and stayed")
