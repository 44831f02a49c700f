from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_network

from app.cluster.state.snapshot import Snapshot
from app.cluster.state.views import ClusterViews
from app.engine.addresses import network_set
from app.engine.cluster import Provenance, Source
from app.engine.policy import Policy
from app.engine.selectors import EVERYTHING
from app.model.snapshot import Policies, Stored, StoredNamespace, Watched

MANAGED = {"iomete.com/managed": "true"}
SOURCE = Source(Provenance.DECLARED, "the API server", addresses=network_set(ip_network("10.20.0.10/32")))
FACTS = Snapshot(sources=(SOURCE,))


def stored(namespace: str, name: str, *, terminating: bool = False) -> Stored[Policy]:
    return Stored(f"{name}-uid", 5, Policy(namespace, name, EVERYTHING, frozenset()), terminating)


def watched(**policies: Policies[Policy]) -> Watched[Policy]:
    namespaces = {
        "a": StoredNamespace("a", 1, MANAGED),
        "b": StoredNamespace("b", 2, MANAGED, terminating=True),
        "web": StoredNamespace("web", 3, {}),
    }
    return Watched(policies, 10, namespaces, 10)


STATE = watched(a={"p": stored("a", "p"), "q": stored("a", "q", terminating=True)}, b={"r": stored("b", "r")})


def with_policies(state: Watched[Policy], **changed: Policies[Policy]) -> Watched[Policy]:
    policies: Mapping[str, Policies[Policy]] = {**state.policies, **changed}
    return replace(state, policies=policies, policies_version=11)


def test_facts_have_sources_but_neither_namespaces_nor_policies_and_stay_the_same() -> None:
    views = ClusterViews()
    facts = views.facts(FACTS)
    assert facts.sources == (SOURCE,)
    assert not facts.namespaces
    assert not facts.policies
    assert views.facts(FACTS) is facts
    assert views.facts(Snapshot()) is not facts


def test_a_view_of_one_namespace_has_its_policies_alone_and_all_namespaces() -> None:
    view = ClusterViews().view(FACTS, STATE, ("a",))
    assert {name: [policy.name for policy in found] for name, found in view.policies.items()} == {
        "a": ["p", "q"]
    }
    assert view.namespaces.keys() == {"a", "b", "web"}
    assert view.namespaces["b"].terminating
    assert view.sources == (SOURCE,)


def test_a_terminating_policy_is_said_to_be_so_in_a_view() -> None:
    found = ClusterViews().view(FACTS, STATE, ("a",)).policies["a"]
    assert [(policy.name, policy.terminating) for policy in found] == [("p", False), ("q", True)]


def test_without_names_all_managed_namespaces_are_in_view() -> None:
    view = ClusterViews().view(FACTS, STATE, None)
    assert view.policies.keys() == {"a", "b"}


def test_a_namespace_without_policies_has_none_in_view() -> None:
    assert ClusterViews().view(FACTS, STATE, ("web",)).policies["web"] == ()


def test_a_view_is_the_same_value_while_nothing_of_it_changes() -> None:
    views = ClusterViews()
    view = views.view(FACTS, STATE, ("a",))
    assert views.view(FACTS, STATE, ("a",)) is view
    elsewhere = with_policies(STATE, b={})
    assert views.view(FACTS, elsewhere, ("a",)) is view


def test_a_view_is_another_when_its_policies_its_facts_or_namespaces_change() -> None:
    views = ClusterViews()
    view = views.view(FACTS, STATE, ("a",))
    policies = views.view(FACTS, with_policies(STATE, a={}), ("a",))
    assert policies is not view
    assert policies.policies["a"] == ()
    assert views.view(Snapshot(), STATE, ("a",)) is not view
    namespaces = replace(STATE, namespaces=dict(STATE.namespaces))
    assert views.view(FACTS, namespaces, ("a",)) is not view


def test_what_did_not_change_is_the_same_object_in_a_view_that_did() -> None:
    views = ClusterViews()
    whole = views.view(FACTS, STATE, None)
    later = views.view(FACTS, with_policies(STATE, b={}), None)
    assert later.policies["a"] is whole.policies["a"]
    assert later.namespaces is whole.namespaces


def test_what_changes_nothing_but_versions_leaves_the_view_the_very_same() -> None:
    views = ClusterViews()
    state = watched(a={"p": stored("a", "p")})
    before = views.view(FACTS, state, ("a",))
    newer = {"p": replace(state.policies["a"]["p"], version=9)}
    namespaces = {name: replace(found, version=9) for name, found in state.namespaces.items()}
    assert views.view(FACTS, replace(with_policies(state, a=newer), namespaces=namespaces), ("a",)) is before
