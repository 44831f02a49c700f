"""How long an answer may take: the API server sends its own time limit along, `POST /validate?timeout=10s`.

Reading has all of that but what is needed to compute the answer and send it; computing what the settings say.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs

from app.deadline import TimeLimits

ON_THE_WAY_SECONDS = 0.5
"""Kept of the API server's limit for the way there and back."""

AFTER_READING_SECONDS = 1.5
"""Kept of it when the last read ends: for that way, and to compute an answer from what was read."""

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


def limits_for(query: bytes, computing_seconds: float) -> TimeLimits:
    """Return how long a review may take, for the query string of its request and the settings' budget.

    With a timeout too short for that, half of the time is for reading. One that is missing or cannot be
    understood is not the API server's, and the settings' budget has to do for all.

    >>> limits_for(b"timeout=10s", 1.0)
    TimeLimits(computing=1.0, reading=8.5, answer=9.5)
    >>> limits_for(b"timeout=1s", 1.0)
    TimeLimits(computing=0.5, reading=0.25, answer=0.5)
    """
    try:
        timeouts = parse_qs(query.decode("latin-1"), max_num_fields=8).get("timeout", [])
    except ValueError:
        timeouts = []
    timeout = go_duration(timeouts[-1]) if timeouts else None
    if timeout is None:
        return TimeLimits.of(computing_seconds)
    answer = max(LEAST_SECONDS, timeout - ON_THE_WAY_SECONDS)
    reading = max(timeout - AFTER_READING_SECONDS, answer / 2)
    return TimeLimits(min(computing_seconds, answer), reading, answer)
