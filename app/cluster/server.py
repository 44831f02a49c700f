"""The API server itself: which version it is, and what the user of the connection may do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from app.cluster.access import ask_about_self
from app.cluster.connection import Request
from app.cluster.deadline import Deadline
from app.cluster.errors import Wanted, nonsense

if TYPE_CHECKING:
    from app.cluster.connection import Api
    from app.wire.state import Access, Permission

_SECONDS = 30.0


class _Version(msgspec.Struct, rename="camel"):
    git_version: str


class Server:
    """Questions to one API server; all block."""

    def __init__(self, api: Api, seconds: float = _SECONDS) -> None:
        """Nothing is sent yet; each question may take ``seconds``."""
        self._api = api
        self._seconds = seconds

    def version(self) -> str:
        """Return the version, e.g. ``v1.37.2``. Raises ``StateUnreadable``."""
        wanted = Wanted("the API server's version", "get", "", "version")
        body = self._api.fetch(Request(wanted, "/version"), Deadline.after(self._seconds))
        try:
            return msgspec.json.decode(body, type=_Version).git_version
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise nonsense(wanted, str(error)) from error

    def may(self, permission: Permission) -> Access:
        """Return whether the user of the connection has ``permission``; never raises."""
        return ask_about_self(self._api, permission, Deadline.after(self._seconds))
