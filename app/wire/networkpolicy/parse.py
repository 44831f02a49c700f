"""NetworkPolicy objects -> engine policies, with their errors: the one parser of the whole product."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from app.engine.policy import Policy
from app.wire.errors import FieldError
from app.wire.fields import Findings, Validation
from app.wire.networkpolicy.decode import NotOrdinary, read_policy
from app.wire.networkpolicy.unknown_fields import unknown_fields
from app.wire.networkpolicy.validate import read_carefully
from app.wire.objects.metadata import NO_METADATA, Metadata

__all__ = ["DEFAULT_NAMESPACE", "Metadata", "ParsedPolicy", "Validation", "parse_policy", "parse_stored"]

DEFAULT_NAMESPACE = "default"
"""Where a manifest without ``metadata.namespace`` goes, unless whoever applies it says otherwise."""


@dataclass(frozen=True, slots=True)
class ParsedPolicy:
    """A NetworkPolicy object after reading.

    ``policy`` is what was understood: a part with an error allows nothing. It is None where the object is no
    NetworkPolicy, or where nobody could say which pods it selects. After ``Validation.NEW``, any error means
    that an API server would refuse the object.
    """

    policy: Policy | None
    errors: tuple[FieldError, ...]
    unknown_fields: tuple[FieldError, ...]
    metadata: Metadata


def parse_stored(raw: bytes | msgspec.Raw, *, namespace: str = DEFAULT_NAMESPACE) -> ParsedPolicy:
    """Return the policy in the JSON of an object that an API server stored or is about to store.

    ``namespace`` counts where the object names none. Never raises; text that is no JSON is an error.
    """
    try:
        policy, metadata = read_policy(raw, namespace)
    except NotOrdinary:
        return _parse_odd(raw, namespace)
    return ParsedPolicy(policy, (), (), metadata)


def _parse_odd(raw: bytes | msgspec.Raw, namespace: str) -> ParsedPolicy:
    try:
        obj = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        unusable = FieldError("", f"Invalid value: no usable JSON: {error}")
        return ParsedPolicy(None, (unusable,), (), NO_METADATA)
    return parse_policy(obj, validation=Validation.STORED, namespace=namespace)


def parse_policy(
    obj: Mapping[str, object], *, validation: Validation, namespace: str = DEFAULT_NAMESPACE
) -> ParsedPolicy:
    """Return the policy that ``obj`` is, with *all* errors, and after ``NEW`` its unknown fields (rule 27).

    ``namespace`` counts where the object names none. Never raises.
    """
    findings = Findings(validation)
    policy, metadata = read_carefully(obj, namespace, findings)
    unknown = unknown_fields(obj) if validation is Validation.NEW else ()
    return ParsedPolicy(policy, tuple(findings.errors), unknown, metadata)
