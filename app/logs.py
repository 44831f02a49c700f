"""Structured logs: one line for each event, in JSON for machines or as text for a terminal.

Events carry plain facts only. A fact that is neither a short text, a number nor a list of those is shown as
its type's name, so that no line can ever hold a whole object or a request's body.

Lines go through the standard library's ``logging``, so that third parties' lines get the same form.
"""

from __future__ import annotations

import logging
import sys
import time
from enum import StrEnum
from functools import lru_cache
from typing import TextIO, TypeAlias

import msgspec

LONGEST_TEXT = 2_000
LONGEST_LIST = 20

Fact: TypeAlias = str | int | float | bool | list["Fact"] | None

# What a terminal would act upon, or what would make two lines of one.
_UNPRINTABLE = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))} | {
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    ord("\t"): "\\t",
}
_ATOMS = frozenset({int, float, bool, type(None)})
_encode = msgspec.json.Encoder().encode


class LogFormat(StrEnum):
    """The form of a line."""

    JSON = "json"
    TEXT = "text"


class LogLevel(StrEnum):
    """How much is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def plain(value: object) -> Fact:
    """Return ``value`` if it is a plain fact, shortened where it is long; else the name of its type.

    >>> plain("deny"), plain(["a", "b"]), plain({"kind": "Secret"})
    ('deny', ['a', 'b'], '<dict>')
    """
    kind = type(value)
    if kind in _ATOMS or (kind is str and len(value) <= LONGEST_TEXT):  # type: ignore[arg-type]
        return value  # type: ignore[return-value]
    if isinstance(value, str):
        text = str(value)
        return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}… (+{len(text) - LONGEST_TEXT})"
    if isinstance(value, (list, tuple)):
        shown = [plain(item) for item in value[:LONGEST_LIST]]
        return [*shown, f"… (+{len(value) - LONGEST_LIST})"] if len(value) > LONGEST_LIST else shown
    return f"<{kind.__name__}>"


class EventLog:
    """Where a part of the program writes its events: a message that never varies, and facts that do."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, event: str, **facts: object) -> None:
        """Write something that helps to find a fault."""
        self._write(logging.DEBUG, event, facts)

    def info(self, event: str, **facts: object) -> None:
        """Write something that is expected to happen."""
        self._write(logging.INFO, event, facts)

    def warning(self, event: str, **facts: object) -> None:
        """Write something that somebody should look at."""
        self._write(logging.WARNING, event, facts)

    def error(self, event: str, **facts: object) -> None:
        """Write something that does not work."""
        self._write(logging.ERROR, event, facts)

    def failure(self, event: str, error: BaseException, **facts: object) -> None:
        """Write an exception that nobody expected, with its traceback."""
        self._write(logging.ERROR, event, facts, error)

    def _write(
        self, level: int, event: str, facts: dict[str, object], error: BaseException | None = None
    ) -> None:
        logger = self._logger
        if not logger.isEnabledFor(level):
            return
        # Not `logger.log`: looking for the calling line costs more than the rest of the event.
        trace = None if error is None else (type(error), error, error.__traceback__)
        record = logging.LogRecord(logger.name, level, "", 0, event, None, trace)
        record.facts = facts
        logger.handle(record)


def _facts_of(record: logging.LogRecord) -> dict[str, Fact]:
    return {name: plain(value) for name, value in getattr(record, "facts", {}).items()}


def _level(record: logging.LogRecord) -> str:
    return "error" if record.levelno == logging.CRITICAL else record.levelname.lower()


@lru_cache(maxsize=1)
def _second(since_epoch: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(since_epoch))


def _clock(record: logging.LogRecord) -> str:
    return f"{_second(int(record.created))}.{int(record.msecs):03d}Z"


class JsonFormatter(logging.Formatter):
    """One JSON object for each event, on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line: ``ts``, ``level``, ``msg``, ``logger``, then the facts, then ``traceback``."""
        line: dict[str, Fact] = {
            "ts": _clock(record),
            "level": _level(record),
            "msg": plain(record.getMessage()),
            "logger": record.name,
        }
        line.update(_facts_of(record))
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        # Lone surrogates, which a file name can bring along, have no UTF-8 spelling.
        try:
            return _encode(line).decode()
        except UnicodeEncodeError:
            return _encode(_without_surrogates(line)).decode()


def _without_surrogates(value: Fact | dict[str, Fact]) -> object:
    if isinstance(value, dict):
        return {_without_surrogates(name): _without_surrogates(fact) for name, fact in value.items()}
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


class TextFormatter(logging.Formatter):
    """One readable line for each event; only a traceback takes more."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line: time of day, level, message, then ``name=value`` for each fact."""
        facts = "".join(f" {name}={_worded(fact)}" for name, fact in _facts_of(record).items())
        message = str(plain(record.getMessage())).translate(_UNPRINTABLE)
        line = f"{_clock(record)[11:]} {_level(record):<7} {message}{facts}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line.encode("utf-8", "backslashreplace").decode()


def _worded(fact: Fact) -> str:
    if isinstance(fact, str):
        text = fact.translate(_UNPRINTABLE)
        return f'"{text}"' if " " in text or not text else text
    if isinstance(fact, list):
        return "[" + ", ".join(_worded(item) for item in fact) + "]"
    return "-" if fact is None else str(fact)


def configure(level: LogLevel, form: LogFormat, stream: TextIO | None = None) -> None:
    """Send the whole process's log lines to ``stream`` (standard error unless told otherwise)."""
    handler = logging.StreamHandler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonFormatter() if form is LogFormat.JSON else TextFormatter())
    logging.basicConfig(handlers=[handler], level=level.name, force=True)
    # No line shows threads or processes, so no record needs to ask for them.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    # They tell of every start and stop in words of their own; ours say the same with facts.
    for noisy in ("uvicorn", "uvicorn.error", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
