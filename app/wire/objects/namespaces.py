"""Namespace objects -> engine namespaces (semantics rule 12)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from app.engine.policy import Namespace
from app.wire.errors import FieldError, unsupported
from app.wire.fields import Findings, Validation
from app.wire.objects.metadata import NO_METADATA, Metadata, read_metadata

_KIND = "Namespace"


class _Object(msgspec.Struct, gc=False):
    metadata: Metadata = NO_METADATA
    kind: Literal["Namespace"] = "Namespace"


_decode = msgspec.json.Decoder(_Object).decode


@dataclass(frozen=True, slots=True)
class ParsedNamespace:
    """A Namespace object after reading; with errors, what could not be read is empty."""

    namespace: Namespace
    metadata: Metadata
    errors: tuple[FieldError, ...] = ()


def _parsed(metadata: Metadata, errors: list[FieldError]) -> ParsedNamespace:
    terminating = metadata.deletion_timestamp is not None
    namespace = Namespace.of(metadata.name, metadata.labels, terminating=terminating)
    return ParsedNamespace(namespace, metadata, tuple(errors))


def parse_namespace(obj: Mapping[str, object]) -> ParsedNamespace:
    """Return the namespace that ``obj`` is. Never raises: the errors come back beside it."""
    findings = Findings(Validation.STORED)
    kind = obj.get("kind")
    if kind is not None and kind != _KIND:
        findings.add(unsupported("kind", kind, [_KIND]))
    return _parsed(read_metadata(obj.get("metadata"), findings), findings.errors)


def namespace_of(raw: msgspec.Raw | bytes) -> ParsedNamespace:
    """Return the Namespace in the JSON ``raw``. Never raises: the errors come back beside it."""
    try:
        return _parsed(_decode(raw).metadata, [])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    try:
        obj = msgspec.json.decode(raw, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return _parsed(NO_METADATA, [FieldError("", f"Invalid value: no Namespace: {error}")])
    return parse_namespace(obj)
