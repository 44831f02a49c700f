"""The part of a ``Cluster`` that does not change with every policy, derived from facts.

It is the same object for as long as it says the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from app.cluster.state.facts import Facts
from app.cluster.state.sources import api_server_endpoints, discover
from app.cluster.state.webhook_services import find_webhooks
from app.engine.cluster import Cluster, Endpoint, Source, WebhookService
from app.engine.policy import Namespace, Policy

V = TypeVar("V")

_CILIUM = (
    "the network plugin is Cilium, whose ipBlock never matches pods: ipBlockMatchesPods is taken for no,"
    " unless it is set"
)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything of a ``Cluster`` but the policies; ``notes`` say what is not judged or known, and why."""

    namespaces: Mapping[str, Namespace] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()
    webhooks: tuple[WebhookService, ...] = ()
    api_server: tuple[Endpoint, ...] = ()
    blocks_match_pods: bool | None = None
    notes: tuple[str, ...] = ()

    def with_policies(
        self, policies: Mapping[str, tuple[Policy, ...]], namespaces: Mapping[str, Namespace] | None = None
    ) -> Cluster:
        """Return the cluster with ``policies``; ``namespaces`` are fresher ones, where they differ."""
        known = self.namespaces if namespaces is None else namespaces
        return Cluster(known, policies, self.sources, self.webhooks, self.api_server, self.blocks_match_pods)


def snapshot_of(
    facts: Facts,
    before: Snapshot,
    *,
    declared: tuple[Source, ...] = (),
    measured: tuple[Source, ...] = (),
) -> Snapshot:
    """Return what follows from ``facts``; what is as in ``before`` are those very objects."""
    found = discover(facts, declared=declared, measured=measured)
    webhooks = find_webhooks(facts)
    return Snapshot(
        kept(before.namespaces, facts.namespaces),
        kept(before.sources, found.sources),
        kept(before.webhooks, webhooks.services),
        kept(before.api_server, api_server_endpoints(facts.slices)),
        False if facts.has_cilium else None,
        (*facts.unread, *found.notes, *webhooks.notes, *([_CILIUM] if facts.has_cilium else [])),
    )


def kept(old: V, new: V) -> V:
    """Return ``old`` where it equals ``new``."""
    return old if old == new else new


def is_same(old: Cluster, new: Cluster) -> bool:
    """Tell whether nothing differs; equal is not enough for policies, as verdicts go by identity."""
    return (
        old.policies.keys() == new.policies.keys()
        and all(old.policies[name] is found for name, found in new.policies.items())
        and (old.namespaces is new.namespaces or old.namespaces == new.namespaces)
        and old.sources is new.sources
        and old.webhooks is new.webhooks
        and old.api_server is new.api_server
        and old.blocks_match_pods is new.blocks_match_pods
    )
