"""May this user do this? Asked of the API server itself (``SubjectAccessReview``), not guessed from roles."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from app.cluster.client.connection import Api, ApiRequest, Method
from app.cluster.client.errors import Purpose
from app.deadline import Deadline
from app.errors import StateUnreadable
from app.model.access import Access, AccessQuestion, Permission

_GROUP = "authorization.k8s.io"
_VERSION = f"{_GROUP}/v1"


class _Status(msgspec.Struct, rename="camel"):
    allowed: bool = False
    reason: str = ""
    evaluation_error: str = ""


class _Review(msgspec.Struct):
    status: _Status


def review_of(question: AccessQuestion) -> dict[str, object]:
    """Return the SubjectAccessReview that asks ``question``."""
    attributes = {
        "verb": question.verb,
        "group": question.group,
        "resource": question.resource,
        "namespace": question.namespace,
        "name": question.name,
    }
    spec = {
        "user": question.username,
        "uid": question.uid,
        "groups": question.groups,
        "extra": question.extra,
        "resourceAttributes": {key: value for key, value in attributes.items() if value},
    }
    return {
        "apiVersion": _VERSION,
        "kind": "SubjectAccessReview",
        "spec": {key: value for key, value in spec.items() if value},
    }


def ask(api: Api, question: AccessQuestion, deadline: Deadline) -> Access:
    """Return the API server's answer; ``allowed`` is None where it gave none. Blocks; never raises."""
    return _answer(api, f"the permissions of user {question.username}", review_of(question), deadline)


def ask_about_self(api: Api, permission: Permission, deadline: Deadline) -> Access:
    """Return whether the user of the connection has ``permission``; as ``ask``."""
    review = {
        "apiVersion": _VERSION,
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": permission.attributes},
    }
    return _answer(api, "your own permissions", review, deadline)


def _answer(api: Api, words: str, review: Mapping[str, object], deadline: Deadline) -> Access:
    resource = f"{str(review['kind']).lower()}s"
    request = ApiRequest(
        Purpose(words, "create", _GROUP, resource),
        f"/apis/{_VERSION}/{resource}",
        body=msgspec.json.encode(review),
        method=Method.CREATE,
    )
    try:
        status = msgspec.json.decode(api.fetch(request, deadline), type=_Review).status
    except StateUnreadable as error:
        return Access.unknown(str(error))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return Access.unknown(f"the API server's answer is not understood: {error}")
    return Access(status.allowed, status.reason or status.evaluation_error)
