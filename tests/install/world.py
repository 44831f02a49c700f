"""A small cluster for plans: two managed namespaces, a gateway, the operator's webhook, two API servers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

from app.engine.addresses import network_set
from app.engine.cluster import Cluster, Provenance, Source, TargetPort, WebhookService
from app.engine.policy import Namespace, PodPeer, Policy
from app.engine.ports import Protocol
from app.engine.required_flows import Options
from app.engine.selectors import Selector
from app.install.dry_run import dry_run
from app.install.execution import PolicyRun, RunReport, carry_out
from app.install.plan import Plan, plan_policies, plan_removals
from app.install.policies.namespace import Choices
from app.install.policies.neighbours import neighbours
from app.install.policies.simulation import Simulation
from app.install.policies.stored import Inventory
from app.wire.networkpolicy.render import render_policy
from app.wire.objects.services import ServiceFacts
from tests.install.store import MemoryStore, NoTime, RecordingTerminal

Object = dict[str, Any]
NS = "data-plane"
MANAGED = {"iomete.com/managed": "true"}
OPERATOR = Selector.labels({"service": "spark-operator"})
NOTHING = Choices()


def source(cidr: str, provenance: Provenance = Provenance.GUESSED) -> Source:
    """Return an API server source."""
    return Source(provenance, f"EndpointSlice {cidr}", addresses=network_set(ip_network(cidr)))


def webhook(name: str = "spark-operator-webhook", selector: Selector = OPERATOR) -> WebhookService:
    """Return a webhook Service of ``NS``."""
    return WebhookService(NS, name, selector, (TargetPort(Protocol.TCP, 9443),))


SERVICES = (
    ServiceFacts("edge", "ingress", {"app.kubernetes.io/name": "ingress-nginx", "x": "y"}, ()),
    ServiceFacts("web", "shop", {"app": "shop"}, ()),
)
CLUSTER = Cluster(
    namespaces={
        name: Namespace.of(name, labels)
        for name, labels in {
            NS: MANAGED,
            "iomete-system": MANAGED,
            "istio-system": {},
            "edge": {},
            "web": {},
        }.items()
    },
    sources=(source("10.20.0.10"), source("10.20.0.11")),
    webhooks=(webhook(),),
)


def agents() -> PodPeer:
    """Return the proxy pods through which calls come where the distribution tunnels."""
    return PodPeer.own("kube-system", Selector.labels({"app": "konnectivity-agent"}))


def with_webhooks(*webhooks: WebhookService) -> Cluster:
    """Return the cluster with other webhook Services."""
    return replace(CLUSTER, webhooks=webhooks)


def inventory_of(store: MemoryStore, cluster: Cluster, namespace: str) -> Inventory:
    """Return what is in ``store`` as a plan wants it."""
    stored = {namespace: store.stored()}
    return Inventory(
        replace(cluster, policies={namespace: store.policies()}), stored, neighbours(cluster, SERVICES)
    )


def planned(
    store: MemoryStore, cluster: Cluster = CLUSTER, choices: Choices = NOTHING, namespace: str = NS
) -> Plan:
    """Return the plan that brings the baselines into ``namespace``."""
    return plan_policies(inventory_of(store, cluster, namespace), [namespace], choices, Options())


def removal(store: MemoryStore, cluster: Cluster = CLUSTER, namespace: str = NS) -> Plan:
    """Return the plan that takes the baselines out of ``namespace``."""
    return plan_removals(inventory_of(store, cluster, namespace), [namespace], Options())


def carried_out(
    plan: Plan, store: MemoryStore, cluster: Cluster = CLUSTER, clock: NoTime | None = None
) -> RunReport:
    """Try ``plan`` in dry runs and carry it out."""
    tried = dry_run(store, plan.steps)
    assert not tried.problems, tried.problems
    acts = PolicyRun(store, clock or NoTime(), Simulation(cluster, Options()), 10.0)
    return carry_out(acts.of(tried.steps), RecordingTerminal())


def titles(plan: Plan) -> list[str]:
    """Return the steps of ``plan`` without what is the same everywhere."""
    return [step.title.replace(f"NetworkPolicy {NS}/", "") for step in plan.steps]


def manifest(name: str, spec: Object, **metadata: object) -> Object:
    """Return a NetworkPolicy of ``NS``."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": NS, **metadata},
        "spec": {"podSelector": {}, **spec},
    }


def rendered(policies: Sequence[Policy]) -> list[Object]:
    """Return policies as somebody would write them by hand: without our labels."""
    return [json.loads(json.dumps(render_policy(policy))) for policy in policies]


DENY_ALL = manifest("default-deny", {"policyTypes": ["Ingress", "Egress"]})
