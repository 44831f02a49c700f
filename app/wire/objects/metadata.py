"""``ObjectMeta``: the part of it that decisions and messages need."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from app.wire.errors import required, too_long
from app.wire.fields import Findings
from app.wire.syntax import dns_label, dns_subdomain, generated_name, label_key, label_value


class Metadata(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The metadata of one object; absent and null are the same, and empty (rule 28).

    A frozen ``msgspec.Struct`` instead of a dataclass, so that it is decoded from JSON in one step. The maps
    are shared between callers: read, never write.
    """

    name: str = ""
    namespace: str = ""
    generate_name: str = ""
    labels: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    deletion_timestamp: str | None = None
    finalizers: tuple[str, ...] = ()
    uid: str = ""
    resource_version: str = ""


NO_METADATA = Metadata()


class MetadataOnly(msgspec.Struct):
    """An object of any kind, of which only the metadata is wanted."""

    metadata: Metadata = NO_METADATA


_decode_metadata = msgspec.json.Decoder(MetadataOnly).decode


def annotations_of(raw: bytes | msgspec.Raw) -> Mapping[str, str]:
    """Return the annotations of an object of any kind, reading nothing else of it; none where it has no such.

    >>> annotations_of(b'{"metadata": {"annotations": {"a": "b"}}, "spec": 1}'), annotations_of(b"[]")
    ({'a': 'b'}, {})
    """
    try:
        return _decode_metadata(raw).metadata.annotations
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}


_MOST_ANNOTATION_BYTES = 256 * 1024
_STANDARD_FINALIZERS = frozenset({"kubernetes", "orphan", "foregroundDeletion"})
_NO_FINALIZER = "name is neither a standard finalizer name nor is it fully qualified"


def _check_name(name: str, prefix: str, findings: Findings) -> None:
    if prefix:
        findings.complain("metadata.generateName", prefix, generated_name(prefix))
    if name:
        findings.complain("metadata.name", name, dns_subdomain(name))
    elif not prefix:
        findings.add(required("metadata.name", "name or generateName is required"))


def _check_annotations(annotations: Mapping[str, str], findings: Findings) -> None:
    for key in annotations:
        findings.complain("metadata.annotations", key, label_key(key.lower()))
    total = sum(len(text.encode("utf-8", "surrogatepass")) for item in annotations.items() for text in item)
    if total > _MOST_ANNOTATION_BYTES:
        findings.add(too_long("metadata.annotations", _MOST_ANNOTATION_BYTES))


def _check(metadata: Metadata, findings: Findings) -> None:
    """Report what an API server would refuse (rule 24), in its order.

    A namespace that is absent is no error: whoever applies the manifest says which one it is.
    """
    _check_name(metadata.name, metadata.generate_name, findings)
    if metadata.namespace:
        findings.complain("metadata.namespace", metadata.namespace, dns_label(metadata.namespace))
    check_labels(metadata.labels, "metadata.labels", findings)
    _check_annotations(metadata.annotations, findings)
    for finalizer in metadata.finalizers:
        findings.complain("metadata.finalizers", finalizer, label_key(finalizer))
    for index, finalizer in enumerate(metadata.finalizers):
        if "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
            findings.complain(f"metadata.finalizers[{index}]", finalizer, [_NO_FINALIZER])


def read_metadata(value: object, findings: Findings) -> Metadata:
    """Return the metadata that ``value`` is; a member of the wrong type is an error, and then empty."""
    members = findings.mapping(value, "metadata") or {}

    def text(field: str) -> str:
        return findings.text(members.get(field), f"metadata.{field}") or ""

    metadata = Metadata(
        name=text("name"),
        namespace=text("namespace"),
        generate_name=text("generateName"),
        labels=findings.text_map(members.get("labels"), "metadata.labels") or {},
        annotations=findings.text_map(members.get("annotations"), "metadata.annotations") or {},
        deletion_timestamp=text("deletionTimestamp") or None,
        finalizers=tuple(findings.texts(members.get("finalizers"), "metadata.finalizers") or ()),
        uid=text("uid"),
        resource_version=text("resourceVersion"),
    )
    if findings.is_new:
        _check(metadata, findings)
    return metadata


def check_labels(labels: Mapping[str, str], path: str, findings: Findings) -> None:
    """Report what is wrong with ``labels``; all under ``path`` itself, as the API server does."""
    for key, value in labels.items():
        findings.complain(path, key, label_key(key))
        findings.complain(path, value, label_value(value))
