"""AdmissionReview (``admission.k8s.io/v1``): the answer to an API server, as bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping

import msgspec
from msgspec import field

_NONE: Mapping[str, str] = {}


class Cause(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One reason, for programs; ``field`` and ``reason`` are those of a ``FieldError``."""

    reason: str = ""
    message: str = ""
    field: str = ""


class Details(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What the answer is about, and its causes."""

    name: str = ""
    group: str = ""
    kind: str = ""
    causes: tuple[Cause, ...] = ()


class Status(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Why the answer is no (``metav1.Status``); kubectl shows ``message``."""

    code: int
    reason: str
    message: str
    details: Details | None = None


class _Response(msgspec.Struct, omit_defaults=True, gc=False):
    uid: str
    allowed: bool
    status: Status | None = None
    warnings: tuple[str, ...] = ()
    audit_annotations: Mapping[str, str] = field(name="auditAnnotations", default_factory=dict)


class _Answer(msgspec.Struct, gc=False):
    response: _Response
    api_version: str = field(name="apiVersion", default="admission.k8s.io/v1")
    kind: str = "AdmissionReview"


_encode = msgspec.json.Encoder().encode


def with_warning(answer: bytes, warning: str) -> bytes:
    """Return an encoded answer with one warning more, as the first: the API server may cut off the last.

    >>> answer = encode_response("u", allowed=True, warnings=("second",))
    >>> json.loads(with_warning(answer, "first"))["response"]["warnings"]
    ['first', 'second']
    """
    read = json.loads(answer)
    response = read["response"]
    response["warnings"] = [warning, *response.get("warnings", ())]
    return json.dumps(read).encode()


def encode_response(
    uid: str,
    *,
    allowed: bool,
    status: Status | None = None,
    warnings: tuple[str, ...] = (),
    audit_annotations: Mapping[str, str] = _NONE,
) -> bytes:
    """Return the AdmissionReview that answers the request ``uid``.

    The keys of ``audit_annotations`` come without the webhook's name, which the API server puts in front.
    """
    answer = _Answer(_Response(uid, allowed, status, warnings, audit_annotations))
    try:
        return _encode(answer)
    except UnicodeEncodeError:  # half of a surrogate pair, from some file name or command line
        return json.dumps(msgspec.to_builtins(answer)).encode()
