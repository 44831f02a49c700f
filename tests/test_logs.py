from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from app.logs import LONGEST_LIST, LONGEST_TEXT, EventLog, LogFormat, LogLevel, configure, plain

LOG = EventLog("app.test")


@pytest.fixture(autouse=True)
def _restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def _configured(form: LogFormat, level: LogLevel = LogLevel.INFO) -> io.StringIO:
    stream = io.StringIO()
    configure(level, form, stream)
    return stream


def test_an_event_is_one_line_of_json_with_its_facts() -> None:
    stream = _configured(LogFormat.JSON)
    LOG.info("decision", verdict="deny", milliseconds=0.4, groups=["a", "b"], dry_run=False, name=None)
    (line,) = stream.getvalue().splitlines()
    event = json.loads(line)
    assert event.pop("ts").endswith("Z")
    assert event == {
        "level": "info",
        "msg": "decision",
        "logger": "app.test",
        "verdict": "deny",
        "milliseconds": 0.4,
        "groups": ["a", "b"],
        "dry_run": False,
        "name": None,
    }


def test_an_object_is_never_printed_only_the_name_of_its_type() -> None:
    stream = _configured(LogFormat.JSON)
    LOG.info("decision", object={"kind": "Secret", "data": "hidden"}, body=b"hidden", parts=[{"a": "hidden"}])
    event = json.loads(stream.getvalue())
    assert (event["object"], event["body"], event["parts"]) == ("<dict>", "<bytes>", ["<dict>"])
    assert "hidden" not in stream.getvalue()


def test_a_long_text_and_a_long_list_are_cut_and_say_by_how_much() -> None:
    assert plain("x" * (LONGEST_TEXT + 5)) == "x" * LONGEST_TEXT + "… (+5)"
    assert plain(["x"] * (LONGEST_LIST + 2)) == ["x"] * LONGEST_LIST + ["… (+2)"]


@pytest.mark.parametrize("form", LogFormat)
def test_a_line_break_in_a_fact_does_not_make_a_second_line(form: LogFormat) -> None:
    stream = _configured(form)
    LOG.info("decision", reason="fine\nlevel=error forged", escape="\x1b[31mred")
    assert len(stream.getvalue().splitlines()) == 1
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize("form", LogFormat)
def test_a_text_that_is_no_unicode_is_still_logged(form: LogFormat) -> None:
    stream = _configured(form)
    LOG.warning("unreadable file", path="caf\udce9.yaml")
    assert "caf" in stream.getvalue()
    stream.getvalue().encode()


def test_text_for_a_terminal_reads_as_a_sentence_with_facts_behind_it() -> None:
    stream = _configured(LogFormat.TEXT)
    LOG.warning("state unreadable", what="policies of ns", tries=3, kinds=["a b", "c"], name="")
    _time, _, rest = stream.getvalue().partition(" ")
    assert rest == 'warning state unreadable what="policies of ns" tries=3 kinds=["a b", c] name=""\n'


def test_an_unexpected_exception_is_logged_with_its_traceback_on_one_json_line() -> None:
    stream = _configured(LogFormat.JSON)
    try:
        _ = 1 / 0
    except ZeroDivisionError as error:
        LOG.failure("review failed", error, uid="u-1")
    (line,) = stream.getvalue().splitlines()
    event = json.loads(line)
    assert event["level"] == "error"
    assert event["uid"] == "u-1"
    assert "ZeroDivisionError: division by zero" in event["traceback"]


def test_events_below_the_level_are_left_out() -> None:
    stream = _configured(LogFormat.JSON, LogLevel.WARNING)
    LOG.debug("detail")
    LOG.info("decision")
    LOG.error("broken")
    assert [json.loads(line)["msg"] for line in stream.getvalue().splitlines()] == ["broken"]


def test_lines_of_third_parties_have_the_same_form() -> None:
    stream = _configured(LogFormat.JSON)
    logging.getLogger("somebody.else").warning("the %s is %d", "answer", 42)
    event = json.loads(stream.getvalue())
    assert (event["msg"], event["logger"]) == ("the answer is 42", "somebody.else")


def test_configuring_again_replaces_the_first_configuration() -> None:
    first = _configured(LogFormat.JSON)
    second = _configured(LogFormat.TEXT)
    LOG.info("decision")
    assert first.getvalue() == ""
    assert "decision" in second.getvalue()
