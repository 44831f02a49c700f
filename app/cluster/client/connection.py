"""The Kubernetes client, as little of it as possible: its configuration and its connection pool.

The client's typed API would cost 70 MB and a second (``docs/design/performance.md``). Here it finds the
server and keeps the credentials fresh; requests go out through its ``urllib3`` pool and come back as bytes.
All calls block: they belong in threads.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

from kubernetes.client.configuration import Configuration
from kubernetes.client.rest import RESTClientObject
from kubernetes.config import (
    ConfigException,
    list_kube_config_contexts,
    load_incluster_config,
    load_kube_config,
)
from urllib3 import BaseHTTPResponse, Timeout
from urllib3 import exceptions as http

from app.cluster.client.errors import HttpRefusal, Purpose, broken, overdue, refusal
from app.deadline import Deadline
from app.errors import SettingsError, StateUnreadable

ClientConfiguration = Configuration
"""The client's settings: server, authority, credentials; handed on as a whole by who never looks inside."""

_POOL_SIZE = 32
_CONNECT_SECONDS = 10.0
_CHUNK = 1 << 16
_SHORTEST = 0.001
_JSON = "application/json"
_WARNING = re.compile(r'299 \S+ "((?:[^"\\]|\\.)*)"')


class Method(Enum):
    """What a request does, with the media type of its body."""

    GET = "GET", _JSON
    CREATE = "POST", _JSON
    APPLY = "PATCH", "application/apply-patch+yaml"
    MERGE = "PATCH", "application/merge-patch+json"
    EDIT = "PATCH", "application/json-patch+json"
    REPLACE = "PUT", _JSON
    DELETE = "DELETE", _JSON

    @property
    def verb(self) -> str:
        """The HTTP method."""
        return self.value[0]

    @property
    def media_type(self) -> str:
        """The media type of the body."""
        return self.value[1]


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request: what it is for, the path and query that ask for it, and what is sent along."""

    purpose: Purpose
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    method: Method = Method.GET

    @property
    def target(self) -> str:
        """Path and query as they stand in the URL."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """The body of a 2xx answer, and the warnings that came with it (``Warning: 299`` headers)."""

    body: bytes
    warnings: tuple[str, ...] = ()


class Stream(Protocol):
    """The lines of an answer that goes on, and a way to end it from another thread."""

    def __iter__(self) -> Iterator[bytes]:
        """Yield line after line until the server ends the answer."""

    def close(self) -> None:
        """End it; whoever iterates sees the end, or an error."""


class Api(Protocol):
    """What the rest of the room needs of a connection; tests put something simpler in its place."""

    def fetch(self, request: ApiRequest, deadline: Deadline) -> bytes:
        """Return the body of a 2xx answer; raise ``StateUnreadable`` otherwise."""

    def watch(self, request: ApiRequest, seconds: float) -> Stream:
        """Return the lines of a watch; ``seconds`` without a line count as a broken connection."""


class AsyncApi(Protocol):
    """What reviews need of a connection; tests put something simpler in its place."""

    async def fetch(self, request: ApiRequest, deadline: Deadline) -> bytes:
        """Return the body of a 2xx answer; raise ``StateUnreadable`` otherwise."""
        ...


class WritingApi(Api, Protocol):
    """What whole objects need of a connection: the warnings, too."""

    def call(self, request: ApiRequest, deadline: Deadline) -> ApiAnswer:
        """Return a 2xx answer with its warnings; raise ``StateUnreadable`` otherwise."""


def configuration(kubeconfig: Path | None = None, context: str | None = None) -> Configuration:
    """Return the client's configuration: of the file given, of the pod we run in, or of the user's own file.

    Raises ``SettingsError`` with what is wrong with it.
    """
    config = Configuration()
    try:
        if kubeconfig is None and context is None and _in_cluster(config):
            return config
        load_kube_config(  # type: ignore[no-untyped-call]
            config_file=None if kubeconfig is None else str(kubeconfig),
            context=context,
            client_configuration=config,
            persist_config=False,
        )
    except Exception as error:  # the loaders raise what their YAML parser, plugins and files do
        name = "the user's kubeconfig" if kubeconfig is None else str(kubeconfig)
        raise SettingsError(f"{name} cannot be used: {error}") from error
    return config


def _in_cluster(config: Configuration) -> bool:
    try:
        load_incluster_config(client_configuration=config)  # type: ignore[no-untyped-call]
    except ConfigException:
        return False
    return True


def context_namespace(kubeconfig: Path | None = None, context: str | None = None) -> str | None:
    """Return the namespace that kubectl would take for a manifest that names none, None where none is set."""
    try:
        contexts, current = list_kube_config_contexts(  # type: ignore[no-untyped-call]
            config_file=None if kubeconfig is None else str(kubeconfig)
        )
    except Exception:  # noqa: BLE001 - what is wrong with the file, `configuration` says
        return None
    chosen = next((named for named in contexts if named["name"] == context), current)
    namespace: str | None = chosen["context"].get("namespace")
    return namespace


def credentials_of(config: ClientConfiguration) -> dict[str, str]:
    """Return the headers that tell who we are; may run a plugin, or read a token file again."""
    settings: Mapping[str, Any] = config.auth_settings()
    found = (setting for setting in settings.values() if setting["in"] == "header" and setting["value"])
    return {str(setting["key"]): str(setting["value"]) for setting in found}


class Connection:
    """Requests to one API server, with credentials that are renewed as the client does; safe for threads."""

    def __init__(self, config: Configuration) -> None:
        """Nothing is sent yet."""
        config.connection_pool_maxsize = _POOL_SIZE
        self.server: str = config.host.rstrip("/")
        self._config = config
        self._pool = RESTClientObject(config).pool_manager
        self._renewal = threading.Lock()

    def fetch(self, request: ApiRequest, deadline: Deadline) -> bytes:
        """Return the body of a 2xx answer.

        Raises ``HttpRefusal`` for another status, ``StateUnreadable`` where no answer comes by the deadline.
        """
        return self.call(request, deadline).body

    def call(self, request: ApiRequest, deadline: Deadline) -> ApiAnswer:
        """Return a 2xx answer with its warnings; raises like ``fetch``.

        What the API server asks to be asked again (429 and 5xx with ``Retry-After``) is, as long as there is
        time.
        """
        while True:
            try:
                return self._call_once(request, deadline)
            except HttpRefusal as error:
                pause = error.pause_within(deadline.left)
                if pause is None:
                    raise
                time.sleep(pause)

    def _call_once(self, request: ApiRequest, deadline: Deadline) -> ApiAnswer:
        with self._seam(request, deadline.seconds):
            response = self._send_again_if_stale(request, deadline)
            body: bytes = response.data
        return ApiAnswer(self._checked(response, body, request), _warnings_of(response))

    def watch(self, request: ApiRequest, seconds: float) -> Stream:
        """Return the lines of a watch; raises like ``fetch``."""
        with self._seam(request, seconds):
            response = self._send(request, Timeout(connect=_CONNECT_SECONDS, read=seconds))
            if response.status != HTTPStatus.OK:
                self._checked(response, response.data, request)
        return _Lines(self, response, request, seconds)

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self._pool.clear()

    def _send_again_if_stale(self, request: ApiRequest, deadline: Deadline) -> BaseHTTPResponse:
        """Send; once more where a kept-alive connection was closed by the server at that moment.

        All requests of ours are safe to repeat.
        """
        try:
            return self._send(request, self._timeout(request, deadline))
        except http.ProtocolError:
            return self._send(request, self._timeout(request, deadline))

    def _timeout(self, request: ApiRequest, deadline: Deadline) -> Timeout:
        left = deadline.left
        if left < _SHORTEST:
            raise overdue(request.purpose.words, deadline.seconds)
        return Timeout(total=left)

    def _send(self, request: ApiRequest, timeout: Timeout) -> BaseHTTPResponse:
        headers = {"Accept": _JSON, "User-Agent": "netpol-guard", **self._credentials()}
        if request.body is not None:
            headers["Content-Type"] = request.method.media_type
        response: BaseHTTPResponse = self._pool.urlopen(
            request.method.verb,
            self.server + request.target,
            body=request.body,
            headers=headers,
            timeout=timeout,
            retries=False,
            redirect=False,
            preload_content=False,
        )
        return response

    def _credentials(self) -> dict[str, str]:
        with self._renewal:
            return credentials_of(self._config)

    @staticmethod
    def _checked(response: BaseHTTPResponse, body: bytes, request: ApiRequest) -> bytes:
        if not HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES:
            refused = refusal(response.status, body, request.purpose, response.headers.get("Retry-After"))
            refused.warnings = _warnings_of(response)
            raise refused
        return body

    @contextmanager
    def _seam(self, request: ApiRequest, seconds: float) -> Iterator[None]:
        try:
            yield
        except StateUnreadable:
            raise
        except (
            http.NewConnectionError
        ) as error:  # a refused connection, which some versions count as a time-out
            raise broken(error, request.purpose, self.server) from error
        except (http.TimeoutError, TimeoutError) as error:
            raise overdue(request.purpose.words, seconds) from error
        except (http.HTTPError, OSError, ConfigException) as error:
            raise broken(error, request.purpose, self.server) from error


def _warnings_of(response: BaseHTTPResponse) -> tuple[str, ...]:
    return warnings_in(response.headers.getlist("Warning"))


def warnings_in(headers: Iterable[str]) -> tuple[str, ...]:
    r"""Return the texts of ``Warning`` headers as the API server writes them (RFC 7234, 5.5).

    >>> warnings_in(['299 - "first, \\"quoted\\"", 299 - "second"'])
    ('first, "quoted"', 'second')
    """
    found = (text for header in headers for text in _WARNING.findall(header))
    return tuple(re.sub(r"\\(.)", r"\1", text) for text in found)


class _Lines:
    """The lines of one answer of a ``Connection``."""

    def __init__(
        self, connection: Connection, response: BaseHTTPResponse, request: ApiRequest, seconds: float
    ) -> None:
        self._connection = connection
        self._response = response
        self._request = request
        self._seconds = seconds

    def __iter__(self) -> Iterator[bytes]:
        rest = b""
        try:
            with self._connection._seam(self._request, self._seconds):  # noqa: SLF001 - one class in two parts
                for chunk in self._response.stream(_CHUNK, decode_content=True):
                    *lines, rest = (rest + chunk).split(b"\n")
                    yield from (line for line in lines if line)
        finally:
            # The rest of an answer that was left early must not be the next request's.
            self._response.close()

    def close(self) -> None:
        """End the answer; the thread that reads it wakes up."""
        with suppress(ValueError, RuntimeError, OSError):  # it had ended just then
            self._response.shutdown()
