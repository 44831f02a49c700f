"""As much of RFC 6902 as fixes use: what `kubectl patch --type=json` does with them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any


class PatchError(ValueError):
    """The patch does not fit the document."""


def apply_patch(document: Any, operations: Sequence[dict[str, Any]]) -> Any:  # noqa: ANN401 - any JSON
    """Return a copy of ``document`` with ``operations`` carried out. Raises ``PatchError``."""
    result = copy.deepcopy(document)
    for operation in operations:
        _apply(result, operation)
    return result


def _apply(document: Any, operation: dict[str, Any]) -> None:  # noqa: ANN401 - any JSON
    *parents, last = [_unescaped(part) for part in operation["path"].split("/")[1:]]
    container = document
    for key in parents:
        try:
            container = container[int(key) if isinstance(container, list) else key]
        except (LookupError, ValueError, TypeError):
            raise PatchError(f"{operation['path']}: there is no {key}") from None
    match operation["op"], container:
        case "add", list() if last == "-":
            container.append(copy.deepcopy(operation["value"]))
        case "add", dict():
            container[last] = copy.deepcopy(operation["value"])
        case "replace", dict() if last in container:
            container[last] = copy.deepcopy(operation["value"])
        case "remove", dict() if last in container:
            del container[last]
        case _:
            raise PatchError(f"{operation['op']} {operation['path']}: not possible")


def _unescaped(key: str) -> str:
    return key.replace("~1", "/").replace("~0", "~")
