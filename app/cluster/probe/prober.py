"""Measures where the API server's calls come from, by the nonce probe (``app.model.probe``).

::

    prober = Prober(configuration(kubeconfig, context))
    measurement = prober.measure("iomete-system")   # a managed namespace: the webhook's scope
    measurement.sources                             # for the engine: found, and what follows from it
    measurement.coverage, measurement.notes         # for a person
    remember(connection, measurement, by="admin")   # app.cluster.probe.store

Each probe is a server-side dry run of a harmless NetworkPolicy (it lets everything in), so nothing is left
behind. It goes over a connection of its own, so that a load balancer spreads them, and the guard ends the API
server's connection with its answer, so that the API server chooses a guard pod, and a way to it, anew. Every
API server that can be addressed by itself is asked until 20 probes bring no news.

Needs ``create`` and ``probe`` on ``networkpolicies.networking.k8s.io`` in that namespace, and reads nodes and
pods, to tell what an address is. All calls block.
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http import HTTPStatus

from app.cluster.client.connection import ClientConfiguration, Connection
from app.cluster.client.errors import Purpose
from app.cluster.client.objects import Objects
from app.cluster.probe.address_owners import owners_of
from app.cluster.probe.api_servers import ApiServerEndpoint, find_endpoints
from app.cluster.probe.conclude import conclude
from app.errors import ChangeFailed, StateUnreadable
from app.model.kinds import NETWORK_POLICY, DryRun, Manifest, Reference
from app.model.measurement import Coverage, Measurement, Observation
from app.model.probe import (
    PROBE_ANNOTATION,
    PROBE_VERB,
    ProbeAnswer,
    ProbeRefusal,
    Refusal,
    new_nonce,
    read_answer,
)
from app.names import NAME, OURS

QUIET_PROBES = 20
"""So many probes without news end it (``docs/design/sources.md``, Discovery)."""

_MOST_PROBES = 400
_UNANSWERED = 3
"""Probes without any answer before nothing is expected any more: each may take as long as the webhook may."""
_PROBE_SECONDS = 30.0
_PAUSE_SECONDS = 0.5
_SETTLING_SECONDS = 5.0
"""After a first answer, what a webhook that was just registered may take to be known to every API server."""
_WHAT = "where the API server's calls come from"
_NOT_CALLED = "failed calling webhook"
"""How the API server says that it could not reach a webhook (``webhook/errors``)."""


@dataclass(frozen=True, slots=True)
class ProbeTimeouts:
    """How long to wait for a webhook that was just registered, and how long one address is asked then."""

    for_first_answer: float = 0.0
    for_all: float = 120.0


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
        enough = QUIET_PROBES if self.seen else _UNANSWERED
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
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Nothing is sent yet; ``progress`` is told what is being done, from several threads."""
        self._config = config
        self._guard_namespace = guard_namespace
        self._progress = progress

    def measure(self, namespace: str, timeouts: ProbeTimeouts = ProbeTimeouts()) -> Measurement:
        """Return what probes in ``namespace``, a managed one, found out.

        Raises ``StateUnreadable`` where nothing could be measured: the API server cannot be reached, the user
        may not probe (the RBAC rule is named), no guard answered. Where only a part could be, ``coverage``
        and ``notes`` say which.
        """
        objects = Objects(Connection(self._config), NAME)
        places = find_endpoints(self._config, objects)
        with ThreadPoolExecutor(len(places.usable)) as pool:
            records = list(pool.map(lambda endpoint: self._ask(endpoint, namespace, timeouts), places.usable))
        if not any(record.seen for record in records):
            raise _unanswered(records[0], namespace)
        observations = tuple(observation for record in records for observation in record.observations())
        coverage = tuple(record.coverage() for record in records)
        self._progress("reading what the measured addresses belong to")
        owners = owners_of(objects, self._guard_namespace, {observation.peer for observation in observations})
        return conclude(observations, coverage, owners, places.notes)

    def _ask(self, endpoint: ApiServerEndpoint, namespace: str, timeouts: ProbeTimeouts) -> _Record:
        """Probe through one address until there is no news."""
        record = _Record(endpoint)
        objects = Objects(endpoint.connection, NAME, _PROBE_SECONDS)
        settled = time.monotonic() + timeouts.for_first_answer
        ends = settled + timeouts.for_all
        while not record.is_done and time.monotonic() < ends:
            outcome = _probe(objects, namespace)
            endpoint.connection.close()  # the next probe is to be a new connection
            now = time.monotonic()
            if isinstance(outcome, _Silence) and now < settled:
                self._progress(f"waiting until a guard answers {endpoint.name}")
                time.sleep(_PAUSE_SECONDS)
                continue
            if not record.seen:
                # Members behind one address learn of a webhook one after the other.
                settled = min(settled, now + _SETTLING_SECONDS)
            record.take(outcome)
            self._progress(f"asked {endpoint.name} {record.probes} times, {len(record.seen)} ways seen")
        return record


def _harmless(namespace: str, nonce: str) -> Manifest:
    """Return a policy that takes nothing away from anybody: it lets all traffic in, everywhere."""
    reference = Reference(NETWORK_POLICY, f"netpol-guard-probe-{secrets.token_hex(4)}", namespace)
    marks = {"labels": dict([OURS]), "annotations": {PROBE_ANNOTATION: nonce}}
    return reference.manifest(marks, spec={"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]})


def _probe(objects: Objects, namespace: str) -> ProbeAnswer | _Silence:
    """Send one probe. Raises ``StateUnreadable`` where no further one can do better."""
    nonce = new_nonce()
    failure: ChangeFailed | None = None
    try:
        warnings = objects.create(_harmless(namespace, nonce), DryRun.ALL).warnings
    except ChangeFailed as error:
        failure, warnings = error, error.warnings
    answer = read_answer(warnings, nonce)
    if isinstance(answer, ProbeRefusal):
        why = f"the guard says: {answer.why}"
        if answer.kind is Refusal.UNDECIDED:
            return _Silence(why, "try again")
        asked = Purpose(_WHAT, PROBE_VERB, NETWORK_POLICY.group, NETWORK_POLICY.resource, namespace)
        raise StateUnreadable(_WHAT, why, f"grant this rule: {asked.rule}")
    if answer is not None:
        return answer
    if failure is None:
        return _Silence(_NOT_ANSWERED, _HOW_TO_BE_ANSWERED)
    refused = HTTPStatus.BAD_REQUEST <= failure.status < HTTPStatus.INTERNAL_SERVER_ERROR
    # Refused for good, that is: not for a moment of overload, nor for want of a webhook.
    if refused and failure.status != HTTPStatus.TOO_MANY_REQUESTS:
        raise StateUnreadable(_WHAT, failure.why, failure.how)
    return _Silence(failure.why, _HOW_TO_BE_ANSWERED if _NOT_CALLED in failure.said else failure.how)


_NOT_ANSWERED = "no guard answered: the webhook was not called, or could not be reached and is skipped"
_HOW_TO_BE_ANSWERED = (
    "look at the guard's pods and at its ValidatingWebhookConfiguration: with failurePolicy Ignore the API"
    " server goes on without an answer, and says nothing"
)


def _unanswered(record: _Record, namespace: str) -> StateUnreadable:
    silence = record.silence or _Silence("there was no time", "allow more")
    why = f"none of {record.probes} probes in namespace {namespace} was answered: {silence.why}"
    return StateUnreadable(_WHAT, why, silence.how)
