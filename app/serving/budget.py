"""How long a decision may take: what the settings say, or less where the API server waits for less.

The API server sends its own time limit along: `POST /validate?timeout=10s`.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs

RESERVE_SECONDS = 1.0
"""Kept of the API server's limit for the way there and back, and for its rounding up to whole seconds."""

LEAST_SECONDS = 0.1

# https://pkg.go.dev/time#ParseDuration: "a possibly signed sequence of decimal numbers, each with optional
# fraction and a unit suffix"
_MICRO, _MU = "\u00b5s", "\u03bcs"  # two characters that look the same; Go takes both
_UNITS = {"ns": 1e-9, "us": 1e-6, _MICRO: 1e-6, _MU: 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(rf"(\d+\.?\d*|\.\d+)({'|'.join(_UNITS)})", re.ASCII)
_DURATION = re.compile(rf"[+-]?((?:{_PART.pattern})+|0)", re.ASCII)
_LONGEST_TEXT = 64


def go_duration(text: str) -> float | None:
    """Return the seconds that Go's spelling of a duration means, or nothing where it is none.

    >>> go_duration("1m30s"), go_duration("500ms"), go_duration("10")
    (90.0, 0.5, None)
    """
    if len(text) > _LONGEST_TEXT or not _DURATION.fullmatch(text):
        return None
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))
    return -seconds if text.startswith("-") else seconds


def budget_for(query: bytes, settings_seconds: float) -> float:
    """Return the seconds that a decision may take, for the query string of its request.

    A timeout that is missing or cannot be understood changes nothing: the settings' budget holds.

    >>> budget_for(b"timeout=10s", 1.0), budget_for(b"timeout=1500ms", 1.0), budget_for(b"", 1.0)
    (1.0, 0.5, 1.0)
    """
    try:
        timeouts = parse_qs(query.decode("latin-1"), max_num_fields=8).get("timeout", [])
    except ValueError:
        return settings_seconds
    timeout = go_duration(timeouts[-1]) if timeouts else None
    if timeout is None:
        return settings_seconds
    return max(LEAST_SECONDS, min(settings_seconds, timeout - RESERVE_SECONDS))
