"""The syntax of names, labels and ports, with the API server's complaints (semantics rules 23, 24).

Every function returns the complaints about one value: an empty list means it is fine. Source of rules and
words: ``k8s.io/apimachinery`` ``pkg/api/validate/content`` and ``pkg/util/validation``.
"""

from __future__ import annotations

import re

_LABEL_NAME = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_DNS_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DNS_SUBDOMAIN = rf"{_DNS_LABEL}(\.{_DNS_LABEL})*"
_LABEL_NAME_RE = re.compile(_LABEL_NAME)
_DNS_LABEL_RE = re.compile(_DNS_LABEL)
_DNS_SUBDOMAIN_RE = re.compile(_DNS_SUBDOMAIN)

_LONGEST_LABEL = 63
_LONGEST_SUBDOMAIN = 253
_LONGEST_PORT_NAME = 15
_LAST_PORT = 65_535

_ENDS = "and must start and end with an alphanumeric character"
_SHAPE = f"must consist of alphanumeric characters, '-', '_' or '.', {_ENDS}"


def _too_long(text: str, most: int, unit: str = "bytes") -> list[str]:
    """Return the complaint about a text of more than ``most`` bytes, which is what Go counts."""
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return [f"must be no more than {most} {unit}"] if size > most else []


def _pattern(message: str, pattern: str, *examples: str) -> str:
    shown = " or ".join(f"'{example}', " for example in examples)
    return f"{message} (e.g. {shown}regex used for validation is '{pattern}')"


_BAD_NAME = _pattern(_SHAPE, _LABEL_NAME, "MyName", "my.name", "123-abc")
_BAD_KEY = (
    f"a valid label key {_BAD_NAME} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
)
_VALUE_SHAPE = f"a valid label must be an empty string or {_SHAPE.removeprefix('must ')}"
_BAD_VALUE = _pattern(_VALUE_SHAPE, f"({_LABEL_NAME})?", "MyValue", "my_value", "12345")
_LOWER = "must consist of lower case alphanumeric characters"
_SUBDOMAIN_SHAPE = f"a lowercase RFC 1123 subdomain {_LOWER}, '-' or '.', {_ENDS}"
_BAD_SUBDOMAIN = _pattern(_SUBDOMAIN_SHAPE, _DNS_SUBDOMAIN, "example.com")
_BAD_DNS_LABEL = _pattern(
    f"a lowercase RFC 1123 label {_LOWER} or '-', {_ENDS}", _DNS_LABEL, "my-name", "123-abc"
)


def dns_subdomain(text: str) -> list[str]:
    """Return what keeps ``text`` from being a DNS subdomain (names of most objects)."""
    complaints = _too_long(text, _LONGEST_SUBDOMAIN, "characters")
    return complaints if _DNS_SUBDOMAIN_RE.fullmatch(text) else [*complaints, _BAD_SUBDOMAIN]


def dns_label(text: str) -> list[str]:
    """Return what keeps ``text`` from being a DNS label (names of namespaces)."""
    complaints = _too_long(text, _LONGEST_LABEL, "characters")
    if _DNS_LABEL_RE.fullmatch(text):
        return complaints
    return [*complaints, "must not contain dots" if _DNS_SUBDOMAIN_RE.fullmatch(text) else _BAD_DNS_LABEL]


def generated_name(prefix: str) -> list[str]:
    """Return what keeps ``prefix`` from being a ``generateName``: it may end in a dash."""
    if len(prefix) > 1 and prefix.endswith("-"):
        # The API server replaces the last two *bytes* by a letter before it looks.
        return dns_subdomain(f"{prefix.encode('utf-8', 'replace')[:-2].decode('utf-8', 'replace')}a")
    return dns_subdomain(prefix)


def _prefix(text: str) -> list[str]:
    if not text:
        return ["prefix part must be non-empty"]
    complaints = _too_long(text, _LONGEST_SUBDOMAIN)
    if not _DNS_SUBDOMAIN_RE.fullmatch(text):
        complaints.append(_BAD_SUBDOMAIN)
    return [f"prefix part {complaint}" for complaint in complaints]


def label_key(text: str) -> list[str]:
    """Return what keeps ``text`` from being a label key.

    >>> label_key("example.com/tier")
    []
    """
    if text.count("/") > 1:
        return [_BAD_KEY]
    prefix, slash, name = text.rpartition("/")
    complaints = _prefix(prefix) if slash else []
    if not name:
        complaints.append("name part must be non-empty")
    complaints += [f"name part {complaint}" for complaint in _too_long(name, _LONGEST_LABEL)]
    if not _LABEL_NAME_RE.fullmatch(name):
        complaints.append(f"name part {_BAD_NAME}")
    return complaints


def label_value(text: str) -> list[str]:
    """Return what keeps ``text`` from being a label value; the empty one is fine (rule 16)."""
    complaints = _too_long(text, _LONGEST_LABEL)
    return complaints if not text or _LABEL_NAME_RE.fullmatch(text) else [*complaints, _BAD_VALUE]


def port_number(number: int) -> list[str]:
    """Return what keeps ``number`` from being a port."""
    return [] if 1 <= number <= _LAST_PORT else [f"must be between 1 and {_LAST_PORT}, inclusive"]


def port_name(text: str) -> list[str]:
    """Return what keeps ``text`` from being an IANA service name."""
    complaints = _too_long(text, _LONGEST_PORT_NAME, "characters")
    if not re.fullmatch(r"[-a-z0-9]+", text):
        complaints.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search(r"[a-z]", text):
        complaints.append("must contain at least one letter (a-z)")
    if "--" in text:
        complaints.append("must not contain consecutive hyphens")
    if text.startswith("-") or text.endswith("-"):
        complaints.append("must not begin or end with a hyphen")
    return complaints
