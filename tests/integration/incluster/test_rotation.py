"""The authority is replaced under continuous requests, while the replicas hear of each step far apart.

``ROTATION_LAG_SECONDS=90`` makes it as far apart as on a real cluster.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.certificates.expiry import Validity
from app.certificates.issue import issue_serving, make_authority
from app.certificates.pairs import fingerprints
from app.certificates.renewal import Holding
from app.certificates.secret import secret_with
from tests.integration.incluster import deployed
from tests.integration.incluster.deployed import GUARD, replicas
from tests.integration.incluster.handshakes import Handshakes, bundle_of
from tests.integration.incluster.load import Load, Outcome, questions
from tests.integration.incluster.scenes import baselined_namespace, eventually, make_managed
from tests.kube.cluster import Cluster
from tests.kube.pods import Habits

LAG_SECONDS = int(os.environ.get("ROTATION_LAG_SECONDS", "30"))
"""How rarely the slower replica looks (kubelets refresh Secrets every 90 s); the other looks often."""
AUTHORITY_LIFE = timedelta(days=999)
STARTED_BY = timedelta(seconds=30)
"""When the authority comes to have a third of its life left, so that the next one is due."""
SETTINGS = {
    "webhook": {"checkSeconds": 1},
    # A day for the former authority is too long for a test; everything else happens as it always does.
    "tls": {"overlapDays": 0.0002, "settleSeconds": 3},
}


def due_soon() -> Holding:
    """Certificates whose authority is to be replaced in a moment."""
    now = datetime.now(UTC)
    started = now + STARTED_BY - 2 * AUTHORITY_LIFE / 3
    authority = make_authority("netpol-guard", Validity.lasting(AUTHORITY_LIFE, started))
    hosts = (f"{GUARD}.{GUARD}.svc",)
    return Holding(issue_serving(authority, hosts, Validity.lasting(timedelta(days=90), now)), authority)


def slow_second_replica() -> Any:  # noqa: ANN401 - a function of the kubelet's
    """Return the kubelet's habits for Pods: every second one of the guard's looks rarely."""
    seen: list[str] = []

    def habits_for(pod: Mapping[str, Any]) -> Habits:
        if pod["metadata"]["namespace"] != GUARD:
            return Habits()
        seen.append(pod["metadata"]["name"])
        is_slow = len(seen) % 2 == 0
        return Habits(
            environment={"NETPOL_GUARD_WEBHOOK__CHECK_SECONDS": str(LAG_SECONDS)} if is_slow else {}
        )

    return habits_for


@pytest.fixture
def first(cluster: Cluster, tmp_path: Path) -> Holding:
    """What the guard of the cluster serves with at first."""
    make_managed(cluster, "bare")
    baselined_namespace(cluster, "baselined")
    cluster.kubelet.habits_for = slow_second_replica()
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": GUARD}}
    first = due_soon()
    cluster.apply(namespace, secret_with(first, GUARD))
    deployed.apply(cluster, deployed.overlay(tmp_path, SETTINGS))
    deployed.wait_until_guarding(cluster)
    return first


@pytest.mark.slow
def test_no_admission_and_no_handshake_fails_while_the_authority_is_replaced(
    cluster: Cluster, first: Holding
) -> None:
    lengths = []

    def is_replaced() -> bool:
        bundle = bundle_of(cluster).encode()
        lengths.append(len(fingerprints(bundle)))
        return lengths[-1] == 1 and fingerprints(bundle) != fingerprints(first.authority.certificate)

    restarts = [each.restarts for each in replicas(cluster)]
    with Load(cluster, questions("bare", "baselined")) as load, Handshakes(cluster) as handshakes:
        assert eventually(is_replaced, seconds=120 + 4 * LAG_SECONDS), cluster.kubelet.describe()
        load.wait_for(more=20)
    assert max(lengths) == 2, "the two overlapped"
    assert handshakes.failures == []
    assert handshakes.done > 20
    assert {each.outcome for each in load.answered} == {Outcome.RIGHT}, load.of(Outcome.FAILED)
    assert all(each.is_ready for each in replicas(cluster))
    assert [each.restarts for each in replicas(cluster)] == restarts
