"""What can be wrong with input, in the API server's own words and with its own field paths.

A ``FieldError`` is a value that is returned: an object may have many. The exceptions are for input of which
nothing can be used: a review that is none (``BadReview``), a file that is no YAML (``UnusableInput``).

The wording follows ``k8s.io/apimachinery/pkg/util/validation/field``, so that a message here and one from
``kubectl apply`` read alike.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from app.errors import GuardError, InputError

_REASONS = {
    "Required value": "FieldValueRequired",
    "Unsupported value": "FieldValueNotSupported",
    "Forbidden": "FieldValueForbidden",
    "Too long": "FieldValueTooLong",
}
_NAMED_ESCAPES = dict(zip('"\\\a\b\f\n\r\t\v', '"\\abfnrtv', strict=True))
"""What has a letter of its own, and which: a line break is ``\\n``."""
_LAST_BYTE = 0x7F
_LAST_SHORT = 0xFFFF


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing that is wrong with one field.

    ``path`` is spelled as the API server does: ``spec.ingress[0].from[1].ipBlock.cidr``; ``message`` is the
    part that it prints behind the path. ``line`` and ``column`` (1-based) are there where the object came
    from a file.
    """

    path: str
    message: str
    value: object | None = None
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        """Return ``path: message``, as the API server prints it."""
        return f"{self.path}: {self.message}" if self.path else self.message

    @property
    def reason(self) -> str:
        """The machine-readable cause type of the API (``metav1.CauseType``), e.g. ``FieldValueRequired``."""
        return _REASONS.get(self.message.partition(":")[0], "FieldValueInvalid")


class BadReview(GuardError):  # noqa: N818 - reads as what it is: a bad review
    """A request body that is no usable AdmissionReview.

    ``status`` is the HTTP status to answer with: 400 where the body is no JSON, 422 where it is JSON of
    another shape. ``path`` names the field (empty for the whole body); ``uid`` is the request's, where it
    could be read.
    """

    def __init__(self, status: int, path: str, message: str, *, uid: str | None = None) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.status = status
        self.path = path
        self.message = message
        self.uid = uid


class UnusableInput(InputError):  # noqa: N818 - reads as what it is: unusable input
    """A file of which nothing can be used; ``line`` and ``column`` are 1-based."""

    def __init__(self, origin: str, line: int, column: int, message: str) -> None:
        super().__init__(f"{origin}:{line}:{column}", message)
        self.origin = origin
        self.line = line
        self.column = column


class UnusableObject(InputError):  # noqa: N818 - reads as what it is: an unusable object
    """An object of the API that is not of its kind's shape; ``path`` names the field."""

    @classmethod
    def of(cls, kind: str, error: Exception) -> UnusableObject:
        """Return what a decoder's complaint about an object of ``kind`` means in words of the API."""
        message, _, place = str(error).partition(" - at `")
        path = place.removesuffix("`").removeprefix("key in ").removeprefix("$").removeprefix(".")
        return cls(f"{kind}: {path}" if path else kind, message)


def _escaped(found: re.Match[str]) -> str:
    char = found.group()
    if char in _NAMED_ESCAPES:
        return f"\\{_NAMED_ESCAPES[char]}"
    if char == " " or char.isprintable():
        return char
    code = ord(char)
    if code <= _LAST_BYTE:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= _LAST_SHORT else f"\\U{code:08x}"


def quoted(text: str) -> str:
    r"""Return ``text`` in double quotes as Go's ``%q`` prints it.

    >>> print(quoted('a "b"'))
    "a \"b\""
    """
    return '"' + re.sub(r'[\x00-\x1f"\\\x7f-\U0010ffff]', _escaped, text) + '"'


def _shown(value: object) -> str:
    if isinstance(value, str):
        return quoted(value)
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)


def invalid(path: str, value: object, detail: str) -> FieldError:
    """Return what ``field.Invalid`` is: a malformed value."""
    return FieldError(path, f"Invalid value: {_shown(value)}: {detail}", value)


def required(path: str, detail: str = "") -> FieldError:
    """Return what ``field.Required`` is: a value is missing."""
    return FieldError(path, f"Required value: {detail}" if detail else "Required value")


def forbidden(path: str, detail: str) -> FieldError:
    """Return what ``field.Forbidden`` is: a value that may not stand here."""
    return FieldError(path, f"Forbidden: {detail}")


def too_long(path: str, most: int) -> FieldError:
    """Return what ``field.TooLong`` is: more than ``most`` bytes."""
    return FieldError(path, f"Too long: may not be more than {most} bytes")


def unsupported(path: str, value: object, supported: Iterable[str]) -> FieldError:
    """Return what ``field.NotSupported`` is: none of the ``supported`` values."""
    listed = ", ".join(quoted(value) for value in supported)
    return FieldError(path, f"Unsupported value: {_shown(value)}: supported values: {listed}", value)


_TYPE_NAMES: Mapping[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a string",
    bool: "a boolean",
    int: "a whole number",
    float: "a fraction",
    type(None): "null",
}


def type_name(value: object) -> str:
    """Return what JSON calls the type of ``value``, with its article."""
    return _TYPE_NAMES.get(type(value), f"a {type(value).__name__}")


def wrong_type(path: str, value: object, wanted: str) -> FieldError:
    """Return the error for a value of the wrong JSON type; ``wanted`` with its article: ``a list``.

    The API server's decoder stops at the first of these with Go's words (``cannot unmarshal string into Go
    struct field ...``); here they are field errors like all others. Long values are not repeated.
    """
    shown = _shown(value) if isinstance(value, str | int | float | bool) else type_name(value)
    return FieldError(path, f"Invalid value: {shown}: must be {wanted}, not {type_name(value)}", value)
