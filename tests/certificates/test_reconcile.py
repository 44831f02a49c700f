from __future__ import annotations

import base64
from datetime import timedelta

import pytest

from app.certificates.configuration import CONFIGURATION, configuration_of
from app.certificates.expiry import validity_of
from app.certificates.handshake import rejection
from app.certificates.pairs import fingerprint, fingerprints
from app.certificates.reconcile import Reconciler, Result
from app.certificates.secret import holding_of
from app.errors import StateUnreadable
from app.model.kinds import SECRET, Manifest, Reference
from app.names import FAILURE_POLICY_ANNOTATION, NAME, SERVICE_HOST, TLS_SECRET, FailurePolicy
from tests.certificates.cluster import FakeCluster, shipped_configuration
from tests.certificates.replica import LIFETIMES, Replica

THE_SECRET = Reference(SECRET, TLS_SECRET, NAME)
SOON = timedelta(seconds=5)


@pytest.fixture
def cluster() -> FakeCluster:
    """Return a cluster to which the manifests were just applied."""
    made = FakeCluster()
    made.kubectl_apply()
    return made


def secret(cluster: FakeCluster) -> Manifest:
    return cluster.objects[THE_SECRET]


def policies(cluster: FakeCluster) -> set[str]:
    return {webhook["failurePolicy"] for webhook in cluster.objects[CONFIGURATION]["webhooks"]}


def trusted(cluster: FakeCluster) -> frozenset[str]:
    return configuration_of(cluster.objects[CONFIGURATION]).trusted


def is_trusted(cluster: FakeCluster, replica: Replica) -> bool:
    bundle = configuration_of(cluster.objects[CONFIGURATION]).bundle
    return rejection(replica.served, bundle, SERVICE_HOST) is None


# -- the first start ---------------------------------------------------------------------------------------


def test_the_first_replica_makes_the_secret_publishes_the_bundle_and_serves(cluster: FakeCluster) -> None:
    replica = Replica("guard-1", cluster)
    replica.settle()
    assert is_trusted(cluster, replica)
    assert trusted(cluster) == {fingerprint(holding_of(secret(cluster)).authority.certificate)}
    assert replica.is_ready


def test_a_replica_is_not_ready_before_its_certificate_is_trusted(cluster: FakeCluster) -> None:
    replica = Replica("guard-1", cluster)
    assert replica.reconciler.missing == "no certificate yet"
    assert replica.round() is Result.CHANGED
    assert not replica.is_ready
    replica.settle()
    assert replica.reconciler.missing is None


def test_of_two_replicas_that_start_at_once_the_slower_takes_the_secret_of_the_other(
    cluster: FakeCluster,
) -> None:
    slow, quick = Replica("guard-1", cluster), Replica("guard-2", cluster)

    def between() -> None:
        if cluster.writes == [] and THE_SECRET not in cluster.objects:
            cluster.before_call = lambda: None
            quick.settle()

    calls = iter(range(3))
    cluster.before_call = lambda: between() if next(calls, 2) == 2 else None
    assert slow.round() is Result.CHANGED  # its create met the other's Secret
    slow.settle()
    assert cluster.writes.count("create Secret") == 1
    assert slow.served == quick.served
    assert is_trusted(cluster, slow)


def test_without_a_configuration_a_replica_serves_and_is_ready() -> None:
    cluster = FakeCluster()
    replica = Replica("guard-1", cluster)
    assert replica.round() is Result.SETTLED
    assert replica.is_ready
    cluster.kubectl_apply()
    replica.settle()
    assert is_trusted(cluster, replica)


def test_when_all_is_as_it_should_be_nothing_is_written(cluster: FakeCluster) -> None:
    cluster.is_reached = True
    replica = Replica("guard-1", cluster)
    replica.settle()
    cluster.writes.clear()
    assert [replica.round() for _ in range(3)] == [Result.SETTLED] * 3
    assert cluster.writes == []


def test_a_configuration_that_leads_to_somebody_elses_service_is_left_alone(cluster: FakeCluster) -> None:
    foreign = shipped_configuration()
    for webhook in foreign["webhooks"]:
        webhook["clientConfig"]["service"]["name"] = "another"
    cluster.put(foreign)
    Replica("guard-1", cluster).settle()
    assert "apply ValidatingWebhookConfiguration" not in cluster.writes


# -- failurePolicy -----------------------------------------------------------------------------------------


def test_the_policy_stays_ignore_until_the_api_server_is_seen_to_reach_a_guard(
    cluster: FakeCluster,
) -> None:
    replica = Replica("guard-1", cluster)
    replica.settle()
    assert replica.round() is Result.WAITING
    assert policies(cluster) == {"Ignore"}
    cluster.is_reached = True
    replica.settle()
    assert policies(cluster) == {"Fail"}


def test_applying_the_manifests_again_ends_guarded_again(cluster: FakeCluster) -> None:
    cluster.is_reached = True
    replica = Replica("guard-1", cluster)
    replica.settle()
    before = trusted(cluster)
    cluster.kubectl_apply()
    assert policies(cluster) == {"Ignore"}
    replica.settle()
    assert policies(cluster) == {"Fail"}
    assert trusted(cluster) == before


def test_a_replaced_configuration_gets_bundle_and_policy_again(cluster: FakeCluster) -> None:
    cluster.is_reached = True
    replica = Replica("guard-1", cluster)
    replica.settle()
    cluster.put(shipped_configuration())
    replica.settle()
    assert is_trusted(cluster, replica)
    assert policies(cluster) == {"Fail"}


@pytest.mark.parametrize("setting", list(FailurePolicy))
def test_the_annotation_goes_before_the_setting(cluster: FakeCluster, setting: FailurePolicy) -> None:
    cluster.is_reached = True
    replica = Replica("guard-1", cluster, setting)
    live = cluster.objects[CONFIGURATION]
    for wanted in ("Ignore", "Fail", "Ignore"):
        live = cluster.objects[CONFIGURATION]
        live["metadata"]["annotations"] = {FAILURE_POLICY_ANNOTATION: wanted}
        cluster.put(live)
        replica.settle()
        assert policies(cluster) == {wanted}
    del live["metadata"]["annotations"]
    cluster.put(live)
    replica.settle()
    assert policies(cluster) == {setting.value}


def test_where_certificates_are_somebody_elses_work_only_the_policy_is_written(cluster: FakeCluster) -> None:
    live = cluster.objects[CONFIGURATION]
    other = Replica("guard-1", FakeCluster())
    other.round()
    bundle = other.served.certificate
    for webhook in live["webhooks"]:
        webhook["clientConfig"]["caBundle"] = base64.b64encode(bundle).decode()
    cluster.put(live)
    cluster.is_reached = True
    reconciler = Reconciler(cluster, None, FailurePolicy.FAIL, other.counters)
    assert reconciler.missing is None
    assert reconciler.reconcile() is Result.CHANGED
    assert policies(cluster) == {"Fail"}
    assert trusted(cluster) == set(fingerprints(bundle))
    assert THE_SECRET not in cluster.objects


# -- rotation ----------------------------------------------------------------------------------------------


def test_a_serving_certificate_is_renewed_from_its_authority_when_a_third_of_its_life_is_left(
    cluster: FakeCluster,
) -> None:
    replica = Replica("guard-1", cluster)
    replica.settle()
    first, bundle = replica.served, trusted(cluster)
    cluster.advance(timedelta(days=5))
    replica.settle()
    assert replica.served == first
    cluster.advance(timedelta(days=2))
    replica.settle()
    assert replica.served != first
    assert trusted(cluster) == bundle


def test_an_authority_is_replaced_in_steps(cluster: FakeCluster) -> None:
    replicas = [Replica(f"guard-{number}", cluster) for number in (1, 2)]
    one, two = replicas
    for each in replicas:
        each.settle()
    old = trusted(cluster)
    cluster.advance(timedelta(days=6))
    while len(trusted(cluster)) == 1:  # renewals come first
        cluster.advance(timedelta(hours=12))
        one.settle()
    (new,) = trusted(cluster) - old

    cluster.advance(LIFETIMES.settle)
    one.settle()
    assert fingerprint(holding_of(secret(cluster)).authority.certificate) in old, (
        "the other does not know it yet"
    )
    two.settle()
    one.settle()
    assert fingerprint(holding_of(secret(cluster)).authority.certificate) == new
    cluster.advance(SOON)
    two.settle()
    assert one.served != two.served, "each takes it over when it has seen the authority published long enough"
    cluster.advance(LIFETIMES.settle)
    two.settle()
    assert one.served == two.served
    assert trusted(cluster) == {*old, new}

    cluster.advance(LIFETIMES.overlap - timedelta(hours=1))
    one.settle()
    assert trusted(cluster) == {*old, new}
    cluster.advance(timedelta(hours=1))
    one.settle()
    assert trusted(cluster) == {new}


def test_a_former_authority_stays_published_while_a_ready_replica_serves_under_it(
    cluster: FakeCluster,
) -> None:
    one, two = Replica("guard-1", cluster), Replica("guard-2", cluster)
    for each in (one, two):
        each.settle()
    old = trusted(cluster)
    _until_issued(cluster, one, two)
    cluster.advance(3 * LIFETIMES.overlap)
    one.settle()
    assert trusted(cluster) > old
    two.end()
    one.settle()
    assert not trusted(cluster) & old


def _until_issued(cluster: FakeCluster, one: Replica, two: Replica) -> None:
    """Let one replica go on until the new authority has taken over; the other only learns of it."""
    while holding_of(secret(cluster)).next is None:
        cluster.advance(timedelta(hours=12))
        one.settle()
    two.settle()
    while holding_of(secret(cluster)).next is not None:
        cluster.advance(LIFETIMES.settle)
        one.settle()


# -- what may happen to the Secret -------------------------------------------------------------------------


@pytest.mark.parametrize("damage", ["deleted", "emptied", "another's key", "no authority's key", "no base64"])
def test_a_lost_secret_is_made_anew_and_what_is_served_stays_trusted(
    cluster: FakeCluster, damage: str
) -> None:
    replica = Replica("guard-1", cluster)
    replica.settle()
    served, old = replica.served, trusted(cluster)
    _damage(cluster, damage)
    replica.settle()
    assert replica.served == served
    assert trusted(cluster) > old
    assert is_trusted(cluster, replica)
    cluster.advance(LIFETIMES.settle)
    replica.settle()
    assert replica.served != served
    assert is_trusted(cluster, replica)
    cluster.advance(LIFETIMES.overlap)
    replica.settle()
    assert not trusted(cluster) & old


def _damage(cluster: FakeCluster, how: str) -> None:
    live = secret(cluster)
    if how == "deleted":
        cluster.remove(THE_SECRET)
        return
    if how == "emptied":
        live["data"] = {}
    elif how == "another's key":
        live["data"]["tls.key"] = live["data"]["ca.key"]
    elif how == "no authority's key":
        del live["data"]["ca.key"]
    else:
        live["data"]["ca.crt"] = "?"
    cluster.put(live)


def test_an_authority_whose_key_is_not_its_own_is_replaced_when_it_is_needed(cluster: FakeCluster) -> None:
    replica = Replica("guard-1", cluster)
    replica.settle()
    live = secret(cluster)
    live["data"]["ca.key"] = live["data"]["tls.key"]
    cluster.put(live)
    cluster.advance(timedelta(days=7))
    replica.settle()
    cluster.advance(LIFETIMES.settle)
    replica.settle()
    assert is_trusted(cluster, replica)
    assert len(trusted(cluster)) == 2


def test_somebody_elses_secret_of_that_name_is_never_written_to(cluster: FakeCluster) -> None:
    Replica("guard-1", cluster).settle()
    foreign = secret(cluster)
    foreign["metadata"]["labels"] = {}
    cluster.put(foreign)
    cluster.writes.clear()
    with pytest.raises(StateUnreadable, match="somebody else made it; delete it, or name the files"):
        Replica("guard-2", cluster).round()
    assert cluster.writes == []


@pytest.mark.parametrize("days", [10, 31, 65, 400])
@pytest.mark.parametrize("pending", [False, True], ids=["no next authority", "a next authority"])
def test_guards_that_were_away_for_however_long_come_back_trusted(
    cluster: FakeCluster, days: int, *, pending: bool
) -> None:
    replica, other = Replica("guard-1", cluster), Replica("guard-2", cluster)
    replica.settle()
    other.settle()
    while pending and holding_of(secret(cluster)).next is None:  # the other never learns of it
        cluster.advance(timedelta(hours=12))
        replica.settle()
    replica.end()
    other.end()
    cluster.advance(timedelta(days=days))
    back = Replica("guard-3", cluster)
    back.settle()
    cluster.advance(LIFETIMES.settle)
    back.settle()
    assert back.is_ready
    assert is_trusted(cluster, back)
    held = holding_of(secret(cluster))
    now = cluster.clock()
    assert all(validity_of(pair.certificate).end > now for pair in (back.served, held.authority))


def test_a_secret_that_somebody_damages_again_and_again_does_not_make_the_bundle_grow_for_ever(
    cluster: FakeCluster,
) -> None:
    replica = Replica("guard-1", cluster)
    for _ in range(30):
        replica.settle()
        _damage(cluster, "emptied")
        cluster.advance(LIFETIMES.settle)
    replica.settle()
    assert len(trusted(cluster)) < 15
    assert is_trusted(cluster, replica)


@pytest.mark.parametrize("days", [10, 25, 45, 400])
def test_a_replica_whose_clock_is_far_ahead_takes_no_other_one_with_it(
    cluster: FakeCluster, days: int
) -> None:
    right = Replica("guard-1", cluster)
    right.settle()
    wrong = Replica("guard-2", cluster, ahead=timedelta(days=days))
    for _ in range(5):
        wrong.settle()
        right.settle()
        assert validity_of(right.served.certificate).start <= cluster.clock()
        assert is_trusted(cluster, right)
        cluster.advance(LIFETIMES.overlap / 2)
