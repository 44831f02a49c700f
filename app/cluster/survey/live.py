"""One look at a whole live cluster: a bounded number of paginated lists, whatever the number of namespaces.

Each part is read for itself, so that a missing permission costs what it hides and no more. What cannot be
read at all is the caller's ``StateUnreadable``: without namespaces and policies there is nothing to examine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from app.cluster.client.connection import Api
from app.cluster.client.listing import Collection
from app.cluster.state.facts import AGENT_LABELS, KUBERNETES, Facts, by_namespace
from app.cluster.state.inventory import INVENTORY, facts_from
from app.cluster.state.resources import CILIUM_CONFIG, DEFINITIONS, NODES, agents
from app.cluster.survey.best_effort import BestEffortReader
from app.cluster.survey.collected import Collected, Questions, overrides_in
from app.cluster.survey.service_calls import call_service, use_told
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
from app.model.measured_sources import NOTHING_REMEMBERED
from app.model.seen_services import read_seen
from app.model.sources_config_map import memory_of
from app.model.survey import Call, ConfigMapUse, Survey
from app.names import (
    LEDGER_CONFIG_MAP,
    LEDGER_METRIC,
    SETTINGS_CONFIG_MAP,
    SETTINGS_KEY,
    SOURCES_CONFIG_MAP,
    WEBHOOK_SERVICES_CONFIG_MAP,
    WEBHOOK_SERVICES_METRIC,
)
from app.wire.networkpolicy.parse import ParsedPolicy, parse_stored
from app.wire.objects.namespaces import ParsedNamespace, namespace_of
from app.wire.objects.pods import PodFacts, pod_facts
from app.wire.objects.services import ServiceKey
from app.wire.objects.webhooks import Registration, conversion_registrations, registrations
from app.wire.objects.workloads import DeploymentFacts, config_map_data, deployment_facts

Tell = Callable[[str], None]
"""Who hears what is being done, from any thread."""

_THREADS = 6


@dataclass(frozen=True, slots=True)
class _Lists:
    """What the lists said that everything else depends on; ``facts`` are those of all Services there are."""

    namespaces: list[ParsedNamespace]
    policies: list[ParsedPolicy]
    registrations: tuple[Registration, ...]
    facts: Facts


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
            return self._deeper(pool, self._lists(pool))

    def _lists(self, pool: Executor) -> _Lists:
        """Read the lists that everything else depends on, side by side."""
        read = self._reader
        namespaces = pool.submit(read.needed, _every(NAMESPACE), namespace_of)
        policies = pool.submit(read.needed, _every(NETWORK_POLICY), parse_stored)
        configured = [
            pool.submit(read.list, _every(kind), partial(registrations, kind=kind.name))
            for kind in (MUTATING, VALIDATING)
        ]
        configured.append(pool.submit(read.list, DEFINITIONS, conversion_registrations))
        collections = _every(SERVICE), _every(ENDPOINT_SLICE), NODES, *map(agents, AGENT_LABELS)
        parts = [(INVENTORY[collection.kind], collection) for collection in collections]
        others = [(part.member, pool.submit(read.list, each, part.parse)) for part, each in parts]
        parsed = namespaces.result(), policies.result()
        registered = tuple(found for each in configured for group in each.result() for found in group)
        members: dict[str, list[Any]] = {
            "namespaces": [found.namespace for found in parsed[0]],
            "clients": [found.client for found in registered],
        }
        for member, each in others:
            members.setdefault(member, []).extend(value for values in each.result() for value in values)
        return _Lists(*parsed, registered, facts_from(members))

    def _deeper(self, pool: Executor, lists: _Lists) -> Collected:
        """Read what depends on the rest: pods behind webhooks, the guard's objects; and call the webhooks."""
        guard, facts = self._questions.guard, lists.facts
        named = {client.key for client in facts.clients if client.service}
        watched = frozenset(key for key in named if key[0] in facts.managed or key == guard)
        self._tell(f"looking at {len(watched)} webhook Service(s) and the guard")
        pods = pool.map(lambda each: self._reader.list(each, pod_facts), self._pod_lists(facts, watched))
        deployments = pool.submit(self._deployments, facts, watched)
        settings = pool.submit(self._config_map, guard[0], SETTINGS_CONFIG_MAP)
        sources = Reference(CONFIG_MAP, SOURCES_CONFIG_MAP, guard[0])
        measured = pool.submit(self._reader.get, sources, memory_of)
        ledger = pool.submit(self._use, LEDGER_CONFIG_MAP, LEDGER_METRIC)
        kept = pool.submit(self._use, WEBHOOK_SERVICES_CONFIG_MAP, WEBHOOK_SERVICES_METRIC)
        seen = read_seen(self._config_map(guard[0], WEBHOOK_SERVICES_CONFIG_MAP)).services
        cilium = pool.submit(self._reader.get, CILIUM_CONFIG, config_map_data)
        known = tuple({(pod.namespace, pod.name): pod for each in pods for pod in each}.values())
        slices = facts.slices_of({*watched, *seen, KUBERNETES})
        survey = Survey(
            registrations=lists.registrations,
            services=facts.services,
            slices=slices,
            pods=known,
            deployments=deployments.result(),
            calls=self._calls(pool, facts, watched),
            certificates=self._certificates(pool, facts, watched, known),
            overrides=(
                *overrides_in("Namespace", (found.metadata for found in lists.namespaces)),
                *overrides_in("NetworkPolicy", (found.metadata for found in lists.policies)),
            ),
        )
        memory = measured.result() or NOTHING_REMEMBERED
        hidden = frozenset(self._reader.hidden)
        unseen = watched if "services" in hidden else frozenset[ServiceKey]()
        assumed = MUTATING.resource in hidden
        facts = replace(
            facts, hidden=unseen, slices=slices, memory=memory, seen=seen, default_assumed=assumed
        )
        uses = ledger.result(), kept.result()  # first: they may add to what is unread
        unread = tuple(self._reader.unread)
        survey = replace(survey, unread=unread, hidden=hidden, ledger=uses[0], webhook_services=uses[1])
        policies = by_namespace(facts.namespaces, [found.policy for found in lists.policies])
        return Collected(facts, survey, policies, settings.result().get(SETTINGS_KEY, ""), cilium.result())

    def _deployments(self, facts: Facts, watched: frozenset[ServiceKey]) -> tuple[DeploymentFacts, ...]:
        """Return the guard's Deployment; all of them, in one list, where a webhook has no ready pod."""
        guard, collection = self._questions.guard, _every(DEPLOYMENT)
        if all(key == guard or _is_ready(facts, key) for key in watched):
            collection = Collection(f"the deployments of namespace {guard[0]}", DEPLOYMENT, guard[0])
        return self._reader.list(collection, deployment_facts)

    def _pod_lists(self, facts: Facts, watched: frozenset[ServiceKey]) -> list[Collection]:
        """Return one list for each different selector, over all namespaces: many Services share few."""
        named = (facts.services[key].selector for key in watched if key in facts.services)
        wanted = (*filter(None, named), *self._questions.neighbours)
        selectors = {tuple(sorted(labels.items())) for labels in wanted}
        return [_pods(selector) for selector in sorted(selectors)]

    def _config_map(self, namespace: str, name: str) -> Mapping[str, str]:
        return self._reader.get(Reference(CONFIG_MAP, name, namespace), config_map_data) or {}

    def _use(self, config_map: str, metric: str) -> ConfigMapUse:
        """Return whether one of the guard's ConfigMaps is there, and what a replica says of it."""
        namespace, name = self._questions.guard
        found = self._reader.get(Reference(CONFIG_MAP, config_map, namespace), config_map_data)
        if found is None:
            is_hidden = CONFIG_MAP.resource in self._reader.hidden
            return ConfigMapUse.UNKNOWN if is_hidden else ConfigMapUse.MISSING
        if not self._questions.calls:
            return ConfigMapUse.UNKNOWN
        return use_told(self._api, namespace, name, metric)

    def _certificates(
        self, pool: Executor, facts: Facts, watched: frozenset[ServiceKey], pods: tuple[PodFacts, ...]
    ) -> Mapping[ServiceKey, bytes]:
        find = certificates_of(facts, pods, self._reader, connects=self._questions.calls)
        ordered = sorted(watched)
        found = pool.map(lambda key: find(key, is_guard=key == self._questions.guard), ordered)
        return {key: pem for key, pem in zip(ordered, found, strict=True) if pem}

    def _calls(
        self, pool: Executor, facts: Facts, watched: frozenset[ServiceKey]
    ) -> Mapping[ServiceKey, Call]:
        if not self._questions.calls:
            return {}
        called = {client.key: client.port for client in facts.clients}
        ports = [(key, called[key]) for key in sorted(watched) if key in facts.services]
        made = zip(ports, pool.map(lambda port: self._call(*port), ports), strict=True)
        return {key: call for (key, _), call in made if call is not None}

    def _call(self, key: ServiceKey, port: int) -> Call | None:
        call, refused = call_service(self._api, key, port)
        if refused is not None:
            self._reader.note(refused, "services/proxy")
        return call


def _is_ready(facts: Facts, key: ServiceKey) -> bool:
    """Tell whether a Service has an endpoint that is ready."""
    return any(endpoint.ready for found in facts.slices_of((key,)) for endpoint in found.endpoints)


def _every(kind: Kind) -> Collection:
    return Collection(f"the {kind.resource} of all namespaces", kind)


def _pods(selector: Iterable[tuple[str, str]]) -> Collection:
    labels = ",".join(f"{key}={value}" for key, value in selector)
    return Collection(f"the pods with {labels}", POD, selectors={"labelSelector": labels})
