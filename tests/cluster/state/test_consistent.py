from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from typing import Any, TypeVar

import msgspec
import pytest

from app.cluster.client.connection import ApiRequest, Method
from app.cluster.client.errors import HttpRefusal, refusal
from app.cluster.state.consistent import FEW, TOUCHED_ANNOTATION, ConsistentReads, LedgerStore
from app.deadline import Deadline
from app.errors import StateUnreadable
from app.model.snapshot import Resource
from tests.cluster.fake_api import page
from tests.cluster.state.test_watched import config_map, home, policy

T = TypeVar("T")
ALL = "/apis/networking.k8s.io/v1/networkpolicies"
OWN = "/apis/networking.k8s.io/v1/namespaces/netpol-guard/networkpolicies/netpol-guard"
LEDGER = "/api/v1/namespaces/netpol-guard/configmaps/netpol-guard-ledger"


class AsyncFake:
    """Answers by path, and remembers what it was asked."""

    def __init__(self, answers: dict[str, bytes | int]) -> None:
        self.requests: list[ApiRequest] = []
        self._answers = answers

    async def fetch(self, request: ApiRequest, deadline: Deadline) -> bytes:  # noqa: ARG002 - the interface
        self.requests.append(request)
        answer = self._answers[request.path]
        if isinstance(answer, int):
            raise refusal(answer, b'{"message": "no"}', request.purpose)
        return answer

    @property
    def paths(self) -> list[str]:
        return [request.path for request in self.requests]


def of(namespace: str) -> str:
    return f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies"


def run(asked: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asked)


def test_the_policies_of_a_few_namespaces_are_listed_one_by_one_and_the_lowest_version_counts() -> None:
    api = AsyncFake(
        {
            of("a"): page(policy("a", "p", 5), version="12"),
            of("b"): page(policy("b", "q", 6), policy("b", "r", 7), version="11"),
        }
    )
    policies, version = run(ConsistentReads(api, "netpol-guard").policies(["a", "b"]))
    assert {name: set(found) for name, found in policies.items()} == {"a": {"p"}, "b": {"q", "r"}}
    assert version == 11
    assert api.paths == [of("a"), of("b")]


def test_a_list_is_consistent_it_names_no_version() -> None:
    api = AsyncFake({of("a"): page(version="12")})
    assert run(ConsistentReads(api, "netpol-guard").policies(["a"])) == ({}, 12)
    assert all("resourceVersion" not in request.query for request in api.requests)


def test_the_policies_of_many_namespaces_are_listed_together_and_only_theirs_are_kept() -> None:
    wanted = [f"n{number}" for number in range(FEW + 1)]
    api = AsyncFake({ALL: page(policy("n0", "p", 5), policy("other", "q", 6), version="12")})
    policies, version = run(ConsistentReads(api, "netpol-guard").policies(wanted))
    assert {name: set(found) for name, found in policies.items()} == {"n0": {"p"}}
    assert version == 12
    assert api.paths == [ALL]


def test_of_no_namespace_nothing_is_asked_and_no_version_is_known() -> None:
    api = AsyncFake({})
    assert run(ConsistentReads(api, "netpol-guard").policies([])) == ({}, None)


def test_a_version_that_is_no_number_makes_that_of_all_unknown() -> None:
    api = AsyncFake({of("a"): page(version="12"), of("b"): page(version="etcd-7")})
    _, version = run(ConsistentReads(api, "netpol-guard").policies(["a", "b"]))
    assert version is None


def test_a_terminating_policy_is_listed_as_it_stands() -> None:
    going = policy("a", "p", 5, deletionTimestamp="2026-01-01T00:00:00Z")
    api = AsyncFake({of("a"): page(going)})
    policies, _ = run(ConsistentReads(api, "netpol-guard").policies(["a"]))
    stored = policies["a"]["p"]
    assert (stored.terminating, stored.value.terminating) == (True, False)


def test_namespaces_are_listed_by_name_with_the_version_of_the_list() -> None:
    api = AsyncFake({"/api/v1/namespaces": page(home("a", 1), home("web", 2, {"team": "x"}), version="9")})
    namespaces, version = run(ConsistentReads(api, "netpol-guard").namespaces())
    assert version == 9
    assert namespaces["web"].labels == {"team": "x", "kubernetes.io/metadata.name": "web"}
    assert namespaces["web"].version == 2


@pytest.mark.parametrize(
    ("resource", "path"),
    [(Resource.POLICIES, OWN), (Resource.NAMESPACES, "/api/v1/namespaces/netpol-guard")],
)
def test_a_touch_writes_an_annotation_of_the_guards_own_object_and_returns_the_new_version(
    resource: Resource, path: str
) -> None:
    api = AsyncFake({path: json.dumps(home("netpol-guard", 77)).encode()})
    reads = ConsistentReads(api, "netpol-guard")
    assert run(reads.touch(resource)) == 77
    run(reads.touch(resource))
    assert {request.method for request in api.requests} == {Method.MERGE}
    bodies = [msgspec.json.decode(request.body or b"") for request in api.requests]
    values = [body["metadata"]["annotations"].pop(TOUCHED_ANNOTATION) for body in bodies]
    assert values[0] != values[1], "the same value again would make no event"
    assert bodies == [{"metadata": {"annotations": {}}}] * 2


@pytest.mark.parametrize(
    "answer", [b"<html>", b'{"metadata": {"resourceVersion": "etcd-7"}}', b"\xff", b"{}"]
)
def test_a_touch_whose_answer_tells_no_version_is_unreadable(answer: bytes) -> None:
    api = AsyncFake({OWN: answer})
    with pytest.raises(StateUnreadable):
        run(ConsistentReads(api, "netpol-guard").touch(Resource.POLICIES))


def test_a_refused_list_is_told() -> None:
    with pytest.raises(HttpRefusal, match="403"):
        run(ConsistentReads(AsyncFake({of("a"): 403}), "netpol-guard").policies(["a"]))


def test_the_ledger_is_read_by_a_get_without_a_version() -> None:
    api = AsyncFake({LEDGER: json.dumps(config_map(3, format="1", key="value")).encode()})
    assert run(LedgerStore(api, "netpol-guard").read()) == {"format": "1", "key": "value"}
    (request,) = api.requests
    assert (request.method, request.query, request.body) == (Method.GET, {}, None)


def test_a_ledger_that_is_not_there_reads_empty_but_is_not_written_to() -> None:
    store = LedgerStore(AsyncFake({LEDGER: 404}), "netpol-guard")
    assert run(store.read()) == {}
    with pytest.raises(HttpRefusal, match="404"):
        run(store.merge({"key": "value"}))


def test_a_merge_names_its_own_keys_alone_and_returns_all() -> None:
    api = AsyncFake({LEDGER: json.dumps(config_map(4, format="1", other="x", key="value")).encode()})
    merged = run(LedgerStore(api, "netpol-guard").merge({"key": "value", "gone": None}))
    assert merged == {"format": "1", "other": "x", "key": "value"}
    (request,) = api.requests
    assert request.method is Method.MERGE
    assert json.loads(request.body or b"") == {"data": {"key": "value", "gone": None}}


@pytest.mark.parametrize("data", ["{}", '{"data": null}', '{"data": {}}'])
def test_a_ledger_without_keys_is_empty(data: str) -> None:
    assert run(LedgerStore(AsyncFake({LEDGER: data.encode()}), "netpol-guard").read()) == {}


@pytest.mark.parametrize("data", [b"<html>", b'{"data": {"key": 7}}', b'{"data": []}'])
def test_a_ledger_that_is_not_understood_is_unreadable(data: bytes) -> None:
    with pytest.raises(StateUnreadable):
        run(LedgerStore(AsyncFake({LEDGER: data}), "netpol-guard").read())


@pytest.mark.parametrize("status", [403, 409, 500])
def test_a_refused_write_is_told(status: int) -> None:
    with pytest.raises(HttpRefusal, match=str(status)):
        run(LedgerStore(AsyncFake({LEDGER: status}), "netpol-guard").merge({}))
