"""A plan is tried on the engine before it touches the cluster: no state on the way may do harm.

Harm is a required flow that is lost on the way and was not lost before, or anything let through that neither
the state before nor the one after lets through.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from app.engine.budget import Unlimited
from app.engine.cluster import Cluster, WebhookService
from app.engine.effects import everywhere
from app.engine.judge import Age, Judge, Loss, State
from app.engine.policy import Direction, Policy
from app.engine.regions import NamespaceTable
from app.engine.required_flows import Options, guarded_namespaces, required_flows
from app.engine.search.find import find_only_allowed
from app.engine.selectors import EVERYTHING
from app.engine.sentences import example_words
from app.engine.words import flow_words, listed
from app.install.policies.changes import PolicyChange, states_along


@dataclass(frozen=True, slots=True)
class Harm:
    """What a change would do on the way, in words."""

    change: PolicyChange
    words: str


class Simulation:
    """Judges the policies of the namespaces of one cluster."""

    def __init__(self, cluster: Cluster, options: Options) -> None:
        """``cluster`` has the namespaces as they will be labelled.

        Most namespaces of a platform carry the same policies: what was found harmless in one is so in the
        next. A verdict depends on the namespace by its policies and webhooks alone.
        """
        self._harmless: set[object] = set()
        self._cluster = cluster
        self._options = options
        self._guarded = guarded_namespaces(cluster)
        self._table = NamespaceTable(cluster.namespaces)
        self._judge = Judge(options.known_by(cluster), Unlimited())

    def lost(self, namespace: str, before: Iterable[Policy], after: Iterable[Policy]) -> tuple[Loss, ...]:
        """Return the required flows of ``namespace`` that ``after`` loses and ``before`` did not."""
        was, now = tuple(before), tuple(after)
        key = ("lost", self._webhooks(namespace), _meaning(was), _meaning(now))
        if key in self._harmless:
            return ()
        flows = required_flows(self._cluster, namespace, self._options, self._guarded)
        verdict = self._judge.compare(self._state(was), self._state(now), flows)
        lost = tuple(loss for loss in verdict.losses if loss.age is Age.NEW)
        if not lost:
            self._harmless.add(key)
        return lost

    def remaining(self, namespace: str, policies: Iterable[Policy]) -> tuple[Loss, ...]:
        """Return the required flows of ``namespace`` that ``policies`` lose."""
        flows = required_flows(self._cluster, namespace, self._options, self._guarded)
        return self._judge.audit(self._state(policies), flows).losses

    def harm(self, namespace: str, before: Sequence[Policy], changes: Sequence[PolicyChange]) -> Harm | None:
        """Return the first harm that ``changes``, one after the other, would do; None if they do none."""
        states = [(change, tuple(state.values())) for change, state in states_along(before, changes)]
        along = tuple(_meaning(state) for _, state in states)
        key = ("harm", self._webhooks(namespace), _meaning(before), along)
        if key in self._harmless:
            return None
        for change, state in states:
            lost = self.lost(namespace, before, state)
            if lost:
                return Harm(change, _loss_words(lost))
        for change, state in states[:-1]:
            if self._is_wider(state, (before, states[-1][1])):
                return Harm(change, "more would be let through than before and afterwards")
        self._harmless.add(key)
        return None

    def _is_wider(self, policies: Iterable[Policy], bounds: Iterable[Iterable[Policy]]) -> bool:
        side, sides = self._state(policies).side(), [self._state(bound).side() for bound in bounds]
        return any(
            find_only_allowed(region, side, sides, Unlimited()) is not None
            for direction in Direction
            for region in everywhere(direction, EVERYTHING, self._table)
        )

    def _webhooks(self, namespace: str) -> tuple[WebhookService, ...]:
        webhooks = (webhook for webhook in self._cluster.webhooks if webhook.namespace == namespace)
        return tuple(replace(webhook, namespace="") for webhook in webhooks)

    def _state(self, policies: Iterable[Policy]) -> State:
        return State(tuple(policies), self._table)


def _meaning(policies: Iterable[Policy]) -> tuple[Policy, ...]:
    return tuple(replace(policy, namespace="", name="") for policy in policies)


def _loss_words(lost: Sequence[Loss]) -> str:
    worst = lost[0]
    by = listed(dict.fromkeys(policy.name for policy in worst.isolating))
    return f"cuts {flow_words(worst.flow)}, isolated by {by}: {example_words(worst)}"
