from __future__ import annotations

import pytest

from app.wire.errors import BadReview, FieldError, UnusableInput, invalid, quoted, required, wrong_type
from app.wire.fields import Validation
from app.wire.networkpolicy.parse import parse_policy
from tests.wire.api_server_cases import policy


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", '"plain"'),
        ('a "b"', r'"a \"b\""'),
        ("back\\slash", r'"back\\slash"'),
        ("line\nbreak\ttab", r'"line\nbreak\ttab"'),
        ("\x00\x7f", r'"\x00\x7f"'),
        ("Größe", '"Größe"'),
        ("\u2028\ue000", r'"\u2028\ue000"'),
        ("\U0001f600", '"\U0001f600"'),
        ("\U000e0001", r'"\U000e0001"'),
    ],
)
def test_texts_are_quoted_as_go_does(text: str, shown: str) -> None:
    assert quoted(text) == shown


def test_an_error_reads_as_the_api_server_prints_it() -> None:
    assert str(invalid("spec.a", 7, "is odd")) == "spec.a: Invalid value: 7: is odd"
    assert str(required("spec.a")) == "spec.a: Required value"
    assert str(FieldError("", "of the whole")) == "of the whole"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Required value: must specify a peer", "FieldValueRequired"),
        ('Unsupported value: "x": supported values: "y"', "FieldValueNotSupported"),
        ("Forbidden: no", "FieldValueForbidden"),
        ("Too long: may not be more than 2 bytes", "FieldValueTooLong"),
        ("Invalid value: 1: no", "FieldValueInvalid"),
        ('unknown field "a"', "FieldValueInvalid"),
    ],
)
def test_an_error_has_the_apis_machine_readable_reason(message: str, reason: str) -> None:
    assert FieldError("a", message).reason == reason


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("x", 'Invalid value: "x": must be a list, not a string'),
        (True, "Invalid value: true: must be a list, not a boolean"),
        (7, "Invalid value: 7: must be a list, not a whole number"),
        ({"a": 1}, "Invalid value: an object: must be a list, not an object"),
    ],
)
def test_a_wrong_type_is_named_and_large_values_are_not_repeated(value: object, message: str) -> None:
    assert wrong_type("a", value, "a list").message == message


def test_exceptions_carry_their_parts_and_read_well() -> None:
    assert str(BadReview(422, "request.uid", "Required value")) == "request.uid: Required value"
    assert str(BadReview(400, "", "not valid JSON")) == "not valid JSON"
    assert str(UnusableInput("a.yaml", 3, 1, "odd")) == "a.yaml:3:1: odd"


# ------------------------------------------------------------------------------ unknown fields (rule 27)
def test_an_unknown_field_says_what_is_known_there() -> None:
    (error,) = parse_policy(policy(ingress=[{"to": []}]), validation=Validation.NEW).unknown_fields
    assert str(error) == (
        'spec.ingress[0].to: unknown field "spec.ingress[0].to": the API server drops it '
        "(known here: from, ports)"
    )


def test_stored_objects_have_no_unknown_fields() -> None:
    assert parse_policy(policy(ingress=[{"to": []}]), validation=Validation.STORED).unknown_fields == ()
