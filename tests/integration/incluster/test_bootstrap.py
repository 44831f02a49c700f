"""``bootstrap`` and ``uninstall`` as a whole, in every shape of cluster, the guard's Pods really running."""

from __future__ import annotations

import pytest

from tests.integration.incluster.conftest import MakeCluster
from tests.integration.incluster.platform import (
    assert_guarded,
    bootstrap,
    let_in,
    make_platform,
    unchanged,
    uninstall,
    watched,
)
from tests.integration.program import inventory_of
from tests.kube.cluster import Shape
from tests.kube.lan import Family

pytestmark = pytest.mark.slow


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
