"""AdmissionReview (``admission.k8s.io/v1``): the request that an API server sends.

Decoded in one step into typed structs; ``object`` and ``oldObject`` stay text until somebody asks for the
policy in them, which is then remembered by its bytes. Strict about everything that a decision rests on:
whoever is not an API server gets told what is wrong, and nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from typing import Annotated, NoReturn

import msgspec
from msgspec import Meta, Raw, field

from app.wire.cache import Memo
from app.wire.errors import BadReview, quoted
from app.wire.networkpolicy.parse import DEFAULT_NAMESPACE, ParsedPolicy, parse_stored

API_VERSION = "admission.k8s.io/v1"
KIND = "AdmissionReview"

_NOT_JSON = 400
_NOT_A_REVIEW = 422
_NULL = Raw(b"null")
_REPEATED = "Duplicate value: a member may be given only once"


class Operation(Enum):
    """What is being done to the object."""

    CREATE = "CREATE"
    UPDATE = "UPDATE"
    DELETE = "DELETE"
    CONNECT = "CONNECT"


class GroupVersionKind(msgspec.Struct, frozen=True, gc=False):
    """The kind of the object, e.g. ``networking.k8s.io/v1, Kind=NetworkPolicy``."""

    group: str = ""
    version: str = ""
    kind: str = ""


class GroupVersionResource(msgspec.Struct, frozen=True, gc=False):
    """The resource that the request is for, e.g. ``networking.k8s.io/v1, Resource=networkpolicies``."""

    group: str = ""
    version: str = ""
    resource: str = ""


class UserInfo(msgspec.Struct, frozen=True, gc=False):
    """Who asks, as the API server knows them."""

    username: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = {}


_NOBODY = UserInfo()


class Review(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The request of one AdmissionReview."""

    uid: Annotated[str, Meta(min_length=1)]
    operation: Operation
    kind: GroupVersionKind
    resource: GroupVersionResource
    sub_resource: str = field(name="subResource", default="")
    name: str = ""
    namespace: str = ""
    dry_run: bool = field(name="dryRun", default=False)
    user: UserInfo = field(name="userInfo", default=_NOBODY)
    new_text: Raw = field(name="object", default=_NULL)
    old_text: Raw = field(name="oldObject", default=_NULL)

    @property
    def object(self) -> Raw | None:
        """The object as it would be; None where there is none, as for DELETE."""
        return _given(self.new_text)

    @property
    def old_object(self) -> Raw | None:
        """The object as it is; None where there is none, as for CREATE."""
        return _given(self.old_text)


def _given(text: Raw) -> Raw | None:
    return None if len(text) == len(b"null") and bytes(text) == b"null" else text


class _Body(msgspec.Struct, gc=False):
    request: Review
    kind: str = ""
    api_version: str = field(name="apiVersion", default="")


class _Members(msgspec.Struct, gc=False):
    request: dict[str, Raw]


class _Head(msgspec.Struct, gc=False):
    kind: object = ""
    api_version: object = field(name="apiVersion", default="")
    request: Raw = _NULL


class _Identified(msgspec.Struct, gc=False):
    uid: str


_decode_body = msgspec.json.Decoder(_Body).decode
_decode_members = msgspec.json.Decoder(_Members).decode
_decode_top = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_head = msgspec.json.Decoder(_Head).decode
_decode_uid = msgspec.json.Decoder(_Identified).decode

_FRAME = len(f'{{"kind":"{KIND}","apiVersion":"{API_VERSION}","request":{{}}}}') - 1
_PLACED = re.compile(r"(?s)(.*?)(?: - at `(?:key in )?\$\.?(.*)`)?")
_MISSING = re.compile(r"Object missing required field `(.*)`")
_NO_ENUM = re.compile(r"(?s)Invalid enum value '?(.*?)'?")
_MEMBER = re.compile(rb'[ \t\r\n]*("(?:[^"\\]|\\.)*")[ \t\r\n]*:[ \t\r\n]*')
_NEXT = re.compile(rb"[ \t\r\n]*,")


def decode_review(body: bytes) -> Review:
    """Return the request in ``body``.

    Raises ``BadReview``: 400 for a body that is no JSON or repeats a member, 422 for JSON that is no
    ``admission.k8s.io/v1`` review with a uid, an operation, a kind and a resource.
    """
    try:
        if not body.isascii():
            body.decode()  # what msgspec skips, it does not check
        read = _decode_body(body)
    except UnicodeDecodeError as error:
        raise BadReview(_NOT_JSON, "", f"not valid UTF-8: byte {error.start}: {error.reason}") from None
    except msgspec.ValidationError as error:
        _explain(body, error)
    except msgspec.DecodeError as error:
        raise BadReview(_NOT_JSON, "", f"not valid JSON: {error}") from None
    except RecursionError:
        raise BadReview(_NOT_JSON, "", "nested too deeply") from None
    _check_type(read.kind, read.api_version, read.request.uid)
    if len(body.rstrip()) != _plain_length(_decode_members(body).request):
        _refuse_duplicates(body, read.request.uid)
    return read.request


def _plain_length(request: dict[str, Raw]) -> int:
    """Return how long the body is if it holds just these members, spelled as an API server does: compactly.

    A repeated member makes it longer, and so do spaces and escapes in names, which nobody needs.
    """
    return _FRAME + sum(map(len, request)) + sum(map(len, request.values())) + 4 * len(request)


def _check_type(kind: object, api_version: object, uid: str | None) -> None:
    for path, value, wanted in (("apiVersion", api_version, API_VERSION), ("kind", kind, KIND)):
        if value != wanted:
            shown = quoted(value) if isinstance(value, str) else str(value)
            message = f'Unsupported value: {shown}: supported values: "{wanted}"'
            raise BadReview(_NOT_A_REVIEW, path, message, uid=uid)


def _uid_of(request: Raw) -> str | None:
    try:
        return _decode_uid(request).uid or None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _explain(body: bytes, error: msgspec.ValidationError) -> NoReturn:
    """Raise the ``BadReview`` for JSON of the wrong shape, naming the field as Kubernetes would."""
    try:
        head = _decode_head(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise BadReview(_NOT_A_REVIEW, "", f"no AdmissionReview: {error}") from None
    uid = _uid_of(head.request)
    _check_type(head.kind, head.api_version, uid)
    found = _PLACED.fullmatch(str(error))
    message, path = (found[1], found[2] or "") if found else (str(error), "")
    if missing := _MISSING.fullmatch(message):
        place = f"{path}.{missing[1]}".lstrip(".")
        raise BadReview(_NOT_A_REVIEW, place, "Required value", uid=uid) from None
    if path == "request.uid" and "length" in message:
        raise BadReview(_NOT_A_REVIEW, path, "Required value") from None
    if wrong := _NO_ENUM.fullmatch(message):
        supported = ", ".join(quoted(operation.value) for operation in Operation)
        message = f"Unsupported value: {quoted(wrong[1])}: supported values: {supported}"
    else:
        message = f"Invalid value: {message[:1].lower()}{message[1:]}"
    raise BadReview(_NOT_A_REVIEW, path, message, uid=uid) from None


def _refuse_duplicates(body: bytes, uid: str) -> None:
    """Raise ``BadReview`` where a member of the review or of its request is there twice.

    JSON leaves open which one counts, so two readers of the same request could see different objects. Only
    for bodies that are not spelled as an API server spells them; what is unusual but unambiguous passes.
    """
    top = _decode_top(body)
    _walk(body, top, "", uid)
    _walk(bytes(top["request"]), _decode_top(top["request"]), "request.", uid)


def _walk(text: bytes, members: dict[str, Raw], path: str, uid: str) -> None:
    """Walk along ``text``, expecting ``members`` in their order and nothing else.

    The decoder keeps the first place and the last value of a repeated member: it is met with another value
    than expected, or remains at the end.
    """
    seen: set[str] = set()
    position = text.index(b"{") + 1
    for name, value in members.items():
        found = _MEMBER.match(text, position)
        key = msgspec.json.decode(found[1]) if found else None
        if found is None or key != name or not text.startswith(bytes(value), found.end()):
            again = key if key in seen else name
            raise BadReview(_NOT_JSON, f"{path}{again}", _REPEATED, uid=uid)
        seen.add(name)
        position = found.end() + len(value)
        if comma := _NEXT.match(text, position):
            position = comma.end()
    if left := _MEMBER.match(text, position):
        raise BadReview(_NOT_JSON, f"{path}{msgspec.json.decode(left[1])}", _REPEATED, uid=uid)


_POLICIES_KEPT = 2048
_BYTES_KEPT = 6 * 1024 * 1024
_policies: Memo[ParsedPolicy] = Memo(_POLICIES_KEPT, _BYTES_KEPT)


def policy_of(raw: Raw | bytes, namespace: str = DEFAULT_NAMESPACE) -> ParsedPolicy:
    """Return the NetworkPolicy in ``raw``, as ``parse_stored`` does; the same bytes are read only once.

    ``namespace`` is the request's, and counts where the object names none.
    """
    key = (bytes(raw), namespace)
    return _policies.get(key) or _policies.put(key, parse_stored(raw, namespace=namespace))
