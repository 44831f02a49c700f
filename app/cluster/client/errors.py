"""The one seam where errors of the Kubernetes client and its HTTP library become ours.

Each says what was wanted, what happened, and what a person can do about it; a refused permission names the
rule that is missing. ``HttpRefusal`` keeps the status for those who can do without the thing refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus

import msgspec
from urllib3 import exceptions as http

from app.errors import StateUnreadable
from app.model.kinds import Reference

_LONGEST_MESSAGE = 500
_LEAST_PAUSE = 0.05
"""A server that says ``Retry-After: 0`` is not asked at full speed."""

_DENIED = "denied the request"
"""How the API server says that an admission webhook or policy said no (``webhook/errors``)."""


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a request is for: ``words`` for the message, the rest for the RBAC rule that it needs."""

    words: str
    verb: str
    group: str
    resource: str
    namespace: str = ""

    @classmethod
    def of(cls, reference: Reference, verb: str) -> Purpose:
        """Return what a request with the RBAC ``verb`` for one object is for."""
        kind = reference.kind
        return cls(str(reference), verb, kind.group, kind.resource, reference.namespace)

    @property
    def rule(self) -> str:
        """The RBAC rule that permits the request, in one line."""
        place = f" in namespace {self.namespace}" if self.namespace else ""
        return f'apiGroups: ["{self.group}"], resources: ["{self.resource}"], verbs: ["{self.verb}"]{place}'


class HttpRefusal(StateUnreadable):
    """The API server answered, but with an error.

    ``status`` is the HTTP status code, ``said`` the API server's whole message as it was sent; ``warnings``
    came with it. ``retry_after``: in how many seconds it wants to be asked again, None where it does not.
    """

    warnings: tuple[str, ...] = ()
    retry_after: float | None = None

    def __init__(self, status: int, purpose: Purpose, reasons: tuple[str, str], said: str = "") -> None:
        super().__init__(purpose.words, *reasons)
        self.status = status
        self.said = said

    @property
    def is_lasting(self) -> bool:
        """Whether asking again soon is pointless: not permitted, or no such resource in this cluster."""
        return self.status in (HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)

    def pause_within(self, seconds: float) -> float | None:
        """Return in how many seconds to ask again; None where that is not wanted, or too late."""
        if self.retry_after is None or not _is_for_now(self.status):
            return None
        pause = max(self.retry_after, _LEAST_PAUSE)
        return pause if pause < seconds else None


class _Status(msgspec.Struct):
    message: str = ""


_decode_status = msgspec.json.Decoder(_Status).decode


def _message_of(body: bytes) -> str:
    """Return the message of a ``metav1.Status``, or whatever else a proxy may have sent."""
    try:
        return _decode_status(body).message
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return body.decode("utf-8", "replace")


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]}…"


def _is_for_now(status: int) -> bool:
    return status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def _seconds_in(retry_after: str | None) -> float | None:
    """Return the seconds of a ``Retry-After`` header; None where there is none, or it is a date.

    The API server writes whole seconds (``k8s.io/apiserver``, ``pkg/util/flowcontrol`` and ``filters``).
    """
    return float(retry_after) if retry_after is not None and retry_after.isdecimal() else None


def refusal(status: int, body: bytes, purpose: Purpose, retry_after: str | None = None) -> HttpRefusal:
    """Return the error for an answer other than 2xx; ``retry_after`` is the header of that name."""
    said = _message_of(body)
    detail = f": {_shortened(said)}" if said else ""
    if status == HTTPStatus.UNAUTHORIZED:
        why = "the API server does not accept these credentials (401)"
        how = "renew the token or certificate of the kubeconfig or the ServiceAccount"
    elif status == HTTPStatus.FORBIDDEN and _DENIED in said:
        why, how = f"an admission webhook said no{detail}", ""
    elif status == HTTPStatus.FORBIDDEN:
        why = f"not permitted (403){detail}"
        how = f"grant this rule: {purpose.rule}"
    elif _is_for_now(status):
        why = f"the API server cannot answer now ({status}){detail}"
        how = "try again in a moment"
    else:
        why = f"the API server answered {status}{detail}"
        how = ""
    refused = HttpRefusal(status, purpose, (why, how), said)
    refused.retry_after = _seconds_in(retry_after)
    return refused


def _root(error: BaseException) -> str:
    """Return the innermost reason, in its own words."""
    reason = getattr(error, "reason", None)
    if isinstance(reason, BaseException):
        return _root(reason)
    text = str(error).strip()
    return text.rpartition(">: ")[2].rpartition("): ")[2] or text or type(error).__name__


CHECK_SERVER = "check that the API server runs and that its address in the kubeconfig is right"
CHECK_CA = "check the certificate authority of the kubeconfig, and the host name of the server"

ErrorKind = tuple[type[Exception], str, str]
"""A kind of error, what it means, and what to do about it."""

_KINDS: tuple[ErrorKind, ...] = (
    (http.SSLError, "the TLS connection to the API server failed", CHECK_CA),
    (http.NameResolutionError, "the API server's name is unknown", CHECK_SERVER),
    (http.ProxyError, "the proxy does not let through", "check the proxy settings"),
    (http.NewConnectionError, "the API server cannot be reached", CHECK_SERVER),
    (http.HTTPError, "the connection to the API server broke", "try again"),
    (OSError, "the connection to the API server broke", "try again"),
)


def overdue(words: str, seconds: float) -> StateUnreadable:
    """Return the error for an answer that did not come within ``seconds``."""
    return StateUnreadable(
        words,
        f"the API server did not answer within {seconds:.1f} s",
        "try again; if it stays so, look at the API server's load and at the network to it",
    )


def broken(
    error: Exception,
    purpose: Purpose,
    server: str,
    *,
    kinds: Iterable[ErrorKind] = _KINDS,
    reason: str = "",
) -> StateUnreadable:
    """Return the error for a connection that failed: unreachable, TLS, name, proxy, broken off.

    ``kinds`` are those of the HTTP library that was used, by default ``urllib3``; ``reason`` is the innermost
    one, where the error does not tell it by itself.
    """
    for kind, why, how in kinds:
        if isinstance(error, kind):
            return StateUnreadable(purpose.words, f"{why}: {reason or _root(error)} ({server})", how)
    return StateUnreadable(purpose.words, f"{type(error).__name__}: {error}", "")


def nonsense(purpose: Purpose, detail: str) -> StateUnreadable:
    """Return the error for an answer that is not what the API promises."""
    return StateUnreadable(
        purpose.words, f"the answer is not understood: {detail}", "is this a Kubernetes API server?"
    )
