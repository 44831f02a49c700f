"""Turns the states and requests of special cases into the fake cluster of the admission tests."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from app.admission.rules import Mode, Rules
from app.engine.cluster import Cluster, Provenance, TargetPort
from app.engine.policy import Policy
from app.engine.ports import Protocol
from app.engine.required_flows import IpBlockMatchesPods, Options
from app.model.access import Access
from tests.admission import world

Object = dict[str, Any]
NAMES = {"operator": 0, "managed": 1}


def _sources(state: Object) -> Cluster:
    cluster = world.cluster(namespaces=state.get("namespaces"))
    described = state.get("sources")
    if described is not None:
        made = [world.source(source["cidr"], Provenance(source["known"])) for source in described]
        cluster = world.with_sources(cluster, *made)
    if state.get("webhooks") == "none":
        cluster = replace(cluster, webhooks=())
    if state.get("plugin") == "Cilium":
        cluster = replace(cluster, blocks_match_pods=False)
    if "webhook port" in state:
        cluster = replace(cluster, webhooks=(world.webhook(port=_port(state["webhook port"])),))
    return cluster


def _port(described: Object | int) -> TargetPort:
    if isinstance(described, int):
        return TargetPort(Protocol.TCP, described)
    return TargetPort(Protocol.TCP, name=described["name"], resolved=frozenset(described["resolved"]))


def policy(described: Object | str | None, cluster: Cluster) -> Object | None:
    """Return a manifest: ``operator`` and ``managed`` are the baselines, ``like`` starts from one of them."""
    if described is None:
        return None
    if isinstance(described, str):
        return world.rendered(world.baselines(cluster)[NAMES[described]])
    if "like" in described:
        base = policy(described["like"], cluster) or {}
        return {**base, "spec": {**base["spec"], **described["spec"]}}
    return world.manifest(described["name"], described["spec"], **described.get("metadata", {}))


def cluster_of(state: Object) -> Cluster:
    """Return the state of a case, with the policies that it lists in the namespace ``data-plane``."""
    cluster = _sources(state)
    standing: list[Policy] = []
    for described in state.get("policies", []):
        manifest = policy(described, cluster)
        assert manifest is not None
        one = world.parsed(manifest)
        standing.append(replace(one, terminating=one.terminating or one.name in state.get("terminating", [])))
    gone = state.get("namespace being deleted")
    namespaces = {name: replace(item, terminating=name == gone) for name, item in cluster.namespaces.items()}
    return replace(cluster, namespaces=namespaces, policies={world.NS: tuple(standing)})


def _object(described: Object | str | None, cluster: Cluster) -> Object | None:
    if isinstance(described, dict) and "namespace" in described:
        return world.namespace(
            described["namespace"], described.get("labels") or {}, **described.get("metadata", {})
        )
    return policy(described, cluster)


def _request(described: Object, cluster: Cluster) -> Object:
    more = {key: described[key] for key in ("dryRun", "name", "subResource") if key in described}
    new, old = (_object(described.get(key), cluster) for key in ("new", "old"))
    return world.request(described["operation"], new, old, **more)


def _rules(settings: Object) -> Rules:
    options = Options(
        ip_block_matches_pods=IpBlockMatchesPods(settings.get("ipBlockMatchesPods", "unknown")),
        outside=settings.get("outside", "off") == "warn",
    )
    mode = Mode(settings.get("mode", "enforce"))
    return Rules(mode=mode, options=options, tell_no_effect=settings.get("noEffect", "warn") != "off")


def _changed(cluster: Cluster, asked: Object) -> Cluster:
    """Return the cluster after an admitted change of a policy."""
    name = (asked["object"] or asked["oldObject"])["metadata"]["name"]
    kept = [policy for policy in cluster.policies[world.NS] if policy.name != name]
    if asked["object"] is not None:
        kept.append(world.parsed(asked["object"]))
    return replace(cluster, policies={world.NS: tuple(kept)})


def answer(case: Object) -> world.Answer:
    """Return the guard's answer to the request of a case, after its earlier changes were admitted."""
    state = case.get("state") or {}
    rules = _rules(case.get("settings") or {})
    cluster = cluster_of(state)
    for earlier in case.get("earlier") or []:
        asked = _request(earlier, cluster)
        assert world.ask(cluster, asked, rules).allowed
        cluster = _changed(cluster, asked)
    grants = state.get("may override")
    access = Access.unknown("nobody to ask") if grants is None else Access(allowed=grants)
    fake = world.FakeState(cluster, grants=access)
    return world.ask(fake, _request(case["request"], cluster), rules)
