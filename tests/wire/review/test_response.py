from __future__ import annotations

import json

from app.wire.review.response import Cause, Details, Status, encode_response


def test_an_admission_without_anything_to_say_is_short() -> None:
    assert json.loads(encode_response("u", allowed=True)) == {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {"uid": "u", "allowed": True},
    }


def test_a_denial_says_why_for_people_and_for_programs() -> None:
    cause = Cause("FieldValueInvalid", "would cut the webhook off", "spec.ingress")
    status = Status(403, "Forbidden", "no", Details("p", "networking.k8s.io", "NetworkPolicy", (cause,)))
    response = json.loads(encode_response("u", allowed=False, status=status))["response"]
    assert response["allowed"] is False
    assert response["status"] == {
        "code": 403,
        "reason": "Forbidden",
        "message": "no",
        "details": {
            "name": "p",
            "group": "networking.k8s.io",
            "kind": "NetworkPolicy",
            "causes": [
                {
                    "reason": "FieldValueInvalid",
                    "message": "would cut the webhook off",
                    "field": "spec.ingress",
                }
            ],
        },
    }


def test_warnings_and_audit_annotations_are_spelled_as_the_api_does() -> None:
    text = encode_response("u", allowed=True, warnings=("careful",), audit_annotations={"verdict": "warn"})
    assert json.loads(text)["response"] == {
        "uid": "u",
        "allowed": True,
        "warnings": ["careful"],
        "auditAnnotations": {"verdict": "warn"},
    }


def test_half_a_surrogate_pair_does_not_keep_the_answer_from_being_sent() -> None:
    text = encode_response("u", allowed=True, warnings=("file \udcff.yaml",))
    assert json.loads(text)["response"]["warnings"] == ["file \udcff.yaml"]
    text.decode("ascii")
