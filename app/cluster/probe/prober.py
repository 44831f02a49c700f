"""Measures where the API server's calls come from, by the nonce probe (``app.model.probe``).

::

    prober = Prober(configuration(kubeconfig, context))
    measurement = prober.measure(PolicyQuestion("iomete-system"))   # a managed namespace: the webhook's scope
    measurement.sources                             # for the engine: found, and what follows from it
    measurement.coverage, measurement.notes         # for a person
    remember(connection, measurement, by="admin")   # app.cluster.probe.store

Each probe is a server-side dry run that does no harm (``app.cluster.probe.questions``), so nothing is left
behind. It goes over a connection of its own, so that a load balancer spreads them, and the guard ends the API
server's connection with its answer, so that the API server chooses a guard pod, and a way to it, anew. Every
API server that can be addressed by itself is asked until 20 probes bring no news.

Needs the verb ``probe`` on what is asked with, and reads nodes and pods, to tell what an address is. All
calls block.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from app.cluster.client.connection import ClientConfiguration, Connection
from app.cluster.client.objects import Objects
from app.cluster.probe.address_owners import PodsRead, owners_of
from app.cluster.probe.api_servers import ApiServerEndpoint, find_endpoints
from app.cluster.probe.conclude import conclude
from app.cluster.probe.questions import WHAT, Question
from app.errors import ChangeFailed, StateUnreadable
from app.model.measurement import ENOUGH_CALLS, Coverage, Measurement, Observation
from app.model.probe import ProbeAnswer, ProbeRefusal, Refusal, new_nonce, read_answer
from app.names import NAME

_MOST_PROBES = 400
_UNANSWERED = 3
"""Probes without any answer before nothing is expected any more: each may take as long as the webhook may."""
_PAUSE_SECONDS = 0.5
_SETTLING_SECONDS = 5.0
"""After a first answer, what a webhook that was just registered may take to be known to every API server."""
_NOT_CALLED = "failed calling webhook"
"""How the API server says that it could not reach a webhook (``webhook/errors``)."""


@dataclass(frozen=True, slots=True)
class ProbeTimeouts:
    """How long to wait for a webhook that was just registered, and how long one address is asked then.

    ``for_one``: how long each call may take, by itself.
    """

    for_first_answer: float = 0.0
    for_all: float = 120.0
    for_one: float = 30.0


@dataclass(frozen=True, slots=True)
class _Silence:
    """A probe that no guard answered: why, as far as the API server told, and what to look at."""

    why: str
    how: str


@dataclass(slots=True)
class _Record:
    """What one address came to so far."""

    endpoint: ApiServerEndpoint
    seen: Counter[ProbeAnswer] = field(default_factory=Counter)
    probes: int = 0
    quiet: int = 0
    silence: _Silence | None = None

    def take(self, outcome: ProbeAnswer | _Silence) -> None:
        """Count one outcome."""
        self.probes += 1
        self.quiet += 1
        if isinstance(outcome, _Silence):
            self.silence = outcome
            return
        answer = replace(outcome, nonce="")  # answers are the same but for their nonce
        if answer not in self.seen:
            self.quiet = 0
        self.seen[answer] += 1

    @property
    def is_done(self) -> bool:
        """Whether another probe is not worth it."""
        enough = ENOUGH_CALLS if self.seen else _UNANSWERED
        return self.quiet >= enough or self.probes >= _MOST_PROBES

    def observations(self) -> list[Observation]:
        """Return what was seen."""
        name = self.endpoint.name
        return [
            Observation(answer.peer, name, answer.pod, answer.node, times)
            for answer, times in self.seen.items()
            if answer.peer is not None
        ]

    def coverage(self) -> Coverage:
        """Return how far it goes."""
        hidden = sum(times for answer, times in self.seen.items() if answer.peer is None)
        pods, answers = tuple(sorted({answer.pod for answer in self.seen})), self.seen.total()
        trouble = "" if self.silence is None else self.silence.why
        return Coverage(self.endpoint.name, self.endpoint.reach, self.probes, answers, hidden, pods, trouble)


class Prober:
    """Probes a cluster in the name of the user of ``config``."""

    def __init__(
        self,
        config: ClientConfiguration,
        *,
        guard_namespace: str = NAME,
        pods: PodsRead = PodsRead.ALL,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """Nothing is sent yet; ``pods`` are those that may be read. Once ``is_stopped``, it ends soon."""
        self._config = config
        self._guard_namespace = guard_namespace
        self._pods = pods
        self._is_stopped = is_stopped

    def measure(self, question: Question, timeouts: ProbeTimeouts = ProbeTimeouts()) -> Measurement:
        """Return what probes that ask ``question`` found out.

        Raises ``StateUnreadable`` where nothing could be measured: the API server cannot be reached, the user
        may not probe (the RBAC rule is named), no guard answered. Where only a part could be, ``coverage``
        and ``notes`` say which.
        """
        objects = Objects(Connection(self._config), NAME, timeouts.for_one)
        places = find_endpoints(self._config, objects)
        with ThreadPoolExecutor(len(places.usable)) as pool:
            records = list(pool.map(lambda endpoint: self._ask(endpoint, question, timeouts), places.usable))
        if not any(record.seen for record in records):
            raise _unanswered(records[0], question)
        observations = tuple(observation for record in records for observation in record.observations())
        coverage = tuple(record.coverage() for record in records)
        peers = {observation.peer for observation in observations}
        owners = owners_of(objects, self._guard_namespace, peers, self._pods)
        return replace(conclude(observations, coverage, owners, places.notes), unasked=places.unasked)

    def _ask(self, endpoint: ApiServerEndpoint, question: Question, timeouts: ProbeTimeouts) -> _Record:
        """Probe through one address until there is no news."""
        record = _Record(endpoint)
        objects = Objects(endpoint.connection, NAME, timeouts.for_one)
        settled = time.monotonic() + timeouts.for_first_answer
        ends = settled + timeouts.for_all
        while not record.is_done and time.monotonic() < ends and not self._is_stopped():
            outcome = _probe(objects, question)
            endpoint.connection.close()  # the next probe is to be a new connection
            now = time.monotonic()
            if isinstance(outcome, _Silence) and now < settled:
                time.sleep(_PAUSE_SECONDS)
                continue
            if not record.seen:
                # Members behind one address learn of a webhook one after the other.
                settled = min(settled, now + _SETTLING_SECONDS)
            record.take(outcome)
        return record


def _probe(objects: Objects, question: Question) -> ProbeAnswer | _Silence:
    """Send one probe. Raises ``StateUnreadable`` where no further one can do better."""
    nonce = new_nonce()
    failure: ChangeFailed | None = None
    try:
        warnings = question.ask(objects, nonce).warnings
    except ChangeFailed as error:
        failure, warnings = error, error.warnings
    answer = read_answer(warnings, nonce)
    if isinstance(answer, ProbeRefusal):
        why = f"the guard says: {answer.why}"
        if answer.kind is Refusal.UNDECIDED:
            return _Silence(why, "try again")
        raise StateUnreadable(WHAT, why, f"grant this rule: {question.right.rule}")
    if answer is not None:
        return answer
    if failure is None:
        return _Silence(_NOT_ANSWERED, _HOW_TO_BE_ANSWERED)
    refused = HTTPStatus.BAD_REQUEST <= failure.status < HTTPStatus.INTERNAL_SERVER_ERROR
    # Refused for good, that is: not for a moment of overload, nor for want of a webhook.
    if refused and failure.status != HTTPStatus.TOO_MANY_REQUESTS:
        raise StateUnreadable(WHAT, failure.why, failure.how)
    return _Silence(failure.why, _HOW_TO_BE_ANSWERED if _NOT_CALLED in failure.said else failure.how)


_NOT_ANSWERED = "no guard answered: the webhook was not called, or could not be reached and is skipped"
_HOW_TO_BE_ANSWERED = (
    "look at the guard's pods and at its ValidatingWebhookConfiguration: with failurePolicy Ignore the API"
    " server goes on without an answer, and says nothing"
)


def _unanswered(record: _Record, question: Question) -> StateUnreadable:
    silence = record.silence or _Silence("there was no time", "allow more")
    why = f"none of {record.probes} probes in {question} was answered: {silence.why}"
    return StateUnreadable(WHAT, why, silence.how)
