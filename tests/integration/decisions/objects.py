"""Objects of the tests, and short words for what they do with the API server."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from app.wire.networkpolicy.render import render_policy
from tests.admission import world
from tests.kube.control_plane import ControlPlane

API_SERVER = "10.20.0.10"
POLICIES = "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies"
NAMESPACES = "/api/v1/namespaces"
OVERRIDE = "netpol-guard.iomete.com/override"
MODE = "netpol-guard.iomete.com/mode"
MERGE = "application/merge-patch+json"
SECONDS = 120.0

Object = dict[str, Any]
FROM_MANAGED: Object = {"from": [{"namespaceSelector": {"matchLabels": {"iomete.com/managed": "true"}}}]}


def baselines(namespace: str) -> tuple[Object, Object]:
    """Return both baselines for the namespace: the operator's, then the one for all pods."""
    made = [json.loads(json.dumps(render_policy(baseline))) for baseline in world.baselines()]
    for manifest in made:
        manifest["metadata"]["namespace"] = namespace
    return made[0], made[1]


def policy(namespace: str, name: str, spec: Object, **metadata: object) -> Object:
    """Return a NetworkPolicy for every pod, unless its spec says otherwise."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {"podSelector": {}, **spec},
    }


def deny(namespace: str, name: str = "default-deny", **metadata: object) -> Object:
    """Return a policy that allows nothing."""
    return policy(namespace, name, {"policyTypes": ["Ingress", "Egress"]}, **metadata)


def open_to_all(namespace: str, name: str, **metadata: object) -> Object:
    """Return a policy that isolates every pod and allows everything."""
    spec = {"policyTypes": ["Ingress", "Egress"], "ingress": [{}], "egress": [{}]}
    return policy(namespace, name, spec, **metadata)


def path_of(one: Object) -> str:
    """Return where the API server keeps a NetworkPolicy."""
    return f"{POLICIES.format(one['metadata']['namespace'])}/{one['metadata']['name']}"


def create(control_plane: ControlPlane, *objects: Object) -> None:
    """Create NetworkPolicies as the admin."""
    for manifest in objects:
        answer = control_plane.client().request(
            "POST", POLICIES.format(manifest["metadata"]["namespace"]), manifest
        )
        assert answer.ok, answer.text


def names(control_plane: ControlPlane, namespace: str) -> set[str]:
    """Return the names of the policies of a namespace."""
    listed = control_plane.client().request("GET", POLICIES.format(namespace)).json()
    return {item["metadata"]["name"] for item in listed["items"]}


def eventually(is_so: Callable[[], bool], what: str) -> None:
    """Wait until it is so; fail with ``what`` if it never is."""
    deadline = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def annotations_of(control_plane: ControlPlane, user: str, name: str) -> dict[str, str]:
    """Return the webhook's audit annotations of the last request of ``user`` about the object ``name``."""
    prefixes = ("networkpolicies.netpol-guard.iomete.com/", "namespaces.netpol-guard.iomete.com/")
    events = [
        event
        for event in control_plane.audit_events()
        if event["user"]["username"] == user and event["objectRef"].get("name") == name
    ]
    found = events[-1].get("annotations", {}) if events else {}
    return {
        key.removeprefix(prefix): value
        for key, value in found.items()
        for prefix in prefixes
        if key.startswith(prefix)
    }


DEVELOPER = ("User", "developer")


def grant_override(
    control_plane: ControlPlane, resource: str, namespace: str, subject: tuple[str, str] = DEVELOPER
) -> None:
    """Let the developer, or their group, override on a resource in (for ``namespaces``, of) the namespace."""
    group = "" if resource == "namespaces" else "networking.k8s.io"
    name = f"override-{resource}"
    rule = {"apiGroups": [group], "resources": [resource], "verbs": ["override"]}
    rbac = "rbac.authorization.k8s.io"
    role = {
        "apiVersion": f"{rbac}/v1",
        "kind": "Role",
        "metadata": {"name": name, "namespace": namespace},
        "rules": [rule],
    }
    binding = {
        "apiVersion": f"{rbac}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name, "namespace": namespace},
        "roleRef": {"apiGroup": rbac, "kind": "Role", "name": name},
        "subjects": [{"apiGroup": rbac, "kind": subject[0], "name": subject[1]}],
    }
    control_plane.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": [role, binding]}))
    review = {
        "spec": {
            "user": "developer",
            "groups": ["developers"],
            "resourceAttributes": {
                "verb": "override", "group": group, "resource": resource, "namespace": namespace
            },
        }
    }  # fmt: skip
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    client = control_plane.client()
    # The authorizer learns of a role a moment after it is stored.
    eventually(
        lambda: bool(client.request("POST", path, review).json()["status"]["allowed"]),
        "the developer never gets the right to override",
    )
