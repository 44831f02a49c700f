from __future__ import annotations

from typing import Any

import pytest
import yaml

from app import __version__
from app import names as identity
from app.cluster.state.resources import CILIUM_CONFIG
from app.serving.server import CLOSE_SECONDS
from app.settings.model import Settings
from app.shipped import DEPLOY, guard_manifests

NAMES = {
    "ConfigMap": {
        identity.SETTINGS_CONFIG_MAP,
        identity.SOURCES_CONFIG_MAP,
        identity.WEBHOOK_SERVICES_CONFIG_MAP,
        identity.LEDGER_CONFIG_MAP,
    },
}
DEFAULTS = Settings()


def only(kind: str) -> dict[str, Any]:
    (found,) = (manifest for manifest in guard_manifests() if manifest["kind"] == kind)
    return found


def pod() -> dict[str, Any]:
    spec: dict[str, Any] = only("Deployment")["spec"]["template"]["spec"]
    return spec


def container() -> dict[str, Any]:
    (found,) = pod()["containers"]
    return dict(found)


def test_the_kustomization_lists_every_manifest_and_does_nothing_else() -> None:
    kustomization = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text())
    assert kustomization.keys() == {"apiVersion", "kind", "resources"}
    manifests = {file.name for file in DEPLOY.glob("*.yaml")} - {"kustomization.yaml"}
    assert sorted(kustomization["resources"]) == sorted(manifests)


@pytest.mark.parametrize("manifest", guard_manifests(), ids=lambda manifest: str(manifest["kind"]))
def test_every_object_carries_our_name_and_labels(manifest: dict[str, Any]) -> None:
    metadata = manifest["metadata"]
    assert metadata["name"] in NAMES.get(manifest["kind"], {identity.NAME})
    assert metadata["labels"].items() >= {
        (identity.NAME_LABEL, identity.NAME),
        identity.OURS,
        (identity.VERSION_LABEL, __version__),
    }


def test_the_webhooks_ship_ignore_and_no_bundle_for_the_guard_owns_both() -> None:
    webhooks = only("ValidatingWebhookConfiguration")["webhooks"]
    assert [webhook["name"] for webhook in webhooks] == [
        identity.POLICIES_WEBHOOK,
        identity.NAMESPACES_WEBHOOK,
    ]
    for webhook in webhooks:
        assert webhook["failurePolicy"] == "Ignore"
        assert webhook["timeoutSeconds"] == 10
        assert "caBundle" not in webhook["clientConfig"]
        service = webhook["clientConfig"]["service"]
        assert f"{service['name']}.{service['namespace']}.svc" == identity.SERVICE_HOST


def test_the_guards_own_namespace_is_out_of_scope_but_for_its_own_dry_run() -> None:
    policies, namespaces = only("ValidatingWebhookConfiguration")["webhooks"]
    (outside,) = policies["namespaceSelector"]["matchExpressions"]
    assert (outside["operator"], outside["values"]) == ("NotIn", [identity.NAME])
    condition = namespaces["matchConditions"][0]["expression"]
    assert f'object.metadata.name != "{identity.NAME}"' in condition
    assert f'"{identity.SERVICE_ACCOUNT_USER}"' in condition


def test_the_objects_that_the_roles_name_are_those_that_the_guard_uses() -> None:
    roles = [manifest for manifest in guard_manifests() if manifest["kind"] in ("Role", "ClusterRole")]
    rules = [rule for role in roles for rule in role["rules"] if "resourceNames" in rule]
    named = {(rule["resources"][0], *rule["resourceNames"]) for rule in rules}
    assert named == {
        ("validatingwebhookconfigurations", identity.NAME),
        ("namespaces", identity.NAME),
        ("secrets", identity.TLS_SECRET),
        ("configmaps", identity.SOURCES_CONFIG_MAP),
        ("configmaps", identity.WEBHOOK_SERVICES_CONFIG_MAP),
        ("configmaps", identity.LEDGER_CONFIG_MAP),
        ("networkpolicies", identity.NAME),
        ("configmaps", CILIUM_CONFIG.name),
    }


def test_ports_are_those_that_the_guard_listens_on_by_default() -> None:
    ports = {port["name"]: port["containerPort"] for port in container()["ports"]}
    assert ports == {"webhook": DEFAULTS.listen.port, "health": DEFAULTS.listen.health_port}
    assert {port["targetPort"] for port in only("Service")["spec"]["ports"]} == ports.keys()
    (rule,) = only("NetworkPolicy")["spec"]["ingress"]
    assert "from" not in rule
    assert {port["port"] for port in rule["ports"]} == set(ports.values())


def test_a_pod_is_given_the_time_to_drain_and_to_close() -> None:
    assert pod()["terminationGracePeriodSeconds"] > DEFAULTS.drain_seconds + CLOSE_SECONDS


def test_two_replicas_apart_and_never_none() -> None:
    spec = only("Deployment")["spec"]
    assert spec["replicas"] >= 2
    assert spec["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    assert "podAntiAffinity" in pod()["affinity"]
    assert pod()["topologySpreadConstraints"]
    assert only("PodDisruptionBudget")["spec"]["minAvailable"] == 1


def test_the_container_may_do_nothing_that_it_does_not_need() -> None:
    assert pod()["securityContext"]["runAsNonRoot"] is True
    assert pod()["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container()["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_selectors_find_the_guards_pods() -> None:
    labels = only("Deployment")["spec"]["template"]["metadata"]["labels"].items()
    selectors = [
        only("Deployment")["spec"]["selector"]["matchLabels"],
        only("Service")["spec"]["selector"],
        only("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        only("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
    ]
    assert all(selector.items() <= labels for selector in selectors)


def test_the_shipped_settings_are_understood() -> None:
    (text,) = (
        manifest["data"][identity.SETTINGS_KEY]
        for manifest in guard_manifests()
        if manifest["metadata"]["name"] == identity.SETTINGS_CONFIG_MAP
    )
    assert Settings.model_validate(yaml.safe_load(text)) == DEFAULTS
