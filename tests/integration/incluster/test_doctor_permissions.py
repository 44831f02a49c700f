"""The ClusterRole that ships for doctor: nothing is missing in it, and nothing is left over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from app.shipped import DEPLOY
from tests.integration.incluster.doctored import Doctored
from tests.integration.incluster.scenes import eventually
from tests.kube.cluster import Cluster

NAME = "netpol-guard-doctor"
ROLE: dict[str, Any] = yaml.safe_load((DEPLOY / "doctor" / "clusterrole.yaml").read_text())
RULES = [{**rule, "resources": [resource]} for rule in ROLE["rules"] for resource in rule["resources"]]
NEEDED = {"namespaces", "networkpolicies"}


@pytest.fixture(scope="module")
def doctored(cluster: Cluster) -> Doctored:
    found = Doctored(cluster)
    cluster.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME, "namespace": "default"}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": NAME},
            "roleRef": {**ROLE_REFERENCE, "name": NAME},
            "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": "default"}],
        },
    )
    return found


ROLE_REFERENCE = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole"}


@pytest.fixture(scope="module")
def looker(doctored: Doctored) -> Path:
    """The kubeconfig of somebody who has just this role."""
    return doctored.cluster.control_plane.service_account_kubeconfig("default", NAME)


def grant(doctored: Doctored, rules: list[dict[str, Any]]) -> None:
    """Have the role consist of these rules, and wait until the API server goes by them."""
    doctored.cluster.apply({**ROLE, "rules": rules})
    assert eventually(lambda: [rule for rule in RULES if is_granted(doctored, rule)] == rules)


def is_granted(doctored: Doctored, rule: dict[str, Any]) -> bool:
    """Tell whether the API server lets the looker do the first of what the rule says."""
    (group,), (resource,), verb = rule["apiGroups"], rule["resources"], rule["verbs"][0]
    name = rule.get("resourceNames", [""])[0]
    kind, _, part = resource.partition("/")
    asked = {"verb": verb, "group": group, "resource": kind, "subresource": part, "name": name}
    spec = {"user": f"system:serviceaccount:default:{NAME}", "resourceAttributes": asked}
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    answer = doctored.client.request("POST", path, {"spec": spec})
    return bool(answer.json()["status"]["allowed"])


def seen(doctored: Doctored, kubeconfig: Path) -> tuple[int, str]:
    done = doctored.cluster.guard("doctor", kubeconfig=kubeconfig)
    return done.returncode, done.stdout + done.stderr


def test_with_the_role_everything_can_be_checked(doctored: Doctored, looker: Path) -> None:
    grant(doctored, RULES)
    assert seen(doctored, looker) == (0, "healthy: nothing is cut off\n")


@pytest.mark.parametrize(
    "left_out", RULES, ids=lambda rule: f"{rule['resources'][0]}-{'-'.join(rule.get('resourceNames', []))}"
)
def test_without_a_part_of_the_role_doctor_says_which_rule_is_missing(
    doctored: Doctored, looker: Path, left_out: dict[str, Any]
) -> None:
    (resource,) = left_out["resources"]
    grant(doctored, [rule for rule in RULES if rule != left_out])
    verb = left_out["verbs"][0]
    rule = f'resources: ["{resource}"], verbs: ["{verb}"]'
    expected = 2 if resource in NEEDED else 0
    if resource == "deployments":
        rule += " in namespace netpol-guard"
    code, told = seen(doctored, looker)
    assert rule in " ".join(told.split()), told
    assert code == expected
