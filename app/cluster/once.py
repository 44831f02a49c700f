"""The state of a live cluster as a command needs it: read once, with the policies of some namespaces."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.cluster.deadline import Deadline
from app.cluster.fresh import FEW, FreshReads
from app.cluster.look import look
from app.cluster.server import Server
from app.cluster.snapshot import Snapshot, snapshot_of

if TYPE_CHECKING:
    from app.cluster.connection import Api
    from app.engine.cluster import Cluster, Source
    from app.engine.policy import Policy

_GREETING_SECONDS = 3.0
"""Whether anybody answers is found out in a moment, rather than after the time-out of a long list."""
_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Reading:
    """A cluster as it was; ``notes`` say what is not known of it, and why."""

    cluster: Cluster
    notes: tuple[str, ...] = ()


def read_once(api: Api, namespaces: Collection[str] | None, *, declared: tuple[Source, ...] = ()) -> Reading:
    """Return the cluster with the policies of ``namespaces``; None stands for all managed ones.

    Raises ``StateUnreadable``, within a few seconds where the API server cannot be reached.
    """
    Server(api, _GREETING_SECONDS).version()
    deadline = Deadline.after(_SECONDS)
    facts = look(api, deadline)
    names = facts.managed if namespaces is None else frozenset(namespaces)
    snapshot = snapshot_of(facts, Snapshot(), declared=declared)
    return Reading(snapshot.with_policies(_policies(api, names, deadline)), snapshot.notes)


def _policies(api: Api, names: frozenset[str], deadline: Deadline) -> Mapping[str, tuple[Policy, ...]]:
    """Return the policies of ``names``: of a few one by one, which needs no right to see the others'."""
    fresh = FreshReads(api)
    if len(names) <= FEW:
        return {name: fresh.policies(name, deadline) for name in sorted(names)}
    return fresh.policies_of(sorted(names), deadline)
