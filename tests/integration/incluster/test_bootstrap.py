"""``bootstrap`` and ``uninstall`` as a whole, in clusters in which the guard's Pods really run."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.cluster.cluster import IMAGE, Cluster, Shape
from tests.cluster.history import PolicyHistory
from tests.cluster.lan import Family
from tests.integration.incluster.conftest import MakeCluster
from tests.integration.incluster.scenes import make_managed, spark_operator
from tests.integration.program import inventory_of

Done = subprocess.CompletedProcess[str]
Object = dict[str, Any]
NS = "managed"
GUARD = "netpol-guard"
OPERATOR, MANAGED = "iomete-spark-operator", "iomete-ingress-egress"
QUICKLY = ("--pause", "0", "--timeout", "60", "--yes")


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
    return {one["metadata"]["name"] for one in got(cluster, "networkpolicies", "-n", namespace)["items"]}


def let_in(cluster: Cluster) -> set[str]:
    """Return the addresses that the operator's baseline lets in."""
    ingress = got(cluster, "networkpolicy", OPERATOR, "-n", NS)["spec"]["ingress"]
    return {peer["ipBlock"]["cidr"] for rule in ingress for peer in rule["from"]}


def failure_policies(cluster: Cluster) -> set[str]:
    listed = got(cluster, "validatingwebhookconfigurations")["items"]
    ours = [one for one in listed if one["metadata"]["name"] == GUARD]
    return {webhook["failurePolicy"] for one in ours for webhook in one["webhooks"]}


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
    assert after == before


@pytest.mark.parametrize(
    "shape",
    [
        Shape(families=(Family.IPV4,)),
        Shape(families=(Family.IPV6,)),
        Shape(families=(Family.IPV4, Family.IPV6)),
        Shape(api_servers=3, hidden_source=True),
        Shape(families=(Family.IPV6, Family.IPV4), api_servers=3, hidden_source=True),
    ],
    ids=["IPv4", "IPv6", "dual-stack", "three-members-one-hidden", "dual-stack-three-members-one-hidden"],
)
def test_from_nothing_to_verified_in_one_command_a_second_run_changes_nothing_and_it_goes_without_a_trace(
    make_cluster: MakeCluster, shape: Shape
) -> None:
    cluster = make_cluster(shape)
    make_platform(cluster)
    before = inventory_of(cluster.client())
    with watched(cluster) as history:
        first = bootstrap(cluster)
        assert first.returncode == 0, first.stdout[-3000:] + first.stderr
        assert_guarded(cluster)
        sources = {source for each in cluster.api_servers for source in each.sources[:1]}
        bits = {source: 128 if ":" in source else 32 for source in sources}
        assert {f"{source}/{bits[source]}" for source in sources} <= let_in(cluster)
        with unchanged(cluster):
            second = bootstrap(cluster)
        assert second.returncode == 0, second.stderr
        assert "Nothing was changed: all of it stood already." in second.stdout
        gone = uninstall(cluster, "--baselines")
        assert gone.returncode == 0, gone.stdout + gone.stderr
    history.assert_nothing_lost()
    assert inventory_of(cluster.client()) == before
