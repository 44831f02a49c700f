"""One look at a whole live cluster: a bounded number of paginated lists, whatever the number of namespaces.

Each part is read for itself, so that a missing permission costs what it hides and no more. What cannot be
read at all is the caller's ``StateUnreadable``: without namespaces and policies there is nothing to examine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from msgspec import Raw

from app.cluster.client.connection import Api
from app.cluster.client.listing import Collection
from app.cluster.state.cilium import CILIUM_CONFIG
from app.cluster.state.facts import AGENT_LABELS, agent_of
from app.cluster.state.resources import DEFINITIONS, NODES, agents
from app.cluster.survey.best_effort import BestEffortReader
from app.cluster.survey.collected import KUBERNETES, Collected, Lists, Questions, by_namespace, overrides_in
from app.cluster.survey.service_calls import call_service
from app.cluster.survey.serving_certificates import certificates_of
from app.model.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    ENDPOINT_SLICE,
    MUTATING,
    NAMESPACE,
    NETWORK_POLICY,
    POD,
    SERVICE,
    VALIDATING,
    Kind,
    Reference,
)
from app.model.measured_sources import read_memory
from app.model.survey import Call, ServiceKey, Survey
from app.names import SETTINGS_CONFIG_MAP, SETTINGS_KEY, SOURCES_CONFIG_MAP
from app.wire.networkpolicy.parse import ParsedPolicy, parse_stored
from app.wire.objects.namespaces import ParsedNamespace, namespace_of
from app.wire.objects.nodes import node_facts
from app.wire.objects.pods import PodFacts, pod_facts
from app.wire.objects.registrations import Registration, conversion_registration, registrations
from app.wire.objects.services import endpointslice_facts, service_facts
from app.wire.objects.workloads import DeploymentFacts, config_map_data, deployment_facts

Tell = Callable[[str], None]
_Parsed = tuple[list["ParsedNamespace"], list["ParsedPolicy"]]

_THREADS = 6


class Surveyor:
    """Looks at one cluster; made for one look."""

    def __init__(self, api: Api, questions: Questions, tell: Tell = lambda _: None) -> None:
        """``tell`` hears what is being done, from any thread."""
        self._api = api
        self._questions = questions
        self._tell = tell
        self._reader = BestEffortReader(api)

    def collect(self) -> Collected:
        """Return what the cluster holds now.

        Raises ``StateUnreadable`` where the API server does not answer, and where namespaces or policies
        must not be read.
        """
        self._tell("asking the API server")
        self._reader.greet()
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="survey") as pool:
            self._tell("reading namespaces, policies, Services and webhook configurations")
            parsed, lists = self._lists(pool)
            return self._deeper(pool, parsed, lists)

    def _lists(self, pool: ThreadPoolExecutor) -> tuple[_Parsed, Lists]:
        """Read the lists that everything else depends on, side by side."""
        read = self._reader
        namespaces = pool.submit(read.needed, _every(NAMESPACE), namespace_of)
        policies = pool.submit(read.needed, _every(NETWORK_POLICY), parse_stored)
        services = pool.submit(read.list, _every(SERVICE), service_facts)
        slices = pool.submit(read.list, _every(ENDPOINT_SLICE), endpointslice_facts)
        configured = [
            pool.submit(read.list, _every(kind), _registrations_of(kind)) for kind in (MUTATING, VALIDATING)
        ]
        converted = pool.submit(read.list, DEFINITIONS, conversion_registration)
        nodes = pool.submit(read.list, NODES, node_facts)
        tunnels = [pool.submit(read.list, agents(key), agent_of) for key in AGENT_LABELS]
        parsed = namespaces.result(), policies.result()
        lists = Lists(
            {one.namespace.name: one.namespace for one in parsed[0]},
            _all_registrations(configured, converted),
            {(one.namespace, one.name): one for one in services.result()},
            slices.result(),
            nodes.result(),
            frozenset(agent for each in tunnels for agent in each.result() if agent is not None),
        )
        return parsed, lists

    def _deeper(self, pool: ThreadPoolExecutor, parsed: _Parsed, lists: Lists) -> Collected:
        """Read what depends on the rest: pods behind webhooks, the guard's objects; and call the webhooks."""
        guard = self._questions.guard
        watched = lists.watched_services(guard)
        self._tell(f"looking at {len(watched)} webhook Service(s) and the guard")
        pods = pool.map(lambda one: self._reader.list(one, pod_facts), self._pod_lists(lists, watched))
        deployments = pool.submit(self._deployments, lists, watched)
        settings = pool.submit(self._config_map, guard[0], SETTINGS_CONFIG_MAP)
        measured = pool.submit(self._config_map, guard[0], SOURCES_CONFIG_MAP)
        cilium = pool.submit(self._reader.get, CILIUM_CONFIG, config_map_data)
        known = tuple({(one.namespace, one.name): one for each in pods for one in each}.values())
        namespaces, policies = parsed
        survey = Survey(
            registrations=lists.registrations,
            services=lists.services,
            slices=lists.slices_of({*watched, KUBERNETES}),
            pods=known,
            deployments=deployments.result(),
            calls=self._calls(pool, lists, watched),
            certificates=self._certificates(pool, lists, watched, pods=known),
            overrides=(
                *overrides_in("Namespace", (one.metadata for one in namespaces)),
                *overrides_in("NetworkPolicy", (one.metadata for one in policies)),
            ),
        )
        memory = read_memory(measured.result())
        hidden = frozenset(self._reader.hidden)
        return Collected(
            replace(lists.facts(watched, hidden), memory=memory),
            replace(survey, unread=tuple(self._reader.unread), hidden=hidden),
            by_namespace(lists.namespaces, [one.policy for one in policies]),
            settings.result().get(SETTINGS_KEY, ""),
            cilium.result(),
        )

    def _deployments(self, lists: Lists, watched: frozenset[ServiceKey]) -> tuple[DeploymentFacts, ...]:
        """Return the guard's Deployment; all of them, in one list, where a webhook has no ready pod."""
        guard = self._questions.guard
        collection = _every(DEPLOYMENT)
        if all(key == guard or lists.is_ready(key) for key in watched):
            words = f"the {DEPLOYMENT.resource} of namespace {guard[0]}"
            path = DEPLOYMENT.path(guard[0])
            collection = Collection(words, DEPLOYMENT.group, DEPLOYMENT.resource, path, namespace=guard[0])
        return self._reader.list(collection, deployment_facts)

    def _pod_lists(self, lists: Lists, watched: frozenset[ServiceKey]) -> list[Collection]:
        """Return one list for each different selector, over all namespaces: many Services share few."""
        selectors = {
            tuple(sorted(lists.services[key].selector.items()))
            for key in watched
            if key in lists.services and lists.services[key].selector
        }
        selectors |= {tuple(sorted(one.items())) for one in self._questions.neighbours}
        return [_pods(selector) for selector in sorted(selectors)]

    def _config_map(self, namespace: str, name: str) -> Mapping[str, str]:
        return self._reader.get(Reference(CONFIG_MAP, name, namespace), config_map_data) or {}

    def _certificates(
        self,
        pool: ThreadPoolExecutor,
        lists: Lists,
        watched: frozenset[ServiceKey],
        *,
        pods: tuple[PodFacts, ...],
    ) -> Mapping[ServiceKey, bytes]:
        find = certificates_of(lists, pods, self._reader, connects=self._questions.calls)
        ordered = sorted(watched)
        found = pool.map(lambda key: find(key, is_guard=key == self._questions.guard), ordered)
        return {key: pem for key, pem in zip(ordered, found, strict=True) if pem}

    def _calls(
        self, pool: ThreadPoolExecutor, lists: Lists, watched: frozenset[ServiceKey]
    ) -> Mapping[ServiceKey, Call]:
        if not self._questions.calls:
            return {}
        ports = lists.ports(watched)
        made = zip(ports, pool.map(lambda port: self._call(*port), ports), strict=True)
        return {key: call for (key, _), call in made if call is not None}

    def _call(self, key: ServiceKey, port: int) -> Call | None:
        call, refused = call_service(self._api, key, port)
        if refused is not None:
            self._reader.note(refused, "services/proxy")
        return call


def _registrations_of(kind: Kind) -> Callable[[Raw], tuple[Registration, ...]]:
    return lambda raw: registrations(raw, kind.name)


def _all_registrations(
    configured: Iterable[Future[tuple[tuple[Registration, ...], ...]]],
    converted: Future[tuple[Registration | None, ...]],
) -> tuple[Registration, ...]:
    named = [one for each in configured for group in each.result() for one in group]
    return (*named, *(one for one in converted.result() if one is not None))


def _every(kind: Kind) -> Collection:
    return Collection(f"the {kind.resource} of all namespaces", kind.group, kind.resource, kind.path())


def _pods(selector: Iterable[tuple[str, str]]) -> Collection:
    labels = ",".join(f"{key}={value}" for key, value in selector)
    return Collection(f"the pods with {labels}", "", POD.resource, POD.path(), {"labelSelector": labels})
