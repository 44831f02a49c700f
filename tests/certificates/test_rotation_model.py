"""Rotation as a state machine: whatever the order of events, whoever calls a ready replica is answered.

Replicas do their rounds one after another or one inside another's, crash in the middle of one, come and go;
the Secret is deleted or damaged, the manifests are applied again, API servers lag behind. At every moment,
what a ready replica serves is a good certificate, trusted by every bundle that an API server may still have.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from app.certificates.configuration import CONFIGURATION, configuration_of
from app.certificates.expiry import validity_of
from app.certificates.handshake import rejection
from app.certificates.pairs import fingerprint
from app.certificates.secret import holding_of
from app.model.kinds import SECRET, Reference
from app.names import NAME, SERVICE_HOST, TLS_SECRET
from tests.certificates.cluster import Crash, FakeCluster
from tests.certificates.replica import LIFETIMES, Replica

THE_SECRET = Reference(SECRET, TLS_SECRET, NAME)
LAG = LIFETIMES.settle - timedelta(seconds=1)
"""By how much an API server's configuration may be older than the stored one."""
MOST_REPLICAS = 3
CALLS_OF_A_ROUND = 7
DAYS_OF_REST = 4
"""A rotation may just have begun: it takes its overlap, and no other begins for a third of a life."""

_trusted: dict[tuple[str, bytes], bool] = {}


class Rotation(RuleBasedStateMachine):
    """The cluster and its replicas."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = FakeCluster()
        self.cluster.is_reached = True
        self.replicas: list[Replica] = []
        self.made = 0

    @initialize(count=st.integers(1, 2))
    def install(self, count: int) -> None:
        self.cluster.kubectl_apply()
        for _ in range(count):
            self._add()
        self._all_rounds()

    # -- time ----------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, 15, 30, 90]))
    def some_seconds_pass(self, seconds: int) -> None:
        self.cluster.advance(timedelta(seconds=seconds))

    @rule(hours=st.integers(1, 24), turns=st.integers(1, 4), spread=st.sampled_from([1, 20, 45, 90]))
    def hours_pass_in_which_every_replica_has_rounds(self, hours: int, turns: int, spread: int) -> None:
        self.cluster.advance(timedelta(hours=hours))
        for _ in range(turns):
            for replica in self.replicas:
                replica.round()
                self.check()
                self.cluster.advance(timedelta(seconds=spread))

    # -- replicas ------------------------------------------------------------------------------------------

    @rule(data=st.data())
    def one_does_a_round(self, data: st.DataObject) -> None:
        self._one(data).round()

    @precondition(lambda self: len(self.replicas) > 1)
    @rule(data=st.data(), call=st.integers(0, CALLS_OF_A_ROUND))
    def one_does_a_round_inside_anothers(self, data: st.DataObject, call: int) -> None:
        outer, inner = data.draw(st.permutations(self.replicas))[:2]
        self._interrupt(call, inner.round)
        outer.round()
        self.cluster.before_call = lambda: None

    @rule(data=st.data(), call=st.integers(0, CALLS_OF_A_ROUND))
    def one_crashes_in_a_round_and_starts_again(self, data: st.DataObject, call: int) -> None:
        replica = self._one(data)
        self._interrupt(call, _crash)
        with suppress(Crash):
            replica.round()
        self.cluster.before_call = lambda: None
        replica.start()

    @precondition(lambda self: len(self.replicas) < MOST_REPLICAS)
    @rule()
    def another_starts(self) -> None:
        self._add().round()

    @precondition(lambda self: len(self.replicas) > 1)
    @rule(data=st.data())
    def one_goes(self, data: st.DataObject) -> None:
        replica = self._one(data)
        self.replicas.remove(replica)
        replica.end()

    # -- what others do ------------------------------------------------------------------------------------

    @rule()
    def the_manifests_are_applied_again(self) -> None:
        self.cluster.kubectl_apply()

    @rule()
    def the_secret_is_deleted(self) -> None:
        self.cluster.remove(THE_SECRET)

    @precondition(lambda self: THE_SECRET in self.cluster.objects)
    @rule(key=st.sampled_from(["tls.crt", "tls.key", "ca.crt", "ca.key"]))
    def the_secret_is_damaged(self, key: str) -> None:
        damaged = self.cluster.objects[THE_SECRET]
        damaged["data"][key] = damaged["data"]["tls.key"][:40]
        self.cluster.put(damaged)

    # -- what must hold ------------------------------------------------------------------------------------

    @invariant()
    def check(self) -> None:
        for replica in self.replicas:
            if not replica.is_ready:
                continue
            validity = validity_of(replica.served.certificate)
            assert validity.start <= self.cluster.now < validity.end, f"{replica.name} serves what has ended"
            for bundle in self._bundles():
                assert _trusts(bundle, replica), f"{replica.name} serves what is not trusted"

    def teardown(self) -> None:
        """Whatever has happened: left alone, it comes to rest with one authority, guarded."""
        if not self.replicas:
            return
        self._rest()
        for _ in range(DAYS_OF_REST):
            if len(configuration_of(self.cluster.objects[CONFIGURATION]).trusted) > 1:
                self.cluster.advance(LIFETIMES.overlap)
                self._rest()
        holding = holding_of(self.cluster.objects[THE_SECRET])
        webhooks = configuration_of(self.cluster.objects[CONFIGURATION])
        assert {webhook.failure_policy.value for webhook in webhooks.webhooks} == {"Fail"}
        assert all(replica.is_ready and replica.served == holding.serving for replica in self.replicas)
        assert webhooks.trusted == {fingerprint(holding.authority.certificate)}

    def _rest(self) -> None:
        for _ in range(12):
            self.cluster.advance(LIFETIMES.settle)
            self._all_rounds()

    def _bundles(self) -> set[bytes]:
        """Return every bundle that some API server may have now; where there is none, nobody calls."""
        since = self.cluster.now - LAG
        ended = [when for when, _ in self.cluster.history[1:]] + [self.cluster.now]
        recent = [
            configuration
            for (_, configuration), end in zip(self.cluster.history, ended, strict=True)
            if end > since or end == self.cluster.now
        ]
        return {
            configuration_of(configuration).bundle for configuration in recent if configuration is not None
        } - {b""}

    def _add(self) -> Replica:
        self.made += 1
        replica = Replica(f"guard-{self.made}", self.cluster)
        self.replicas.append(replica)
        return replica

    def _one(self, data: st.DataObject) -> Replica:
        return data.draw(st.sampled_from(self.replicas))

    def _all_rounds(self) -> None:
        for _ in range(3):
            for replica in self.replicas:
                replica.round()

    def _interrupt(self, call: int, what: Callable[[], object]) -> None:
        """Have ``what`` happen once, before the call of that number."""
        calls = iter(range(call))

        def before() -> None:
            if next(calls, None) is None:
                self.cluster.before_call = lambda: None
                what()

        self.cluster.before_call = before


def _crash() -> None:
    raise Crash


def _trusts(bundle: bytes, replica: Replica) -> bool:
    key = (fingerprint(replica.served.certificate), bundle)
    if key not in _trusted:
        _trusted[key] = rejection(replica.served, bundle, SERVICE_HOST) is None
    return _trusted[key]


TestRotation = Rotation.TestCase
TestRotation.settings = settings(
    max_examples=30,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    # Making one failure smaller would take minutes of cryptography.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)
