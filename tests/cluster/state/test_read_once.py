from __future__ import annotations

import json

import pytest

from app.cluster.client.connection import ApiRequest
from app.cluster.state.read_once import read_once
from app.deadline import Deadline
from app.errors import StateUnreadable
from app.model.declared_sources import declared_source
from tests.cluster.state.test_informers import MUTATING, NAMESPACES, NODES, Cluster, stored

EVERY_POLICY = "/apis/networking.k8s.io/v1/networkpolicies"


def policy(namespace: str, name: str = "p") -> dict[str, object]:
    return stored(name, metadata={"namespace": namespace}, spec={"podSelector": {}})


def namespace(name: str, *, managed: bool = True) -> dict[str, object]:
    labels = {"iomete.com/managed": "true"} if managed else {}
    return stored(name, metadata={"name": name, "namespace": "", "uid": name, "labels": labels})


class Api(Cluster):
    """The same, with a version, and what was asked."""

    def __init__(self, contents: dict[str, list[object] | int]) -> None:
        super().__init__(contents)
        self.asked: list[str] = []

    def fetch(self, request: ApiRequest, deadline: Deadline) -> bytes:
        self.asked.append(request.path)
        if request.path == "/version":
            return json.dumps({"gitVersion": "v1.37.2"}).encode()
        return super().fetch(request, deadline)

    @property
    def asked_for_policies(self) -> list[str]:
        return [found for found in self.asked if "networkpolicies" in found]


def in_namespace(name: str) -> str:
    return f"/apis/networking.k8s.io/v1/namespaces/{name}/networkpolicies"


def test_only_the_policies_of_the_namespaces_in_question_are_read() -> None:
    api = Api({NAMESPACES: [namespace("a"), namespace("b")], in_namespace("a"): [policy("a")]})
    cluster, _ = read_once(api, frozenset({"a"}))
    assert {name: [each.name for each in found] for name, found in cluster.policies.items()} == {"a": ["p"]}
    assert set(cluster.namespaces) == {"a", "b"}
    assert api.asked_for_policies == [in_namespace("a")]


def test_the_policies_of_many_namespaces_are_read_by_one_list_of_all() -> None:
    names = [f"ns-{each}" for each in range(30)]
    api = Api(
        {
            NAMESPACES: [*map(namespace, names), namespace("other", managed=False)],
            EVERY_POLICY: [policy("ns-3"), policy("other")],
        }
    )
    cluster, _ = read_once(api, None)
    assert sorted(cluster.policies) == sorted(names)
    assert [name for name, found in cluster.policies.items() if found] == ["ns-3"]
    assert api.asked_for_policies == [EVERY_POLICY]


def test_declared_sources_override_what_is_found() -> None:
    declared = (declared_source("10.20.0.10"),)
    cluster, _ = read_once(Api({}), frozenset(), declared=declared)
    assert cluster.sources == declared


def test_what_is_optional_and_refused_is_a_note_and_the_documented_webhook_is_assumed() -> None:
    cluster, notes = read_once(Api({NAMESPACES: [namespace("a")], MUTATING: 403, NODES: 403}), frozenset())
    assert any("MutatingWebhookConfigurations" in note for note in notes)
    assert [webhook.assumed for webhook in cluster.webhooks] == [True]


@pytest.mark.parametrize("path", [NAMESPACES, in_namespace("a")])
def test_without_namespaces_or_their_policies_nothing_can_be_judged(path: str) -> None:
    with pytest.raises(StateUnreadable, match="grant this rule"):
        read_once(Api({NAMESPACES: [namespace("a")], path: 403}), frozenset({"a"}))


def test_a_policy_that_cannot_be_understood_is_an_error() -> None:
    names = [namespace(f"ns-{found}") for found in range(9)]
    with pytest.raises(StateUnreadable, match="the answer is not understood"):
        read_once(Api({NAMESPACES: list(names), EVERY_POLICY: [_unreadable("ns-3")]}), None)


def test_a_policy_that_cannot_be_understood_elsewhere_is_nobody_s_error() -> None:
    names = [namespace(f"ns-{found}") for found in range(9)]
    cluster, _ = read_once(Api({NAMESPACES: list(names), EVERY_POLICY: [_unreadable("elsewhere")]}), None)
    assert set(cluster.policies.values()) == {()}


def _unreadable(where: str) -> dict[str, object]:
    return stored("p", metadata={"namespace": where}, spec="none")
