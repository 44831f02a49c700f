"""Plain scalars as ``kubectl`` reads them; compared once with ``sigs.k8s.io/yaml`` v1.6.0 itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.wire.text.documents import read_documents
from app.wire.text.scalars import key_text, plain_scalar


@pytest.mark.parametrize("text", ["y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"])
def test_yes_on_and_true_are_true(text: str) -> None:
    assert plain_scalar(text) is True


@pytest.mark.parametrize("text", ["n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"])
def test_no_off_and_false_are_false(text: str) -> None:
    assert plain_scalar(text) is False


@pytest.mark.parametrize("text", ["", "~", "null", "Null", "NULL"])
def test_nothing_and_null_are_null(text: str) -> None:
    assert plain_scalar(text) is None


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("0", 0), ("-0", 0), ("80", 80), ("+80", 80), ("-1", -1), ("1_000", 1000), ("007", 7)),
        *(("014", 12), ("0o14", 12), ("0O14", 12), ("-014", -12), ("0x1F", 31), ("0b101", 5), ("08", 8)),
        *(("1.0", 1), ("1e3", 1000), ("80.5", 80.5), (".5", 0.5), ("-.5", -0.5), ("1.", 1), ("0_14", 12)),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", 2.0**64),
    ],
)
def test_numbers_in_all_their_spellings(text: str, number: float) -> None:
    read = plain_scalar(text)
    assert read == number
    assert type(read) is type(number)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "yEs",
            "tRUE",
            "nULL",
            "a",
            "http",
            "10.0.0.0/8",
            "::1",
            "=",
            "<<",
            "-",
            "+",
            ".",
            "._5",
            "0x",
            "0b",
        ),
        *("12:30", "2024-01-01", "2024-01-01T00:00:00Z", "1.2.3", "0o8", "0b102", "1e", "--1", "_1", "-.nan"),
        *("1e400", "-1e400", "9" * 5000),
    ],
)
def test_everything_else_is_a_string(text: str) -> None:
    assert plain_scalar(text) == text


@pytest.mark.parametrize("text", [".inf", "-.inf", "+.Inf", ".nan", ".NaN"])
def test_what_json_cannot_say_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no number that JSON knows"):
        plain_scalar(text)


@pytest.mark.parametrize("text", ["yes", "014", "2024-01-01", "null", "80", "~"])
@pytest.mark.parametrize("quote", ["'", '"'])
def test_what_stands_in_quotes_is_a_string(text: str, quote: str) -> None:
    (document,) = read_documents(f"a: {quote}{text}{quote}\n", "file")
    assert document.object == {"a": text}


def test_block_scalars_are_strings() -> None:
    (document,) = read_documents("a: |-\n  014\nb: >-\n  yes\n", "file")
    assert document.object == {"a": "014", "b": "yes"}


def test_tags_of_the_core_schema_count() -> None:
    (document,) = read_documents(
        'a: !!str 014\nb: !!int "7"\nc: !!float 1\nd: !!bool yes\ne: !!null ""\n', "f"
    )
    assert document.object == {"a": "014", "b": 7, "c": 1, "d": True, "e": None}


@pytest.mark.parametrize(
    ("key", "member"), [("a", "a"), (80, "80"), (True, "true"), (False, "false"), (1.5, "1.5"), (None, None)]
)
def test_keys_become_the_member_names_that_kubectl_makes_of_them(key: str | None, member: str | None) -> None:
    assert key_text(key) == member


@given(st.text(alphabet="0123456789+-._eExXobOB:aAfF", max_size=12))
def test_no_scalar_makes_the_reader_fail(text: str) -> None:
    read = plain_scalar(text)
    assert read is None or isinstance(read, str | int | float)
