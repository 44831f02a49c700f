"""What Prometheus can ask for: decisions, their time, overrides, the certificate's end.

Everything that is counted on the way of a request is bound to its labels once and found again by one look
into a dictionary; what can be asked for when somebody scrapes is not counted at all.
"""

from __future__ import annotations

from collections.abc import Callable

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

SECONDS = (5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Borders of the time buckets: a decision takes well below a millisecond, its bound is a second."""

_PREFIX = "netpol_guard"


class Metrics:
    """All metrics of one process, in a registry of their own, so that tests can have many."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._decisions = self._counter(
            "decisions", "Requests decided.", "operation", "resource", "verdict", "mode"
        )
        self._seconds = Histogram(
            "decision_seconds",
            "Time one decision took.",
            namespace=_PREFIX,
            buckets=SECONDS,
            registry=self.registry,
        )
        self._overrides = self._counter("overrides", "Overrides asked for, by what came of them.", "outcome")
        self._refusals = self._counter("refused_requests", "Requests answered without a decision.", "reason")
        self._in_flight = self._gauge("in_flight_requests", "Reviews being handled now.")
        self._unknown_peers = self._gauge(
            "unknown_peers",
            "Addresses that reviews came from in the last 7 days although no known source covers them.",
        )
        self._expiry = self._gauge(
            "certificate_expiry_timestamp_seconds", "When the serving certificate ends, in Unix time."
        )
        self._authority_expiry = self._gauge(
            "authority_expiry_timestamp_seconds", "When the authority of the certificates ends, in Unix time."
        )
        self._reconciled = self._counter(
            "upkeep", "What reconciling changed of the guard's own objects, or failed to.", "what"
        )
        self._gauge("info", "The running version.", "version").labels(__version__).set(1)
        self._children: dict[tuple[str, str, str, str], Counter] = {}
        ProcessCollector(registry=self.registry)

    def record_decision(
        self, *, operation: str, resource: str, verdict: str, mode: str, seconds: float
    ) -> None:
        """Count one decision and the time it took."""
        key = (operation, resource, verdict, mode)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = self._decisions.labels(*key)
        child.inc()
        self._seconds.observe(seconds)

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

    def set_certificate_expiry(self, timestamp: float) -> None:
        """Note when the serving certificate ends, in Unix time."""
        self._expiry.set(timestamp)

    def set_authority_expiry(self, timestamp: float) -> None:
        """Note when the authority ends that serving certificates are issued from, in Unix time."""
        self._authority_expiry.set(timestamp)

    def record_reconcile(self, what: str) -> None:
        """Count one change to an object of the guard's own, or ``failed``."""
        self._reconciled.labels(what).inc()

    def render(self) -> tuple[bytes, str]:
        """Return everything in Prometheus' text format, and its media type."""
        return generate_latest(self.registry), CONTENT_TYPE_LATEST

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(name, text, labels, namespace=_PREFIX, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, namespace=_PREFIX, registry=self.registry)
