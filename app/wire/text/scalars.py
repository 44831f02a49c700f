"""Plain YAML scalars as ``kubectl`` reads them: YAML 1.1 the way of go-yaml v2 (``sigs.k8s.io/yaml``).

``yes``, ``on`` and ``y`` are booleans; ``014`` is twelve, ``0o14`` too; ``08`` is eight (a float that JSON
prints as 8); ``1_000`` is a thousand; ``12:30`` and dates stay strings; what stands in quotes is always a
string. Other YAML parsers differ in nearly all of these.
"""

from __future__ import annotations

import re

Scalar = str | int | float | bool | None

_TRUE = ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON")
_FALSE = ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF")
_NULL = ("", "~", "null", "Null", "NULL")
_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(_TRUE, True),
    **dict.fromkeys(_FALSE, False),
    **dict.fromkeys(_NULL),
}
_NOT_FINITE = frozenset(
    {".nan", ".NaN", ".NAN"} | {f"{sign}.{word}" for sign in ("", "+", "-") for word in ("inf", "Inf", "INF")}
)
_INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_DOTTED = re.compile(r"\.[0-9]+([eE][-+]?[0-9]+)?")
_BASES = (16, 2, 8, 10)
_LONGEST = 4000  # Python reads no longer integers; what is longer fits no API field anyway
_SMALLEST = -(2**63)
_LARGEST = 2**64
_EXACT = 2**53
_STARTS = frozenset("+-.0123456789")


def _integer(text: str) -> int | None:
    found = _INTEGER.fullmatch(text)
    if found is None or len(text) > _LONGEST:
        return None
    digits, base = next(
        (digits, base) for digits, base in zip(found.groups()[1:], _BASES, strict=True) if digits
    )
    number = int(digits, base)
    if found[1]:
        number = -number if found[1] == "-" else number
        return number if _SMALLEST <= number < -_SMALLEST else None
    return number if number < _LARGEST else None


def _float(text: str) -> int | float | None:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        return None
    return int(number) if number.is_integer() and abs(number) < _EXACT else number


def plain_scalar(text: str) -> Scalar:
    """Return what the plain (unquoted) scalar ``text`` means. Raises ``ValueError`` for infinity and NaN.

    >>> [plain_scalar(one) for one in ("yes", "014", "08", "2024-01-01", "~")]
    [True, 12, 8, '2024-01-01', None]
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _STARTS:
        return text
    if text in _NOT_FINITE:
        raise ValueError(f"{text} is no number that JSON knows")
    if text[0] == ".":
        number = _float(text) if _DOTTED.fullmatch(text) else None
        return text if number is None else number
    digits = text.replace("_", "")
    number = _integer(digits)
    if number is None and _FLOAT.fullmatch(digits):
        number = _float(digits)
    return text if number is None else number


def key_text(key: Scalar) -> str | None:
    """Return the member name that a scalar key becomes in JSON, or None for null, which has none."""
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, float):
        return f"{key:g}"
    return None if key is None else str(key)
