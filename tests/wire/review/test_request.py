from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.engine.policy import ALLOW_ALL
from app.wire.errors import BadReview
from app.wire.review.request import (
    GroupVersionKind,
    GroupVersionResource,
    Operation,
    decode_review,
    policy_of,
)
from tests.wire.api_server_cases import Json, policy
from tests.wire.strategies import ANYTHING

UID = "705ab4f5-6393-11e8-b7cc-42010a800002"
KIND = {"group": "networking.k8s.io", "version": "v1", "kind": "NetworkPolicy"}
RESOURCE = {"group": "networking.k8s.io", "version": "v1", "resource": "networkpolicies"}
USER = {
    "username": "system:serviceaccount:ci:deployer",
    "uid": "u-1",
    "groups": ["system:authenticated", "ci"],
    "extra": {"example.com/scopes": ["a", "b"]},
}
REQUEST: Mapping[str, object] = {
    "uid": UID,
    "kind": KIND,
    "resource": RESOURCE,
    "requestKind": KIND,
    "requestResource": RESOURCE,
    "name": "p",
    "namespace": "ns",
    "operation": "UPDATE",
    "userInfo": USER,
    "object": policy(ingress=[{}]),
    "oldObject": policy(),
    "dryRun": False,
    "options": {"kind": "UpdateOptions", "apiVersion": "meta.k8s.io/v1"},
}


def review(without: str | None = None, **changes: object) -> Json:
    request = {key: change for key, change in {**REQUEST, **changes}.items() if key != without}
    return {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request}


def body(obj: object) -> bytes:
    """Write ``obj`` as an API server does: compactly, with a line break behind."""
    return json.dumps(obj, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def refusal(text: bytes) -> BadReview:
    with pytest.raises(BadReview) as caught:
        decode_review(text)
    return caught.value


def test_the_request_comes_with_all_that_a_decision_needs() -> None:
    read = decode_review(body(review()))
    assert read.uid == UID
    assert read.operation is Operation.UPDATE
    assert read.kind == GroupVersionKind("networking.k8s.io", "v1", "NetworkPolicy")
    assert read.resource == GroupVersionResource("networking.k8s.io", "v1", "networkpolicies")
    assert (read.name, read.namespace, read.sub_resource, read.dry_run) == ("p", "ns", "", False)


def test_the_user_comes_with_groups_and_extra() -> None:
    user = decode_review(body(review())).user
    assert (user.username, user.uid) == (USER["username"], "u-1")
    assert user.groups == ("system:authenticated", "ci")
    assert user.extra == {"example.com/scopes": ("a", "b")}


def test_both_objects_are_read_when_somebody_asks() -> None:
    read = decode_review(body(review()))
    assert read.object is not None
    assert read.old_object is not None
    after, before = policy_of(read.object).policy, policy_of(read.old_object).policy
    assert after is not None
    assert before is not None
    assert (after.ingress, before.ingress) == ((ALLOW_ALL,), ())


@pytest.mark.parametrize("absent", [None, "absent"])
def test_an_object_that_is_null_or_absent_is_none(absent: str | None) -> None:
    text = review(object=None) if absent is None else review(without="object")
    assert decode_review(body(text)).object is None


def test_a_deletecollection_has_no_name() -> None:
    read = decode_review(body(review(without="name", operation="DELETE", object=None)))
    assert (read.operation, read.name, read.object) == (Operation.DELETE, "", None)


def test_subresource_and_dry_run_are_read() -> None:
    read = decode_review(body(review(subResource="status", dryRun=True)))
    assert (read.sub_resource, read.dry_run) == ("status", True)


def test_members_that_nobody_knows_do_not_matter() -> None:
    assert decode_review(body({**review(future={"a": [1]}), "response": None})).uid == UID


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(review(), indent=2).encode(),
        json.dumps(review(name="a b")).encode(),
        body(review(name="Größe")),
        b" \r\n\t" + body(review()) + b"\n\n ",
        body(review(object={"request": {"uid": "x"}, "uid": 1, "operation": 2})),
    ],
)
def test_spelling_does_not_matter(text: bytes) -> None:
    assert decode_review(text).uid == UID


def test_bytes_that_come_again_and_again_are_read_twice_at_most() -> None:
    text = json.dumps(policy(ingress=[{"ports": [{"port": 4711}]}])).encode()
    assert policy_of(text) == policy_of(bytes(text))
    assert policy_of(text) is policy_of(bytes(text))


def test_the_namespace_of_the_request_counts_where_the_object_names_none() -> None:
    text = json.dumps({**policy(), "metadata": {"name": "p"}}).encode()
    one, other = policy_of(text, "one").policy, policy_of(text, "other").policy
    assert one is not None
    assert other is not None
    assert (one.namespace, other.namespace) == ("one", "other")


# ---------------------------------------------------------------------------------------- bad input
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "not valid JSON"),
        (b"hello", "not valid JSON"),
        (body(review())[:-3], "not valid JSON"),
        (body(review()) + b"{}", "not valid JSON"),
        (body(review()).replace(b"false", b"NaN"), "not valid JSON"),
        (b"\xef\xbb\xbf" + body(review()), "not valid JSON"),
        (body(review()).replace(b'"options"', b'"opt\xffions"'), "not valid UTF-8"),
        (body(review()).replace(b"UpdateOptions", b"\xff"), "not valid UTF-8"),
        (
            body(review()).replace(b'"options":', b'"x":' + b"[" * 100_000 + b"]" * 100_000 + b',"options":'),
            "nested",
        ),
    ],
)
def test_what_is_no_json_is_refused_with_400(text: bytes, message: str) -> None:
    refused = refusal(text)
    assert refused.status == 400
    assert message in refused.message


@pytest.mark.parametrize(
    ("obj", "path", "message"),
    [
        ([], "", "no AdmissionReview"),
        ("AdmissionReview", "", "no AdmissionReview"),
        ({}, "apiVersion", 'Unsupported value: "": supported values: "admission.k8s.io/v1"'),
        ({**review(), "apiVersion": "admission.k8s.io/v1beta1"}, "apiVersion", "v1beta1"),
        ({**review(), "apiVersion": 1}, "apiVersion", "Unsupported value: 1"),
        ({**review(), "kind": "Pod"}, "kind", 'Unsupported value: "Pod"'),
        ({**review(), "request": None}, "request", "Invalid value"),
        ({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1"}, "request", "Required value"),
        (review(without="uid"), "request.uid", "Required value"),
        (review(uid=""), "request.uid", "Required value"),
        (review(uid=7), "request.uid", "Invalid value: expected `str`, got `int`"),
        (review(without="operation"), "request.operation", "Required value"),
        (
            review(operation="PATCH"),
            "request.operation",
            'Unsupported value: "PATCH": supported values: "CREATE"',
        ),
        (review(operation=None), "request.operation", "Invalid value"),
        (review(without="kind"), "request.kind", "Required value"),
        (review(without="resource"), "request.resource", "Required value"),
        (review(resource="networkpolicies"), "request.resource", "Invalid value"),
        (review(userInfo={"groups": [1]}), "request.userInfo.groups[0]", "Invalid value"),
        (review(dryRun="yes"), "request.dryRun", "Invalid value"),
        (review(name=["p"]), "request.name", "Invalid value"),
    ],
)
def test_json_that_is_no_review_is_refused_with_422_and_the_fields_path(
    obj: object, path: str, message: str
) -> None:
    refused = refusal(body(obj))
    assert (refused.status, refused.path) == (422, path)
    assert message in refused.message


def test_a_refusal_carries_the_uid_where_it_could_be_read() -> None:
    assert refusal(body(review(operation="PATCH"))).uid == UID
    assert refusal(body({**review(), "apiVersion": "v2"})).uid == UID
    assert refusal(body(review(without="uid"))).uid is None
    assert refusal(b"{").uid is None


@pytest.mark.parametrize(
    ("member", "again", "path"),
    [
        (b'"operation":', b'"operation":"DELETE","operation":', "request.operation"),
        (b'"dryRun":', b'"operation":"UPDATE","dryRun":', "request.operation"),
        (b'"dryRun":', b'"operation":"DELETE","dryRun":', "request.operation"),
        (b'"uid":', b'"uid":"another","uid":', "request.uid"),
        (b'"dryRun":', b'"object":null,"dryRun":', "request.object"),
        (b'"dryRun":', b'"\\u006fbject":null,"dryRun":', "request.object"),
        (b'"options":', b'"dryRun":false,"options":', "request.dryRun"),
        (b'"kind":"AdmissionReview"', b'"kind":"Pod","kind":"AdmissionReview"', "kind"),
    ],
)
@pytest.mark.parametrize("spelling", ["compact", "spaced"])
def test_a_member_given_twice_is_refused(member: bytes, again: bytes, path: str, spelling: str) -> None:
    text = body(review()).replace(member, again, 1)
    if spelling == "spaced":
        text = text.replace(b'"options":', b'"options" : ')
    refused = refusal(text)
    assert (refused.status, refused.path) == (400, path)


def test_a_request_given_twice_is_refused() -> None:
    request = body(dict(REQUEST)).strip()
    refused = refusal(body(review()).replace(b'"request":', b'"request":' + request + b',"request":', 1))
    assert (refused.status, refused.path) == (400, "request")


def test_the_message_for_a_member_given_twice_says_so() -> None:
    refused = refusal(body(review()).replace(b'"uid":', b'"uid":"another","uid":', 1))
    assert (refused.status, refused.path) == (400, "request.uid")
    assert refused.message == "Duplicate value: a member may be given only once"


@settings(max_examples=300)
@given(ANYTHING)
def test_no_json_whatsoever_raises_anything_else(obj: object) -> None:
    refusal(json.dumps(obj).encode())


@settings(max_examples=300)
@given(st.binary(max_size=60))
def test_no_bytes_whatsoever_raise_anything_else(text: bytes) -> None:
    refusal(text)


def outcome(text: bytes) -> int:
    """Return the HTTP status that the caller would get, having read the objects of what is accepted."""
    try:
        read = decode_review(text)
    except BadReview as refused:
        return refused.status
    for raw in (read.object, read.old_object):
        if raw is not None:
            parsed = policy_of(raw)
            assert parsed.policy is not None or parsed.errors
    return 200


@settings(max_examples=500)
@given(st.data())
def test_a_review_with_bytes_changed_is_read_or_refused(data: st.DataObject) -> None:
    text = bytearray(body(review()))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 3))] = data.draw(
            st.binary(max_size=3) | st.sampled_from([b'"', b"{", b"}", b",", b"null", b"\\", b'"uid":'])
        )
    assert outcome(bytes(text)) in {200, 400, 422}


@given(st.dictionaries(st.sampled_from([*REQUEST, "other"]), ANYTHING, max_size=4))
def test_a_review_with_any_member_replaced_is_read_or_refused(changes: dict[str, object]) -> None:
    assert outcome(body({**review(), "request": {**REQUEST, **changes}})) in {200, 422}
