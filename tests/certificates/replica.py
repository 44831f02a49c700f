"""One replica of the guard as far as reconciling goes: what a process remembers is gone when it ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from app.certificates.pairs import Pair
from app.certificates.reconcile import Reconciler, Result
from app.certificates.renewal import Lifetimes
from app.certificates.rotator import CertificateRotator, Dependencies
from app.model.kinds import POD, Reference
from app.names import NAME, FailurePolicy
from tests.certificates.cluster import Counters, FakeCluster, FakeServer, pod

LIFETIMES = Lifetimes(
    authority=timedelta(days=30),
    serving=timedelta(days=9),
    overlap=timedelta(days=1),
    settle=timedelta(seconds=30),
)


@dataclass(repr=False)
class Replica:
    """A Pod with its process."""

    name: str
    cluster: FakeCluster
    policy: FailurePolicy = FailurePolicy.FAIL
    lifetimes: Lifetimes = LIFETIMES
    ahead: timedelta = timedelta()
    """How far the clock of its node is wrong."""
    counters: Counters = field(default_factory=Counters)
    is_ready: bool = False

    def __repr__(self) -> str:
        """Return the name: the rest is said by what is asserted."""
        return self.name

    def __post_init__(self) -> None:
        self.cluster.put(pod(self.name, ready=False))
        self.start()

    def start(self) -> None:
        """Begin a new process in the same Pod."""
        self.server = FakeServer()
        dependencies = Dependencies(self.cluster, self.server, self.counters, self.name, self._clock)
        rotator = CertificateRotator(dependencies, self.lifetimes)
        self.reconciler = Reconciler(self.cluster, rotator, self.policy, self.counters)
        self._set_ready(ready=False)

    def round(self) -> Result:
        """Do one round; the kubelet then looks at readiness, which the process never takes back."""
        ended = self.reconciler.reconcile()
        self._set_ready(ready=self.reconciler.missing is None)
        return ended

    def settle(self, rounds: int = 10) -> None:
        """Do rounds until nothing is left to be changed."""
        for _ in range(rounds):
            if self.round() is not Result.CHANGED:
                return
        raise AssertionError(f"still changing after {rounds} rounds: {self.cluster.writes}")

    def end(self) -> None:
        """The Pod is gone."""
        self.cluster.remove(Reference(POD, self.name, NAME))
        self.is_ready = False

    @property
    def served(self) -> Pair:
        """What handshakes are answered with."""
        assert self.server.pair is not None
        return self.server.pair

    def _clock(self) -> datetime:
        return self.cluster.clock() + self.ahead

    def _set_ready(self, *, ready: bool) -> None:
        if ready == self.is_ready and ready:
            return
        self.is_ready = ready
        live = self.cluster.objects[Reference(POD, self.name, NAME)]
        live["status"] = pod(self.name, ready=ready)["status"]
