"""``bootstrap`` and ``uninstall`` that end in the middle, and what a second run makes of it."""

from __future__ import annotations

import pytest

from app.cli.terminal import LineTerminal
from app.install.bootstrap import bring_guard
from app.install.prepare import BootstrapRequest
from app.install.uninstall import UninstallRequest, take_away
from tests.integration.incluster.conftest import MakeCluster
from tests.integration.incluster.platform import (
    QUICKLY,
    assert_guarded,
    bootstrap,
    failure_policies,
    make_platform,
    watched,
)
from tests.integration.program import cut_site, inventory_of
from tests.kube.cluster import IMAGE, Shape

WRITES, MOST_RUNS = 4, 20


def test_interrupted_again_and_again_it_goes_on_from_there_and_nothing_is_rejected_before_the_end(
    make_cluster: MakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = make_cluster(Shape())
    make_platform(cluster)
    before = inventory_of(cluster.client())
    request = BootstrapRequest(image=IMAGE, yes=True, pause=0, timeout=180)
    terminal = LineTerminal()
    removal = UninstallRequest(guard=True, yes=True, pause=0, timeout=180)
    with watched(cluster) as history, cluster.entered():
        runs = 0
        while bring_guard(cut_site(cluster.kubeconfig(), WRITES), terminal, request) != 0:
            runs += 1
            assert "To complete it: netpol-guard bootstrap" in capsys.readouterr().out
            assert failure_policies(cluster) <= {"Ignore"}
            assert runs < MOST_RUNS
        assert runs > 2
        assert_guarded(cluster)
        removed = 0
        while take_away(cut_site(cluster.kubeconfig(), WRITES), terminal, removal) != 0:
            removed += 1
            assert failure_policies(cluster) == set()
            assert removed < MOST_RUNS
        assert removed > 1
    history.assert_nothing_lost()
    assert inventory_of(cluster.client()) == before


def test_killed_while_it_waits_for_the_guard_a_second_run_completes_it(make_cluster: MakeCluster) -> None:
    cluster = make_cluster(Shape())
    make_platform(cluster)
    with cluster.guard_started("bootstrap", "--image", IMAGE, *QUICKLY) as process:
        output = process.stdout
        assert output is not None
        while "ValidatingWebhookConfiguration netpol-guard ... done" not in (line := output.readline()):
            assert line, "it ended before"
        process.kill()
    assert failure_policies(cluster) == {"Ignore"}
    assert bootstrap(cluster).returncode == 0
    assert_guarded(cluster)
