"""What Prometheus can ask for: decisions, their time, overrides, the certificate's end.

Everything that is counted on the way of a request is bound to its labels once and found again by one look
into a dictionary; what can be asked for when somebody scrapes is not counted at all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from app import __version__
from app.names import LEDGER_METRIC, WEBHOOK_SERVICES_METRIC

SECONDS = (5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Borders of the time buckets: a decision takes well below a millisecond, its bound is a second."""

DecisionLabels = tuple[str, str, str, str]
"""Operation, resource, verdict and mode."""

_PREFIX = "netpol_guard"


class Metrics:
    """All metrics of one process, in a registry of their own, so that tests can have many."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ours: dict[str, Any] = {"namespace": _PREFIX, "registry": self.registry}
        labels = "operation", "resource", "verdict", "mode"
        self._decisions = Counter("decisions", "Requests decided.", labels, **ours)
        self._seconds = Histogram("decision_seconds", "Time one decision took.", buckets=SECONDS, **ours)
        text = "Overrides asked for, by what came of them."
        self._overrides = Counter("overrides", text, ["outcome"], **ours)
        text = "Requests answered without a decision."
        self._refusals = Counter("refused_requests", text, ["reason"], **ours)
        self._in_flight = Gauge("in_flight_requests", "Reviews being handled now.", **ours)
        text = "Addresses that reviews came from in the last 7 days although no known source covers them."
        self._unknown_peers = Gauge("unknown_peers", text, **ours)
        text = "When the serving certificate ends, in Unix time."
        self._expiry = Gauge("certificate_expiry_timestamp_seconds", text, **ours)
        text = "When the authority of the certificates ends, in Unix time."
        self._authority_expiry = Gauge("authority_expiry_timestamp_seconds", text, **ours)
        text = "Whether changes that meet over two replicas are judged together, by the ledger: 1 or 0."
        self._ledger = Gauge(LEDGER_METRIC, text, **ours)
        text = "Changes judged, by what it took: harmless nothing, watched one write, listed and fresh lists."
        self._ways = Counter("changes", text, ["way"], **ours)
        text = "Replicas that answer beside this one and keep no ledger, as an older version does."
        self._others = Gauge("replicas_without_ledger", text, **ours)
        text = "Whether what webhook Services were is kept across restarts: 1 or 0."
        self._webhook_services = Gauge(WEBHOOK_SERVICES_METRIC, text, **ours)
        text = "Questions that took too long to be answered at once, by what came of them."
        self._hard_questions = Counter("hard_questions", text, ["outcome"], **ours)
        text = "Workers started for hard questions; more than one: an earlier one ended."
        self._worker_starts = Counter("worker_starts", text, **ours)
        self._worker_up = Gauge(
            "worker_up", "Whether the worker for hard questions is there: 1 or 0.", **ours
        )
        text = "What reconciling changed of the guard's own objects, or failed to."
        self._reconciled = Counter("upkeep", text, ["what"], **ours)
        text = "Rounds of probes that measure where the API server calls from: complete, incomplete, failed."
        self._rounds = Counter("probe_rounds", text, ["outcome"], **ours)
        text = "When the last complete round of probes was, of all replicas, in Unix time; 0: none yet."
        self._completed_round = Gauge("complete_probe_round_timestamp_seconds", text, **ours)
        text = "Measured sources that the last complete rounds of probes did not see; they expire."
        self._unseen_sources = Gauge("unseen_sources", text, **ours)
        Gauge("info", "The running version.", ["version"], **ours).labels(__version__).set(1)
        self._children: dict[DecisionLabels, Counter] = {}
        ProcessCollector(registry=self.registry)

    def record_decision(self, labels: DecisionLabels, seconds: float) -> None:
        """Count one decision and the time it took."""
        child = self._children.get(labels)
        if child is None:
            child = self._children[labels] = self._decisions.labels(*labels)
        child.inc()
        self._seconds.observe(seconds)

    def record_way(self, way: str) -> None:
        """Count one change by how it was judged: ``harmless``, ``watched``, ``listed``, ``fresh``, ..."""
        self._ways.labels(way).inc()

    def record_override(self, outcome: str) -> None:
        """Count an override that somebody asked for: ``honoured``, ``refused``, ``unanswered``, ..."""
        self._overrides.labels(outcome).inc()

    def record_refusal(self, reason: str) -> None:
        """Count a request that got no decision: ``overload``, ``too large``, ``no JSON``, ..."""
        self._refusals.labels(reason).inc()

    def watch_in_flight(self, count: Callable[[], float]) -> None:
        """Ask ``count`` for the number of reviews being handled whenever somebody scrapes."""
        self._in_flight.set_function(count)

    def watch_unknown_peers(self, count: Callable[[], float]) -> None:
        """Ask ``count`` for the number of addresses that reviews came from and no source covers."""
        self._unknown_peers.set_function(count)

    def watch_probe_rounds(self, completed: Callable[[], float], unseen: Callable[[], float]) -> None:
        """Ask for the last complete round, and how many sources it did not see, when somebody scrapes."""
        self._completed_round.set_function(completed)
        self._unseen_sources.set_function(unseen)

    def record_probe_round(self, outcome: str) -> None:
        """Count a round: ``complete``, ``incomplete`` or ``failed``."""
        self._rounds.labels(outcome).inc()

    def set_certificate_expiry(self, timestamp: float) -> None:
        """Note when the serving certificate ends, in Unix time."""
        self._expiry.set(timestamp)

    def set_authority_expiry(self, timestamp: float) -> None:
        """Note when the authority ends that serving certificates are issued from, in Unix time."""
        self._authority_expiry.set(timestamp)

    def set_ledger_in_use(self, *, is_in_use: bool) -> None:
        """Note whether changes are judged by the ledger."""
        self._ledger.set(is_in_use)

    def set_replicas_without_ledger(self, count: int) -> None:
        """Note how many replicas answer that keep no ledger."""
        self._others.set(count)

    def set_webhook_services_kept(self, *, is_kept: bool) -> None:
        """Note whether what Services of webhooks were is kept across restarts."""
        self._webhook_services.set(is_kept)

    def record_hard_question(self, outcome: str) -> None:
        """Count a question that was not answered at once: ``answered``, ``too complex``, ``busy``, ..."""
        self._hard_questions.labels(outcome).inc()

    def record_worker_start(self) -> None:
        """Count a worker that was started."""
        self._worker_starts.inc()

    def watch_worker(self, is_up: Callable[[], bool]) -> None:
        """Ask ``is_up`` whether there is a worker whenever somebody scrapes."""
        self._worker_up.set_function(is_up)

    def record_reconcile(self, what: str) -> None:
        """Count one change to an object of the guard's own, or ``failed``."""
        self._reconciled.labels(what).inc()

    def render(self) -> tuple[bytes, str]:
        """Return everything in Prometheus' text format, and its media type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST
