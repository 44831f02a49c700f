"""Attacks by somebody with rights on policies, carried out step by step, and what is honest beside them.

Those with finalizers, owners and Services stand with their kind: ``decisions/test_deletions.py``,
``test_one_controller_account.py``, ``test_webhook_services.py``; changes at once in ``test_ledger.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from app.names import LEDGER_CONFIG_MAP
from app.shipped import DEPLOY
from tests.integration.conftest import MakeNamespace
from tests.integration.decisions.objects import (
    API_SERVER,
    MERGE,
    MODE,
    NAMESPACES,
    POLICIES,
    Object,
    baselines,
    create,
    deny,
    eventually,
    names,
    open_to_all,
    path_of,
    policy,
)
from tests.integration.guard import configuration, running_guard
from tests.kube.api import ApiResponse
from tests.kube.control_plane import ControlPlane
from tests.kube.webhook import register_webhook

CILIUM = f"{NAMESPACES}/kube-system/configmaps"


@pytest.fixture
def guarded(control_plane: ControlPlane, make_namespace: MakeNamespace, tmp_path: Path) -> Iterator[None]:
    """Run a guard with a ledger, in a namespace of its own."""
    home = make_namespace(managed=False)
    ledger = yaml.safe_load((DEPLOY / "ledger.yaml").read_text())
    assert ledger["metadata"]["name"] == LEDGER_CONFIG_MAP
    ledger["metadata"]["namespace"] = home
    assert control_plane.client().request("POST", f"{NAMESPACES}/{home}/configmaps", ledger).ok
    settings: Object = {"apiServer": {"sources": [API_SERVER]}, "guardNamespace": home}
    with (
        running_guard(control_plane, tmp_path, **settings) as guard,
        register_webhook(control_plane, guard.url, control_plane.ca_pem, configuration()),
    ):
        yield


def _as_developer(control_plane: ControlPlane, verb: str, body: Object) -> ApiResponse:
    client = control_plane.client("developer")
    if verb == "POST":
        return client.request(verb, POLICIES.format(body["metadata"]["namespace"]), body)
    return client.request(verb, path_of(body))


@pytest.mark.usefixtures("guarded")
def test_half_of_a_pair_by_a_developer_is_refused_and_by_an_admin_it_passes(
    control_plane: ControlPlane, make_namespace: MakeNamespace
) -> None:
    namespace = make_namespace()
    both, opening = baselines(namespace), open_to_all(namespace, "opening")
    create(control_plane, *both)
    assert _as_developer(control_plane, "POST", opening).ok
    for baseline in both:
        assert _as_developer(control_plane, "DELETE", baseline).ok
    assert _as_developer(control_plane, "DELETE", opening).ok
    assert names(control_plane, namespace) == set()
    refused = _as_developer(control_plane, "POST", both[0])
    assert "only who may override applies one alone" in " ".join(refused.message.split())
    create(control_plane, *both)


@pytest.mark.usefixtures("guarded")
def test_a_mode_that_is_put_on_before_a_namespace_is_managed_needs_the_right_when_it_becomes_so(
    control_plane: ControlPlane, make_namespace: MakeNamespace
) -> None:
    namespace = make_namespace(managed=False)
    path = f"{NAMESPACES}/{namespace}"
    off: Object = {"metadata": {"labels": {MODE: "off"}}}
    managed: Object = {"metadata": {"labels": {"iomete.com/managed": "true"}}}
    developer, admin = control_plane.client("developer"), control_plane.client()
    assert developer.request("PATCH", path, off, content_type=MERGE).ok, "nobody is asked"
    refused = developer.request("PATCH", path, managed, content_type=MERGE)
    assert f"becomes managed with {MODE}: off" in " ".join(refused.message.split())
    # Who may, may; and without the mode anybody makes it managed.
    passed = admin.request("PATCH", f"{path}?dryRun=All", managed, content_type=MERGE)
    assert f"becomes managed with {MODE}: off" in " ".join(passed.warnings)
    assert developer.request("PATCH", path, {"metadata": {"labels": {MODE: None}}}, content_type=MERGE).ok
    assert developer.request("PATCH", path, managed, content_type=MERGE).ok
    assert not _as_developer(control_plane, "POST", deny(namespace)).ok


@pytest.fixture
def cilium(control_plane: ControlPlane) -> Iterator[None]:
    """Have Cilium's configuration be there."""
    config_map = {"metadata": {"name": "cilium-config", "namespace": "kube-system"}}
    assert control_plane.client().request("POST", CILIUM, config_map).ok
    yield
    control_plane.client().request("DELETE", f"{CILIUM}/cilium-config")


@pytest.mark.usefixtures("cilium", "guarded")
def test_with_cilium_an_ip_block_for_all_addresses_lets_no_pod_in_and_is_refused(
    control_plane: ControlPlane, make_namespace: MakeNamespace
) -> None:
    namespace = make_namespace()
    anywhere: Object = {
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}],
    }
    by_address = policy(namespace, "by-address", anywhere)

    def is_refused() -> bool:
        return "cut managed namespaces" in _as_developer(control_plane, "POST", by_address).message

    eventually(is_refused, "it was never refused")
    # Beside what lets the pods in it takes nothing away.
    create(control_plane, *baselines(namespace))
    assert _as_developer(control_plane, "POST", by_address).ok
