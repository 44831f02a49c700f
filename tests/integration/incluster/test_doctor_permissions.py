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


@pytest.fixture
def looker(doctored: Doctored) -> Path:
    """The kubeconfig of somebody who has just this role."""
    doctored.cluster.apply(ROLE)
    return doctored.cluster.control_plane.service_account_kubeconfig("default", NAME)


def seen(doctored: Doctored, kubeconfig: Path) -> tuple[int, str]:
    done = doctored.cluster.guard("doctor", kubeconfig=kubeconfig)
    return done.returncode, done.stdout + done.stderr


def test_with_the_role_everything_can_be_checked(doctored: Doctored, looker: Path) -> None:
    assert eventually(lambda: seen(doctored, looker) == (0, "healthy: nothing is cut off\n")), seen(
        doctored, looker
    )


@pytest.mark.parametrize(
    "left_out", RULES, ids=lambda rule: f"{rule['resources'][0]}-{'-'.join(rule.get('resourceNames', []))}"
)
def test_without_a_part_of_the_role_doctor_says_which_rule_is_missing(
    doctored: Doctored, looker: Path, left_out: dict[str, Any]
) -> None:
    (resource,) = left_out["resources"]
    doctored.cluster.apply({**ROLE, "rules": [rule for rule in RULES if rule != left_out]})
    verb = left_out["verbs"][0]
    rule = f'resources: ["{resource}"], verbs: ["{verb}"]'
    expected = 2 if resource in NEEDED else 0
    if resource == "deployments":
        rule += " in namespace netpol-guard"
    assert eventually(lambda: rule in unwrapped(seen(doctored, looker)[1])), seen(doctored, looker)
    assert seen(doctored, looker)[0] == expected


def unwrapped(text: str) -> str:
    return " ".join(text.split())
