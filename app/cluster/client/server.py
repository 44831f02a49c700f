"""The API server itself: which version it is, and what users may do: asked of it, not guessed from roles."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from app.cluster.client.connection import Api, ApiRequest, Method
from app.cluster.client.errors import Purpose, nonsense
from app.deadline import Deadline
from app.errors import StateUnreadable
from app.model.access import Access, AccessQuestion, Permission

_SECONDS = 30.0
_GROUP = "authorization.k8s.io"
_VERSION = f"{_GROUP}/v1"


class _Version(msgspec.Struct, rename="camel"):
    git_version: str


class _AccessStatus(msgspec.Struct, rename="camel"):
    allowed: bool = False
    reason: str = ""
    evaluation_error: str = ""


class _AccessReview(msgspec.Struct):
    status: _AccessStatus


# Made here: a shape that several threads meet first at the same time crashes the interpreter.
_decode_review = msgspec.json.Decoder(_AccessReview).decode
_decode_version = msgspec.json.Decoder(_Version).decode


class ClusterServer:
    """Questions to one API server; all block."""

    def __init__(self, api: Api, seconds: float = _SECONDS) -> None:
        """Nothing is sent yet; each question may take ``seconds``."""
        self._api = api
        self._seconds = seconds

    def version(self) -> str:
        """Return the version, e.g. ``v1.37.2``. Raises ``StateUnreadable``."""
        purpose = Purpose("the API server's version", "get", "", "version")
        body = self._api.fetch(ApiRequest(purpose, "/version"), Deadline.after(self._seconds))
        try:
            return _decode_version(body).git_version
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise nonsense(purpose, str(error)) from error

    def user(self) -> str:
        """Return by which name the API server knows the user of the connection, "" where it does not say."""
        purpose = Purpose("the name of the user", "create", "authentication.k8s.io", "selfsubjectreviews")
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        path, body = "/apis/authentication.k8s.io/v1/selfsubjectreviews", msgspec.json.encode(review)
        try:
            request = ApiRequest(purpose, path, body=body, method=Method.CREATE)
            answer = self._api.fetch(request, Deadline.after(self._seconds))
            return str(msgspec.json.decode(answer)["status"]["userInfo"]["username"])
        except (StateUnreadable, msgspec.MsgspecError, UnicodeDecodeError, LookupError, TypeError):
            return ""

    def may(self, permission: Permission) -> Access:
        """Return whether the user of the connection has ``permission``; never raises."""
        asked = {"resourceAttributes": permission.attributes}
        review = {"apiVersion": _VERSION, "kind": "SelfSubjectAccessReview", "spec": asked}
        return _answer(self._api, "your own permissions", review, Deadline.after(self._seconds))


def review_of(question: AccessQuestion) -> dict[str, object]:
    """Return the SubjectAccessReview that asks ``question``."""
    place = question.namespace, question.name
    spec = {
        "user": question.username,
        "uid": question.uid,
        "groups": question.groups,
        "extra": question.extra,
        "resourceAttributes": Permission(question.verb, question.group, question.resource, *place).attributes,
    }
    told = {key: value for key, value in spec.items() if value}
    return {"apiVersion": _VERSION, "kind": "SubjectAccessReview", "spec": told}


def ask(api: Api, question: AccessQuestion, deadline: Deadline) -> Access:
    """Return the API server's answer; ``allowed`` is None where it gave none. Blocks; never raises."""
    return _answer(api, f"the permissions of user {question.username}", review_of(question), deadline)


def _answer(api: Api, words: str, review: Mapping[str, object], deadline: Deadline) -> Access:
    resource = f"{str(review['kind']).lower()}s"
    purpose, path = Purpose(words, "create", _GROUP, resource), f"/apis/{_VERSION}/{resource}"
    request = ApiRequest(purpose, path, body=msgspec.json.encode(review), method=Method.CREATE)
    try:
        status = _decode_review(api.fetch(request, deadline)).status
    except StateUnreadable as error:
        return Access.unknown(str(error))
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return Access.unknown(f"the API server's answer is not understood: {error}")
    return Access(status.allowed, status.reason or status.evaluation_error)
