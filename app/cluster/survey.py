"""One look at a whole live cluster: a bounded number of paginated lists, whatever the number of namespaces.

Each part is read for itself, so that a missing permission costs what it hides and no more. What cannot be
read at all is the caller's ``StateUnreadable``: without namespaces and policies there is nothing to examine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from app.cluster.calls import call_service
from app.cluster.connection import Request
from app.cluster.deadline import Deadline
from app.cluster.errors import HttpRefusal, Wanted
from app.cluster.facts import AGENT_LABELS, Agent, Facts, agent_of
from app.cluster.listing import Collection, list_all
from app.cluster.plugins import CILIUM_CONFIG, limit_of
from app.cluster.resources import DEFINITIONS, NODES, agents
from app.cluster.snapshot import Snapshot, snapshot_of
from app.engine.policy import Namespace, Policy
from app.errors import StateUnreadable
from app.wire.errors import UnusableObject
from app.wire.identity import OVERRIDE_ANNOTATION
from app.wire.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    MUTATING,
    NAMESPACE,
    NETWORK_POLICY,
    POD,
    SECRET,
    SERVICE,
    VALIDATING,
    Kind,
    Reference,
)
from app.wire.metadata import Metadata
from app.wire.namespaces import namespace_of
from app.wire.networkpolicy import parse_stored
from app.wire.objects import (
    EndpointSliceFacts,
    NodeFacts,
    ServiceFacts,
    endpointslice_facts,
    node_facts,
    service_facts,
)
from app.wire.registrations import Registration, conversion_registration, registrations
from app.wire.remembered import read_memory
from app.wire.survey import Call, Override, ServiceKey, Survey, Unread
from app.wire.workloads import (
    DeploymentFacts,
    PodFacts,
    config_map_data,
    deployment_facts,
    pod_facts,
    secret_certificate,
)

if TYPE_CHECKING:
    from msgspec import Raw

    from app.cluster.connection import Api
    from app.engine.cluster import Source

T = TypeVar("T")
Tell = Callable[[str], None]

_GREETING_SECONDS = 4.0
_LIST_SECONDS = 30.0
_THREADS = 6
_KUBERNETES = ("default", "kubernetes")


@dataclass(frozen=True, slots=True)
class Questions:
    """What to look for beside what is always read.

    ``guard`` is namespace and name of the guard's objects; ``neighbours`` are label selectors of pods outside
    the managed namespaces that have business inside; ``calls`` tells whether webhooks are really called.
    """

    guard: ServiceKey = ("netpol-guard", "netpol-guard")
    neighbours: tuple[Mapping[str, str], ...] = ()
    calls: bool = True


@dataclass(frozen=True, slots=True)
class Sighting:
    """What was read; ``settings`` is the text of the guard's settings, "" without.

    ``cilium`` is the data of Cilium's ConfigMap, None where there is none.
    """

    facts: Facts
    survey: Survey
    policies: Mapping[str, tuple[Policy, ...]]
    settings: str = ""
    cilium: Mapping[str, str] | None = None

    def judged(self, declared: tuple[Source, ...] = ()) -> Survey:
        """Return the survey, with the API server's sources as declared, or else as measured and found."""
        now = datetime.now(UTC)
        snapshot = snapshot_of(self.facts, Snapshot(), declared=declared, now=now)
        limit = None if self.cilium is None else limit_of(self.cilium, snapshot.sources, self.facts.nodes)
        return replace(
            self.survey,
            cluster=snapshot.with_policies(self.policies),
            unknown_peers=self.facts.memory.unknown,
            limit=limit,
        )


@dataclass(slots=True)
class _Notes:
    """What could not be read, and the resources that are hidden by it."""

    unread: list[Unread] = field(default_factory=list)
    hidden: set[str] = field(default_factory=set)

    def add(self, error: StateUnreadable, resource: str) -> None:
        self.unread.append(Unread(error.what, error.why, error.how))
        self.hidden.add(resource)


class Surveyor:
    """Looks at one cluster; made for one look."""

    def __init__(self, api: Api, questions: Questions, tell: Tell = lambda _: None) -> None:
        """``tell`` hears what is being done, from any thread."""
        self._api = api
        self._questions = questions
        self._tell = tell
        self._notes = _Notes()

    def look(self) -> Sighting:
        """Return what the cluster holds now.

        Raises ``StateUnreadable`` where the API server does not answer, and where namespaces or policies
        must not be read.
        """
        self._tell("asking the API server")
        self._greet()
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="survey") as pool:
            return self._look(pool)

    def _greet(self) -> None:
        """Find out in a moment whether anybody answers, rather than after the time-out of a long list."""
        wanted = Wanted("the cluster", "get", "", "version")
        try:
            self._api.fetch(Request(wanted, "/version"), Deadline.after(_GREETING_SECONDS))
        except HttpRefusal as error:
            if error.status == 401:  # noqa: PLR2004 - every other refusal shows that somebody is there
                raise

    def _look(self, pool: ThreadPoolExecutor) -> Sighting:
        self._tell("reading namespaces, policies, Services and webhook configurations")
        namespaces = pool.submit(self._needed, _every(NAMESPACE), namespace_of)
        policies = pool.submit(self._needed, _every(NETWORK_POLICY), parse_stored)
        services = pool.submit(self._list, _every(SERVICE), service_facts)
        slices = pool.submit(self._list, _every(ENDPOINT_SLICE), endpointslice_facts)
        configured = [
            pool.submit(self._list, _every(kind), _registrations_of(kind)) for kind in (MUTATING, VALIDATING)
        ]
        converted = pool.submit(self._list, DEFINITIONS, conversion_registration)
        nodes = pool.submit(self._list, NODES, node_facts)
        tunnels = [pool.submit(self._list, agents(key), agent_of) for key in AGENT_LABELS]

        read_namespaces = namespaces.result()
        read_policies = policies.result()
        known = [one for each in configured for group in each.result() or () for one in group]
        known += [one for one in converted.result() or () if one is not None]
        read = _Read(
            {one.namespace.name: one.namespace for one in read_namespaces},
            tuple(known),
            {(one.namespace, one.name): one for one in services.result() or ()},
            tuple(slices.result() or ()),
            tuple(nodes.result() or ()),
            frozenset(agent for each in tunnels for agent in each.result() or () if agent is not None),
        )
        overrides = (
            *_overrides("Namespace", (one.metadata for one in read_namespaces)),
            *_overrides("NetworkPolicy", (one.metadata for one in read_policies)),
        )
        by_namespace = _grouped(read.namespaces, [one.policy for one in read_policies])
        return self._deeper(pool, read, by_namespace, overrides)

    def _deeper(
        self,
        pool: ThreadPoolExecutor,
        read: _Read,
        policies: Mapping[str, tuple[Policy, ...]],
        overrides: tuple[Override, ...],
    ) -> Sighting:
        """Read what depends on the rest: pods behind webhooks, the guard's objects; and call the webhooks."""
        guard = self._questions.guard
        watched = read.watched_services(guard)
        self._tell(f"looking at {len(watched)} webhook Service(s) and the guard")
        pods = pool.map(lambda one: self._list(one, pod_facts) or (), self._pod_lists(read, watched))
        deployments = pool.submit(self._deployments, read, watched)
        maps = [
            pool.submit(self._config_map, guard[0], f"{guard[1]}-{one}") for one in ("settings", "sources")
        ]
        cilium = pool.submit(self._get, CILIUM_CONFIG, config_map_data)
        ports = read.ports(watched)
        calls = pool.map(self._call, ports) if self._questions.calls else ()
        known_pods = tuple({(one.namespace, one.name): one for each in pods for one in each}.values())
        survey = Survey(
            registrations=read.registrations,
            services=read.services,
            slices=read.slices_of({*watched, _KUBERNETES}),
            pods=known_pods,
            deployments=deployments.result(),
            calls={key: call for (key, _), call in zip(ports, calls, strict=False) if call is not None},
            certificates=self._certificates(pool, watched, read, known_pods),
            overrides=overrides,
        )
        settings, measured = (one.result() for one in maps)
        facts = replace(read.facts(watched, self._notes), memory=read_memory(measured))
        survey = replace(survey, unread=tuple(self._notes.unread), hidden=frozenset(self._notes.hidden))
        return Sighting(facts, survey, policies, settings.get("settings.yaml", ""), cilium.result())

    # -- lists ---------------------------------------------------------------------------------------------

    def _needed(self, collection: Collection, parse: Callable[[Raw], T]) -> list[T]:
        listed = list_all(self._api, collection, Deadline.after(_LIST_SECONDS))
        return [parse(one) for one in listed.items]

    def _list(self, collection: Collection, parse: Callable[[Raw], T]) -> list[T] | None:
        """Return what is there; None, and a note, where it cannot be read."""
        try:
            listed = list_all(self._api, collection, Deadline.after(_LIST_SECONDS))
        except StateUnreadable as error:
            if not (isinstance(error, HttpRefusal) and error.status == 404):  # noqa: PLR2004 - no such kind here
                self._notes.add(error, collection.resource)
            return None
        return list(_parsed(listed.items, parse))

    def _deployments(self, read: _Read, watched: frozenset[ServiceKey]) -> tuple[DeploymentFacts, ...]:
        """Return the guard's Deployment; all of them, in one list, where a webhook has no ready pod."""
        guard = self._questions.guard
        troubled = any(key != guard and not read.is_ready(key) for key in watched)
        collection = _every(DEPLOYMENT)
        if not troubled:
            collection = Collection(
                f"the Deployments of namespace {guard[0]}",
                DEPLOYMENT.group,
                DEPLOYMENT.resource,
                DEPLOYMENT.path(guard[0]),
                namespace=guard[0],
            )
        return tuple(self._list(collection, deployment_facts) or ())

    def _pod_lists(self, read: _Read, watched: frozenset[ServiceKey]) -> list[Collection]:
        """Return one list for each different selector, over all namespaces: many Services share few."""
        selectors = {
            tuple(sorted(read.services[key].selector.items()))
            for key in watched
            if key in read.services and read.services[key].selector
        }
        selectors |= {tuple(sorted(one.items())) for one in self._questions.neighbours}
        return [_pods(selector) for selector in sorted(selectors)]

    # -- single objects ------------------------------------------------------------------------------------

    def _get(self, reference: Reference, parse: Callable[[bytes], T]) -> T | None:
        kind = reference.kind
        wanted = Wanted(str(reference), "get", kind.group, kind.resource, reference.namespace)
        try:
            return parse(self._api.fetch(Request(wanted, reference.path), Deadline.after(_LIST_SECONDS)))
        except HttpRefusal as error:
            if error.status != 404:  # noqa: PLR2004 - what is not there needs no permission
                self._notes.add(error, kind.resource)
        except StateUnreadable as error:
            self._notes.add(error, kind.resource)
        except UnusableObject:
            return None
        return None

    def _config_map(self, namespace: str, name: str) -> Mapping[str, str]:
        return self._get(Reference(CONFIG_MAP, name, namespace), config_map_data) or {}

    def _certificates(
        self,
        pool: ThreadPoolExecutor,
        watched: frozenset[ServiceKey],
        read: _Read,
        pods: tuple[PodFacts, ...],
    ) -> Mapping[ServiceKey, bytes]:
        """Return what webhooks serve, from the Secrets that their pods mount. Keys are never kept."""
        wanted = {key: name for key in sorted(watched) for name in self._secret_of(key, read, pods)}
        if not wanted:
            return {}
        found = pool.map(
            lambda one: self._get(Reference(SECRET, one[1], one[0][0]), secret_certificate), wanted.items()
        )
        return {key: pem for key, pem in zip(wanted, found, strict=True) if pem}

    def _secret_of(self, key: ServiceKey, read: _Read, pods: tuple[PodFacts, ...]) -> tuple[str, ...]:
        if key == self._questions.guard:
            return (f"{key[1]}-tls",)
        service = read.services.get(key)
        if service is None:
            return ()
        mounted = [name for pod in pods if pod.is_selected(key[0], service.selector) for name in pod.secrets]
        return tuple(mounted[:1])

    def _call(self, port: tuple[ServiceKey, int]) -> Call | None:
        call, refused = call_service(self._api, *port)
        if refused is not None:
            self._notes.add(refused, "services/proxy")
        return call


@dataclass(frozen=True, slots=True)
class _Read:
    """What the lists said."""

    namespaces: Mapping[str, Namespace]
    registrations: tuple[Registration, ...]
    services: Mapping[ServiceKey, ServiceFacts]
    slices: tuple[EndpointSliceFacts, ...]
    nodes: tuple[NodeFacts, ...]
    agents: frozenset[Agent]

    def watched_services(self, guard: ServiceKey) -> frozenset[ServiceKey]:
        """Return the Services of managed namespaces that serve webhooks, and the guard's."""
        managed = Facts(namespaces=self.namespaces).managed
        named = {
            (one.client.namespace, one.client.service) for one in self.registrations if one.client.service
        }
        return frozenset(key for key in named if key[0] in managed or key == guard)

    def slices_of(self, keys: Iterable[ServiceKey]) -> tuple[EndpointSliceFacts, ...]:
        wanted = set(keys)
        return tuple(one for one in self.slices if (one.namespace, one.service) in wanted)

    def is_ready(self, key: ServiceKey) -> bool:
        return any(endpoint.ready for one in self.slices_of((key,)) for endpoint in one.endpoints)

    def ports(self, keys: frozenset[ServiceKey]) -> list[tuple[ServiceKey, int]]:
        """Return a port to call for each Service that has one ready endpoint at least, known or not."""
        ports = {(one.client.namespace, one.client.service): one.client.port for one in self.registrations}
        return [(key, ports[key]) for key in sorted(keys) if key in self.services]

    def facts(self, watched: frozenset[ServiceKey], notes: _Notes) -> Facts:
        """Return what discovery works from: the same value as the webhook's caches make."""
        return Facts(
            namespaces=self.namespaces,
            clients=tuple(one.client for one in self.registrations),
            services=self.services,
            hidden=watched if "services" in notes.hidden else frozenset(),
            slices=self.slices_of({*watched, _KUBERNETES}),
            nodes=self.nodes,
            agents=self.agents,
            default_assumed=MUTATING.resource in notes.hidden,
        )


def _parsed(items: Iterable[Raw], parse: Callable[[Raw], T]) -> Iterable[T]:
    for one in items:
        with suppress(UnusableObject):  # no API server sends one; nothing can be said about it
            yield parse(one)


def _registrations_of(kind: Kind) -> Callable[[Raw], tuple[Registration, ...]]:
    return lambda raw: registrations(raw, kind.name)


def _overrides(kind: str, found: Iterable[Metadata]) -> Iterable[Override]:
    return (
        Override(kind, one.namespace, one.name, one.annotations[OVERRIDE_ANNOTATION])
        for one in found
        if OVERRIDE_ANNOTATION in one.annotations
    )


def _grouped(
    namespaces: Iterable[str], policies: Iterable[Policy | None]
) -> Mapping[str, tuple[Policy, ...]]:
    grouped: dict[str, list[Policy]] = {name: [] for name in namespaces}
    for one in policies:
        # A policy of a namespace that was made after the namespaces were listed is of no concern here.
        if one is not None and one.namespace in grouped:
            grouped[one.namespace].append(one)
    return {name: tuple(found) for name, found in grouped.items()}


def _every(kind: Kind) -> Collection:
    return Collection(f"the {kind.resource} of all namespaces", kind.group, kind.resource, kind.path())


def _pods(selector: Iterable[tuple[str, str]]) -> Collection:
    labels = ",".join(f"{key}={value}" for key, value in selector)
    return Collection(f"the pods with {labels}", "", POD.resource, POD.path(), {"labelSelector": labels})
