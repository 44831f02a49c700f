"""The API server itself: which version it is, and what the user of the connection may do."""

from __future__ import annotations

import msgspec

from app.cluster.client.access import ask_about_self
from app.cluster.client.connection import Api, ApiRequest, Method
from app.cluster.client.errors import Purpose, nonsense
from app.deadline import Deadline
from app.errors import StateUnreadable
from app.model.access import Access, Permission

_SECONDS = 30.0


class _Version(msgspec.Struct, rename="camel"):
    git_version: str


class _User(msgspec.Struct, frozen=True):
    username: str = ""


class _Status(msgspec.Struct, rename="camel", frozen=True):
    user_info: _User = _User()


class _SelfReview(msgspec.Struct, frozen=True):
    status: _Status = _Status()


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
            return msgspec.json.decode(body, type=_Version).git_version
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
            return msgspec.json.decode(answer, type=_SelfReview).status.user_info.username
        except (StateUnreadable, msgspec.MsgspecError, UnicodeDecodeError):
            return ""

    def may(self, permission: Permission) -> Access:
        """Return whether the user of the connection has ``permission``; never raises."""
        return ask_about_self(self._api, permission, Deadline.after(self._seconds))
