"""Fields that the API does not know, and therefore drops unless asked to be strict (semantics rule 27).

``ingress: [{to: ...}]`` loses its ``to`` and becomes a rule without peers, which lets everybody in. The API
server says so only to clients that ask (``kubectl`` since 1.27 does).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from app.wire.errors import FieldError

_Fields = Mapping[str, "_Fields | None"]
"""The members that an object may have; None where nothing below is of interest."""

_EXPRESSION: _Fields = {"key": None, "operator": None, "values": None}
_SELECTOR: _Fields = {"matchLabels": None, "matchExpressions": _EXPRESSION}
_BLOCK: _Fields = {"cidr": None, "except": None}
_PEER: _Fields = {"podSelector": _SELECTOR, "namespaceSelector": _SELECTOR, "ipBlock": _BLOCK}
_PORT: _Fields = {"protocol": None, "port": None, "endPort": None}
_METADATA: _Fields = dict.fromkeys((
    "name", "generateName", "namespace", "selfLink", "uid", "resourceVersion", "generation",
    "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "labels", "annotations",
    "ownerReferences", "finalizers", "managedFields",
))  # fmt: skip
_SPEC: _Fields = {
    "podSelector": _SELECTOR,
    "ingress": {"from": _PEER, "ports": _PORT},
    "egress": {"to": _PEER, "ports": _PORT},
    "policyTypes": None,
}
# Kubernetes 1.24-1.27 printed an empty status; it never meant anything.
_OBJECT: _Fields = {"apiVersion": None, "kind": None, "metadata": _METADATA, "spec": _SPEC, "status": None}


def _walk(value: object, known: _Fields, path: str) -> Iterator[FieldError]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from _walk(item, known, f"{path}[{index}]")
    if not isinstance(value, dict):
        return
    for key, member in value.items():
        place = f"{path}.{key}" if path else str(key)
        if key not in known:
            fields = ", ".join(sorted(known))
            message = f'unknown field "{place}": the API server drops it (known here: {fields})'
            yield FieldError(place, message, member)
        elif (below := known[key]) is not None:
            yield from _walk(member, below, place)


def unknown_fields(obj: Mapping[str, object]) -> tuple[FieldError, ...]:
    """Return one error for each field of a NetworkPolicy object that the API does not know."""
    return tuple(_walk(obj, _OBJECT, ""))
