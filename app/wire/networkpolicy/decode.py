"""The fast way from JSON bytes to a ``Policy``: for objects that an API server stored.

Whatever is out of the ordinary (a wrong type, an operator nobody knows, a null in a list) raises
``NotOrdinary``; then ``app.wire.networkpolicy.validate``, which knows what to do with anything, reads the
object again. Both give the same policy for what both can read; tests hold them to it.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from app.engine.policy import Direction, Policy
from app.engine.selectors import EVERYTHING, Selector
from app.wire.networkpolicy.canonical import defaulted_types
from app.wire.networkpolicy.rules import LONG, LongRules, UnreadRules, selector_of
from app.wire.networkpolicy.shapes import (
    LongSpecShape,
    SelectorShape,
    SpecShape,
    decode_long_object,
    decode_object,
)
from app.wire.objects.metadata import Metadata

_LONGEST_NAMESPACE = 253
_NO_SPEC, _NO_LONG_SPEC = SpecShape(), LongSpecShape()


class NotOrdinary(Exception):  # noqa: N818 - a signal inside this package, no error
    """The object needs the careful reader."""


def read_policy(raw: bytes | Raw, namespace: str) -> tuple[Policy, Metadata]:
    """Return the policy that ``raw`` is; ``namespace`` counts where the object names none.

    Raises ``NotOrdinary`` where the careful reader is needed; of a long policy, not for its rules.
    """
    try:
        return _read_long(raw, namespace) if len(raw) > LONG else _read(raw, namespace)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise NotOrdinary from error


def _read(raw: bytes | Raw, namespace: str) -> tuple[Policy, Metadata]:
    read = decode_object(raw)
    metadata, spec = read.metadata, read.spec or _NO_SPEC
    home = _home(metadata, namespace)
    return Policy(
        home,
        metadata.name,
        _pods(spec.pod_selector),
        defaulted_types(frozenset(spec.policy_types or ()), spec.egress),
        UnreadRules(spec.ingress, home) if spec.ingress else (),
        UnreadRules(spec.egress, home) if spec.egress else (),
        metadata.deletion_timestamp is not None,
    ), metadata


def _read_long(raw: bytes | Raw, namespace: str) -> tuple[Policy, Metadata]:
    read = decode_long_object(raw)
    metadata, spec = read.metadata, read.spec or _NO_LONG_SPEC
    home = _home(metadata, namespace)
    ingress = LongRules(bytes(spec.ingress), Direction.INGRESS, home)
    egress = LongRules(bytes(spec.egress), Direction.EGRESS, home)
    return Policy(
        home,
        metadata.name,
        _pods(spec.pod_selector),
        defaulted_types(frozenset(spec.policy_types or ()), egress),
        ingress or (),
        egress or (),
        metadata.deletion_timestamp is not None,
    ), metadata


def _home(metadata: Metadata, namespace: str) -> str:
    home = metadata.namespace or namespace
    if len(home) > _LONGEST_NAMESPACE:
        raise NotOrdinary  # what is kept is bounded in bytes, the namespace beside it included
    return home


def _pods(selector: SelectorShape | None) -> Selector:
    return EVERYTHING if selector is None else selector_of(selector)[0]
