"""A platform to be guarded, the commands that guard it, and what stands afterwards."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.integration.incluster.scenes import make_managed, spark_operator
from tests.integration.program import inventory_of
from tests.kube.cluster import IMAGE, Cluster
from tests.kube.history import PolicyHistory

Done = subprocess.CompletedProcess[str]
Object = dict[str, Any]
NS = "managed"
GUARD = "netpol-guard"
OPERATOR, MANAGED = "iomete-spark-operator", "iomete-ingress-egress"
QUICKLY = ("--pause", "0", "--timeout", "180", "--yes")


def bootstrap(cluster: Cluster, *args: str) -> Done:
    return cluster.guard("bootstrap", "--image", IMAGE, *QUICKLY, *args)


def uninstall(cluster: Cluster, *args: str) -> Done:
    return cluster.guard("uninstall", *QUICKLY, *args)


@contextmanager
def watched(cluster: Cluster) -> Iterator[PolicyHistory]:
    """Record every state of the policies; webhooks are called over the primary family alone."""
    history = PolicyHistory(cluster.client(), [each.sources[0] for each in cluster.api_servers])
    yield history
    history.finish()


def make_platform(cluster: Cluster) -> None:
    """Make a managed namespace with the operator's webhook in it."""
    make_managed(cluster, NS)
    cluster.apply(*spark_operator(NS))


def got(cluster: Cluster, *what: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads(cluster.kubectl("get", *what, "-o", "json").stdout)


def policies(cluster: Cluster, namespace: str = NS) -> set[str]:
    return {
        policy["metadata"]["name"] for policy in got(cluster, "networkpolicies", "-n", namespace)["items"]
    }


def let_in(cluster: Cluster) -> set[str]:
    """Return the addresses that the operator's baseline lets in."""
    ingress = got(cluster, "networkpolicy", OPERATOR, "-n", NS)["spec"]["ingress"]
    return {peer["ipBlock"]["cidr"] for rule in ingress for peer in rule["from"]}


def failure_policies(cluster: Cluster) -> set[str]:
    listed = got(cluster, "validatingwebhookconfigurations")["items"]
    ours = [item for item in listed if item["metadata"]["name"] == GUARD]
    return {webhook["failurePolicy"] for configuration in ours for webhook in configuration["webhooks"]}


def assert_guarded(cluster: Cluster) -> None:
    """The guard rejects what cuts flows, fails closed, and nothing of the way there is left."""
    refused = cluster.kubectl("delete", "networkpolicy", MANAGED, "-n", NS, check=False)
    assert "would cut managed namespaces" in refused.stderr
    assert failure_policies(cluster) == {"Fail"}
    assert not any("bridge" in name for name in policies(cluster))


@contextmanager
def unchanged(cluster: Cluster) -> Iterator[None]:
    before = inventory_of(cluster.client())
    yield
    after = inventory_of(cluster.client())
    changed = sorted(path for path in {*before, *after} if before.get(path) != after.get(path))
    if changed:
        raise AssertionError(f"changed: {changed}")
