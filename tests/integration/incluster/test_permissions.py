"""The guard may do what its code needs, and nothing else.

`NEEDED_BY` lists each permission with the code that needs it. It is held against the roles that ship, and
those against what a running guard asked for, which the API server's audit log tells.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any

import pytest

from app.model.probe import PROBE_VERB
from app.names import (
    LEDGER_CONFIG_MAP,
    NAME,
    OVERRIDE_ANNOTATION,
    SERVICE_ACCOUNT_USER,
    SOURCES_CONFIG_MAP,
    TLS_SECRET,
)
from app.names import WEBHOOK_SERVICES_CONFIG_MAP as SERVICES
from app.shipped import DEPLOY, guard_manifests
from tests.integration.incluster import deployed
from tests.integration.incluster.scenes import deny_all, eventually, make_managed, spark_operator
from tests.kube.cluster import Cluster

ADMISSION = "admissionregistration.k8s.io"
ROTATOR = "app.certificates.rotator:CertificateRotator"
POLICIES = ("networking.k8s.io", "networkpolicies")
LEDGER = "app.cluster.state.consistent:LedgerStore"
DEFINITIONS = ("apiextensions.k8s.io", "customresourcedefinitions")
VALIDATING, MUTATING = "validatingwebhookconfigurations", "mutatingwebhookconfigurations"


@dataclass(frozen=True, slots=True, order=True)
class Permission:
    """One verb on one resource, in one namespace ("": everywhere), on one object ("": on all)."""

    group: str
    resource: str
    verb: str
    namespace: str = ""
    name: str = ""

    def permits(self, request: Permission) -> bool:
        """Tell whether this is enough for the request."""
        return (
            (self.group, self.resource, self.verb) == (request.group, request.resource, request.verb)
            and self.namespace in ("", request.namespace)
            and self.name in ("", request.name)
        )


NEEDED_BY = {
    Permission(*POLICIES, "list"): "app.cluster.state.fresh:FreshReads.policies",
    Permission(*POLICIES, "watch"): "app.cluster.state.resources:POLICIES",
    Permission("", "namespaces", "get"): "app.cluster.state.fresh:FreshReads.namespace",
    Permission("", "namespaces", "list"): "app.cluster.state.fresh:FreshReads.managed",
    Permission("", "namespaces", "watch"): "app.cluster.state.resources:NAMESPACES",
    Permission(ADMISSION, MUTATING, "list"): "app.cluster.state.resources:configurations",
    Permission(ADMISSION, MUTATING, "watch"): "app.cluster.state.resources:configurations",
    Permission(ADMISSION, VALIDATING, "list"): "app.cluster.state.resources:configurations",
    Permission(ADMISSION, VALIDATING, "watch"): "app.cluster.state.resources:configurations",
    Permission(*DEFINITIONS, "list"): "app.cluster.state.resources:DEFINITIONS",
    Permission(*DEFINITIONS, "watch"): "app.cluster.state.resources:DEFINITIONS",
    Permission("", "services", "list"): "app.cluster.state.resources:service",
    Permission("", "services", "watch"): "app.cluster.state.resources:service",
    Permission("discovery.k8s.io", "endpointslices", "list"): "app.cluster.state.resources:slices",
    Permission("discovery.k8s.io", "endpointslices", "watch"): "app.cluster.state.resources:slices",
    Permission("", "nodes", "list"): "app.cluster.state.resources:NODES",
    Permission("", "nodes", "watch"): "app.cluster.state.resources:NODES",
    Permission("", "pods", "list", "kube-system"): "app.cluster.state.resources:agents",
    Permission("", "pods", "watch", "kube-system"): "app.cluster.state.resources:agents",
    Permission("authorization.k8s.io", "subjectaccessreviews", "create"): "app.cluster.client.server:ask",
    Permission("events.k8s.io", "events", "create"): "app.cluster.events:OverrideEvents",
    Permission(ADMISSION, VALIDATING, "get", name=NAME): "app.certificates.reconcile:Reconciler._read",
    Permission(ADMISSION, VALIDATING, "patch", name=NAME): "app.certificates.reconcile:Reconciler._apply",
    Permission("", "namespaces", "patch", name=NAME): "app.certificates.reconcile:Reconciler._unreached",
    Permission("", "namespaces", PROBE_VERB, name=NAME): "app.certificates.reconcile:Reconciler._unreached",
    Permission("", "secrets", "create", NAME): f"{ROTATOR}._written",
    Permission("", "secrets", "get", NAME, TLS_SECRET): f"{ROTATOR}._read",
    Permission("", "secrets", "update", NAME, TLS_SECRET): f"{ROTATOR}._written",
    Permission("", "pods", "list", NAME): "app.cluster.probe.address_owners:owners_of",
    Permission("", "pods", "patch", NAME): f"{ROTATOR}._announce",
    Permission("", "configmaps", "list", NAME, SOURCES_CONFIG_MAP): "app.cluster.state.resources:remembered",
    Permission("", "configmaps", "watch", NAME, SOURCES_CONFIG_MAP): "app.cluster.state.resources:remembered",
    Permission("", "configmaps", "list", "", "cilium-config"): "app.cluster.state.resources:cilium",
    Permission("", "configmaps", "watch", "", "cilium-config"): "app.cluster.state.resources:cilium",
    Permission("", "configmaps", "get", NAME, SOURCES_CONFIG_MAP): "app.cluster.probe.store:remember",
    Permission("", "configmaps", "patch", NAME, SOURCES_CONFIG_MAP): "app.cluster.probe.store:remember",
    Permission("", "configmaps", "list", NAME, SERVICES): "app.cluster.state.resources:seen_services",
    Permission("", "configmaps", "watch", NAME, SERVICES): "app.cluster.state.resources:seen_services",
    Permission("", "configmaps", "patch", NAME, SERVICES): "app.webhook.service_memory:ServiceMemory",
    Permission("", "configmaps", "get", NAME, LEDGER_CONFIG_MAP): f"{LEDGER}.read",
    Permission("", "configmaps", "list", NAME, LEDGER_CONFIG_MAP): "app.cluster.state.resources:ledger",
    Permission("", "configmaps", "watch", NAME, LEDGER_CONFIG_MAP): "app.cluster.state.resources:ledger",
    Permission("", "configmaps", "patch", NAME, LEDGER_CONFIG_MAP): f"{LEDGER}.merge",
    Permission(*POLICIES, "patch", NAME, NAME): "app.cluster.state.consistent:ConsistentReads.touch",
}


def granted() -> Iterator[Permission]:
    """Yield everything that the roles that ship permit."""
    for role in guard_manifests():
        if role["kind"] in ("Role", "ClusterRole"):
            for rule in role["rules"]:
                yield from _permissions(rule, role["metadata"].get("namespace", ""))


def _permissions(rule: dict[str, Any], namespace: str) -> Iterator[Permission]:
    assert rule.keys() <= {"apiGroups", "resources", "verbs", "resourceNames"}
    for group in rule["apiGroups"]:
        for resource in rule["resources"]:
            for verb in rule["verbs"]:
                for name in rule.get("resourceNames", [""]):
                    yield Permission(group, resource, verb, namespace, name)


def test_every_permission_is_listed_with_the_code_that_needs_it() -> None:
    assert sorted(granted()) == sorted(NEEDED_BY)


@pytest.mark.parametrize("code", sorted(set(NEEDED_BY.values())))
def test_the_code_that_needs_a_permission_exists(code: str) -> None:
    assert resolve_name(code) is not None


@pytest.fixture(scope="module")
def asked(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What a guard asked the API server for while it did everything that it ever does."""
    make_managed(cluster, "managed")
    cluster.apply(*spark_operator("managed"))
    settings = {"webhook": {"checkSeconds": 1}}
    deployed.apply(cluster, deployed.overlay(tmp_path_factory.mktemp("overlay"), settings))
    deployed.wait_until_guarding(cluster)
    _lose_the_ledger(cluster)
    _override(cluster)
    _change_labels(cluster)
    _damage_the_secret(cluster)
    _measure(cluster)
    _leave_an_entry(cluster)
    assert eventually(lambda: not _unused(_of_the_guard(cluster))), sorted(_unused(_of_the_guard(cluster)))
    return _of_the_guard(cluster)


def test_nothing_that_a_guard_asks_for_is_forbidden(asked: list[dict[str, Any]]) -> None:
    forbidden = {
        _request(event)
        for event in asked
        if event["annotations"].get("authorization.k8s.io/decision") == "forbid"
    }
    assert forbidden == set()


def test_every_permission_is_used(asked: list[dict[str, Any]]) -> None:
    assert _unused(asked) == set()


def _of_the_guard(cluster: Cluster) -> list[dict[str, Any]]:
    events = (event for event in cluster.control_plane.audit_events() if "objectRef" in event)
    return [event for event in events if event["user"]["username"] == SERVICE_ACCOUNT_USER]


def _unused(events: list[dict[str, Any]]) -> set[Permission]:
    requests = {_request(event) for event in events} | set(_own_rights(events))
    return {right for right in granted() if not any(right.permits(request) for request in requests)}


def _request(event: dict[str, Any]) -> Permission:
    what = event["objectRef"]
    resource = "/".join(part for part in (what["resource"], what.get("subresource")) if part)
    return Permission(
        what.get("apiGroup", ""), resource, event["verb"], what.get("namespace", ""), what.get("name", "")
    )


def _own_rights(events: list[dict[str, Any]]) -> Iterator[Permission]:
    """Yield what the guard's own account was found to be allowed when the guard asked who may probe."""
    for event in events:
        spec = event.get("requestObject", {}).get("spec", {})
        if spec.get("user") == SERVICE_ACCOUNT_USER:
            right = spec["resourceAttributes"]
            yield Permission(
                right.get("group", ""), right["resource"], right["verb"], right["namespace"], right["name"]
            )


# -- everything that a guard ever does ---------------------------------------------------------------------


def _lose_the_ledger(cluster: Cluster) -> None:
    """Have a change judged without the ledger, which is then there again."""
    cluster.kubectl("delete", "configmap", LEDGER_CONFIG_MAP, "-n", NAME)
    policy = json.dumps(deny_all("managed"))

    def is_judged_by_fresh_reads() -> bool:
        cluster.kubectl("apply", "-f", "-", "--dry-run=server", stdin=policy, check=False)
        return Permission("", "namespaces", "get") not in _unused(_of_the_guard(cluster))

    assert eventually(is_judged_by_fresh_reads)
    cluster.kubectl("apply", "-f", str(DEPLOY / "ledger.yaml"))


def _leave_an_entry(cluster: Cluster) -> None:
    """Have a change under way that nobody makes, so that it goes by time alone."""
    patch = json.dumps({"data": {"format": "1", "entry._.tests": "whole"}})
    cluster.kubectl("patch", "configmap", LEDGER_CONFIG_MAP, "-n", NAME, "--type=merge", "-p", patch)


def _override(cluster: Cluster) -> None:
    policy = deny_all("managed")
    policy["metadata"]["annotations"] = {OVERRIDE_ANNOTATION: "a test"}
    shown = cluster.kubectl("apply", "-f", "-", stdin=json.dumps(policy))
    assert "overrid" in shown.stderr
    cluster.kubectl("delete", "networkpolicy", "default-deny", "-n", "managed")


def _change_labels(cluster: Cluster) -> None:
    cluster.kubectl("label", "namespace", "managed", "a=b", "--dry-run=server")


def _damage_the_secret(cluster: Cluster) -> None:
    patch = json.dumps({"data": {"ca.key": None}})
    cluster.kubectl("patch", "secret", TLS_SECRET, "-n", NAME, "--type=merge", "-p", patch)


def _measure(cluster: Cluster) -> None:
    """Leave a source noted long ago, which the guard notes again when a review comes from it."""
    (source,) = cluster.api_servers[0].sources
    entry = {"address": source, "firstSeen": "2020-01-01T00:00:00Z", "lastSeen": "2020-01-01T00:00:00Z"}
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": SOURCES_CONFIG_MAP, "namespace": NAME},
        "data": {source: json.dumps(entry)},
    }
    cluster.apply(config)
    cluster.kubectl("label", "namespace", "managed", "c=d", "--dry-run=server")
