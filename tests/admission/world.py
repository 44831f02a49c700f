"""A small IOMETE cluster for requests, and a reviewer over it."""

from __future__ import annotations

import asyncio
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from ipaddress import ip_network
from typing import Any, TypeVar

from app.admission.offload import Offload
from app.admission.ports import Afterwards, Decision
from app.admission.reviewer import Reviewer
from app.admission.rules import Rules
from app.deadline import Deadline, TimeLimits
from app.engine.addresses import network_set
from app.engine.baselines import written_baselines
from app.engine.budget import Budget, TooComplexError
from app.engine.cluster import Cluster, Endpoint, Provenance, Source, TargetPort, WebhookService
from app.engine.policy import Namespace, Policy
from app.engine.ports import Protocol
from app.engine.selectors import Selector
from app.errors import StateUnreadable
from app.model.access import Access, AccessQuestion, Override, Scope
from app.wire.networkpolicy.parse import Validation, parse_policy
from app.wire.networkpolicy.render import render_policy

Object = dict[str, Any]
T = TypeVar("T")
MANAGED = {"iomete.com/managed": "true"}
API_SERVER = "10.20.0.10/32"
API_ENDPOINT = Endpoint(network_set(ip_network(API_SERVER)), Protocol.TCP, 6443)
NS = "data-plane"


def source(cidr: str = API_SERVER, provenance: Provenance = Provenance.DECLARED) -> Source:
    """Return an API server source."""
    return Source(provenance, f"{provenance.value} {cidr}", addresses=network_set(ip_network(cidr)))


def webhook(namespace: str = NS, port: TargetPort | None = None) -> WebhookService:
    """Return the Spark operator's webhook Service."""
    ports = (port or TargetPort(Protocol.TCP, 9443),)
    return WebhookService(
        namespace, "spark-operator-webhook", Selector.labels({"service": "spark-operator"}), ports
    )


def cluster(*policies: Policy, namespaces: dict[str, dict[str, str]] | None = None) -> Cluster:
    """Return a cluster: two managed namespaces and an unmanaged one, policies all in ``NS``."""
    labels = namespaces or {NS: MANAGED, "iomete-system": MANAGED, "web": {}}
    return Cluster(
        namespaces={name: Namespace.of(name, item) for name, item in labels.items()},
        policies={NS: policies},
        sources=(source(),),
        webhooks=(webhook(),),
    )


def baselines(state: Cluster | None = None) -> tuple[Policy, ...]:
    """Return both baselines for ``NS``."""
    return written_baselines(state or cluster(), NS)


def guarded() -> Cluster:
    """Return the cluster with both baselines in ``NS``."""
    return cluster(*baselines())


def manifest(name: str, spec: Object, **metadata: object) -> Object:
    """Return a NetworkPolicy of ``NS`` as the API server would send it, defaulted."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": NS, **metadata},
        "spec": {"podSelector": {}, **spec},
    }


def rendered(policy: Policy) -> Object:
    """Return the manifest of an engine policy."""
    return json.loads(json.dumps(render_policy(policy)))  # type: ignore[no-any-return]


def parsed(obj: Object) -> Policy:
    """Return the engine policy of a manifest."""
    policy = parse_policy(obj, validation=Validation.STORED).policy
    assert policy is not None
    return policy


DENY_ALL = manifest("default-deny", {"policyTypes": ["Ingress", "Egress"]})


@dataclass
class FakeState:
    """A state that is a value; access is as given."""

    now: Cluster
    grants: Access = field(default_factory=lambda: Access.unknown("nobody to ask"))
    broken: bool = False
    asked: list[AccessQuestion] = field(default_factory=list)
    announced: list[Override] = field(default_factory=list)

    async def read(self, scope: Scope, deadline: Deadline) -> Cluster:  # noqa: ARG002 - the Protocol's
        """Return the state."""
        if self.broken:
            raise StateUnreadable(f"policies of {scope}", "the API server did not answer")
        return self.now

    async def access(self, question: AccessQuestion, deadline: Deadline) -> Access:  # noqa: ARG002 - the Protocol's
        """Return what was given."""
        self.asked.append(question)
        return self.grants

    def overridden(self, override: Override) -> None:
        """Keep what would become an event."""
        self.announced.append(override)


class InProcess:
    """A worker that answers at once; questions and answers travel as to another process."""

    @staticmethod
    def budget(deadline: Deadline) -> Budget:
        """Return what may be spent on a question; to be replaced where time is not to matter."""
        return deadline

    async def ask(self, question: Callable[[Budget], T], deadline: Deadline) -> T:
        """Return the answer."""
        if deadline.exhausted():
            raise TooComplexError
        sent: Callable[[Budget], T] = pickle.loads(pickle.dumps(question))  # noqa: S301 - of this process
        received: T = pickle.loads(pickle.dumps(sent(self.budget(deadline))))  # noqa: S301
        return received


@dataclass
class Log:
    """Keeps decisions."""

    decisions: list[Decision] = field(default_factory=list)

    def decided(self, decision: Decision) -> None:
        """Keep one."""
        self.decisions.append(decision)


@dataclass(frozen=True)
class Answer:
    """An AdmissionReview's response, as a program reads it."""

    response: Object
    decision: Decision
    afterwards: Afterwards = Afterwards.KEEP
    announced: tuple[Override, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether the change is let through."""
        return bool(self.response["allowed"])

    @property
    def message(self) -> str:
        """What kubectl shows for a denial."""
        return str(self.response["status"]["message"])

    @property
    def warnings(self) -> str:
        """All warnings, continued lines joined."""
        return " ".join(self.response.get("warnings", []))


def request(operation: str, new: Object | None = None, old: Object | None = None, **more: object) -> Object:
    """Return the request of an AdmissionReview for a NetworkPolicy or Namespace."""
    obj: Object = new or old or {}
    is_namespace = obj.get("kind") == "Namespace"
    group = "" if is_namespace else "networking.k8s.io"
    resource = "namespaces" if is_namespace else "networkpolicies"
    return {
        "uid": "705ab4f5",
        "kind": {"group": group, "version": "v1", "kind": obj.get("kind", "NetworkPolicy")},
        "resource": {"group": group, "version": "v1", "resource": resource},
        "operation": operation,
        "name": obj.get("metadata", {}).get("name", ""),
        "namespace": obj.get("metadata", {}).get("namespace", "") or obj.get("metadata", {}).get("name", ""),
        "userInfo": {"username": "dev", "groups": ["system:authenticated"]},
        "object": new,
        "oldObject": old,
        **more,
    }


def ask(
    state: FakeState | Cluster,
    asked: Object,
    rules: Rules | None = None,
    peer: str = "10.20.0.10",
    *,
    seconds: float = 5.0,
) -> Answer:
    """Return the answer of a guard over ``state`` to ``asked``, which came from ``peer``."""
    if isinstance(state, Cluster):
        state = FakeState(state)
    log = Log()
    reviewer = Reviewer(state, rules or Rules(), log, state, offload=Offload(InProcess()))
    body = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": asked}
    answered, afterwards = asyncio.run(
        reviewer.respond(json.dumps(body).encode(), TimeLimits.of(seconds), peer)
    )
    reply = json.loads(answered)
    assert reply["response"]["uid"] == asked["uid"]
    return Answer(reply["response"], log.decisions[0], afterwards, tuple(state.announced))


def namespace(name: str, labels: dict[str, str], **metadata: object) -> Object:
    """Return a Namespace object."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels, **metadata}}


def with_sources(state: Cluster, *sources: Source) -> Cluster:
    """Return ``state`` with other API server sources."""
    return replace(state, sources=sources)
