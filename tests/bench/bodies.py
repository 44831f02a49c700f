"""AdmissionReviews of a wanted size, each with an object of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Object = dict[str, Any]
NAMESPACE = "data-plane-analytics"
_MANAGER = {
    "manager": "kubectl-client-side-apply",
    "operation": "Update",
    "apiVersion": "networking.k8s.io/v1",
}


def policy(name: str, rules: int, salt: int = 0) -> Object:
    """Return a policy for one application with that many ingress rules, unlike that of any other ``salt``."""
    ingress = [
        {
            "from": [
                {"podSelector": {"matchLabels": {"app": f"client-{salt}-{number}"}}},
                {"namespaceSelector": {"matchLabels": {"team": f"team-{number}"}}},
            ],
            "ports": [{"protocol": "TCP", "port": 8000 + number}],
        }
        for number in range(rules)
    ]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "generation": 2,
            "uid": "6d1f5b0e-0000-4000-8000-000000000000",
            "labels": {"app": name},
        },
        "spec": {
            "podSelector": {"matchLabels": {"app": name}},
            "policyTypes": ["Ingress"],
            "ingress": ingress,
        },
    }


def standing_policies() -> list[Object]:
    """Return the five policies that stand beside the baselines."""
    return [policy(f"app-{number}", 2) for number in range(5)]


def write_bodies(folder: Path, size: int, count: int) -> tuple[Path, ...]:
    """Write ``count`` updates of a policy, of about ``size`` bytes, and return their files."""
    folder.mkdir()
    files = tuple(folder / f"{index}.json" for index in range(count))
    rules = 2 if size < 10_000 else size // 1_200
    for index, file in enumerate(files):
        file.write_text(_review(size, rules, index))
    return files


def _review(size: int, rules: int, salt: int) -> str:
    old, new = policy("app-0", rules), policy("app-0", rules, salt + 1)
    request: Object = {
        "uid": "00000000-0000-4000-8000-000000000000",
        "kind": {"group": "networking.k8s.io", "version": "v1", "kind": "NetworkPolicy"},
        "resource": {"group": "networking.k8s.io", "version": "v1", "resource": "networkpolicies"},
        "name": "app-0",
        "namespace": NAMESPACE,
        "operation": "UPDATE",
        "userInfo": {"username": "developer", "groups": ["system:authenticated"]},
        "object": new,
        "oldObject": old,
        "dryRun": False,
    }
    review = {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request}
    missing = max(0, size - len(json.dumps(review, separators=(",", ":"))) - 300)
    # What fills real reviews: who manages which field, once in the new object and once in the old one.
    for version in (new, old):
        fields: Object = {f"f:field-{number}": {} for number in range(missing // 2 // 18)}
        version["metadata"]["managedFields"] = [{**_MANAGER, "fieldsV1": fields}]
    return json.dumps(review, separators=(",", ":"))
