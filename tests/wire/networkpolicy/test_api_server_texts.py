"""The recorded words of Kubernetes itself (``record.py``) are ours, in every case."""

from __future__ import annotations

import json

import pytest

from app.wire.networkpolicy.parse import ParsedPolicy, Validation, parse_policy
from tests.wire.api_server_cases import CASES
from tests.wire.record import RECORDING

SAID: dict[str, dict[str, list[str]]] = json.loads(RECORDING.read_text())

# Whoever applies a manifest without a namespace says which one it is: no error of the manifest.
NOT_OURS = {"metadata.namespace: Required value"}


def parsed(case: str) -> ParsedPolicy:
    return parse_policy(CASES[case], validation=Validation.NEW)


def decodable(case: str) -> bool:
    return "decoding" not in SAID[case]


DECODABLE = [case for case in CASES if decodable(case)]


def test_every_case_is_recorded() -> None:
    assert list(SAID) == list(CASES)


def test_there_are_cases_that_are_accepted_refused_and_not_even_decoded() -> None:
    accepted = [case for case in CASES if decodable(case) and not SAID[case]["errors"]]
    refused = [case for case in CASES if decodable(case) and SAID[case]["errors"]]
    assert len(accepted) > 20
    assert len(refused) > 60
    assert len(CASES) - len(accepted) - len(refused) > 10


@pytest.mark.parametrize("case", DECODABLE)
def test_path_and_message_of_every_error_are_the_api_servers(case: str) -> None:
    expected = [error for error in SAID[case]["errors"] if error not in NOT_OURS]
    ours = [str(error) for error in parsed(case).errors]
    assert ours == expected


@pytest.mark.parametrize("case", DECODABLE)
def test_the_unknown_fields_are_those_that_strict_decoding_names(case: str) -> None:
    expected = [text.removeprefix("unknown field ").strip('"') for text in SAID[case]["unknown"]]
    assert [field.path for field in parsed(case).unknown_fields] == expected


@pytest.mark.parametrize("case", DECODABLE)
def test_an_accepted_policy_has_the_types_that_the_api_server_writes_into_it(case: str) -> None:
    if SAID[case]["errors"]:
        assert parsed(case).errors
        return
    policy = parsed(case).policy
    assert policy is not None
    assert {policy_type.value for policy_type in policy.types} == set(SAID[case]["types"])


@pytest.mark.parametrize("case", [case for case in CASES if not decodable(case)])
def test_what_the_api_server_cannot_decode_is_an_error_with_the_fields_path(case: str) -> None:
    (error,) = [error for error in parsed(case).errors if "must be a" in error.message]
    assert error.path.startswith(("spec", "metadata"))


@pytest.mark.parametrize("case", CASES)
def test_no_case_that_is_accepted_when_new_has_errors_when_stored(case: str) -> None:
    if not parsed(case).errors:
        stored = parse_policy(CASES[case], validation=Validation.STORED)
        assert stored.errors == ()
        assert stored.policy == parsed(case).policy
