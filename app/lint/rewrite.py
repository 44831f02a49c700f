"""Fixes written into the text of a file: little of it changes, and what comes out is read again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from app.engine.policy import Policy
from app.errors import InputError
from app.wire.networkpolicy.parse import Validation, parse_policy
from app.wire.networkpolicy.render import render_policy
from app.wire.text.documents import BOM, Document, read_documents
from app.wire.text.editor import Editor, Piece, changed


@dataclass(frozen=True, slots=True)
class Mending:
    """A policy of a text, the JSON patch (RFC 6902) that mends it, and what it must then read as."""

    document: Document
    operations: Sequence[Mapping[str, object]]
    policy: Policy


class NotMended(InputError):  # noqa: N818 - reads as what it is
    """A fix cannot be written into this text so that it reads as it should; nothing was changed."""


def mended(text: str, mendings: Sequence[Mending]) -> str:
    """Return ``text`` with the patches in it; everything else in it stays as it is.

    The result was read again: it holds the mended policies, exactly, and otherwise the same objects.
    Raises ``NotMended`` where that cannot be had.
    """
    bare = text.removeprefix(BOM)
    pieces: list[Piece] = []
    for mending in mendings:
        document = mending.document
        editor = Editor(bare, document.root)
        try:
            for operation in mending.operations:
                _carry_out(operation, editor, document.steps[1:])
        except LookupError as error:
            raise NotMended(document.origin, f"there is no place for the fix: {error}") from error
        pieces += editor.pieces
    result = text[: len(text) - len(bare)] + changed(bare, pieces)
    _verify(text, result, mendings)
    return result


def _carry_out(operation: Mapping[str, object], editor: Editor, steps: tuple[str, ...]) -> None:
    """Carry out one operation of a patch on the object at ``steps``."""
    way = (*steps, *str(operation["path"]).split("/")[1:])
    match operation["op"], way[-1]:
        case "remove", _:
            editor.remove(way)
        case _, "-":
            editor.append(way[:-1], operation["value"])
        case _:
            editor.put(way, operation["value"])


def _verify(text: str, result: str, mendings: Sequence[Mending]) -> None:
    """Raise ``NotMended`` unless ``result`` holds the mended policies and for the rest what ``text`` does."""
    origin = mendings[0].document.origin
    fixed = {mending.document.steps: mending.policy for mending in mendings}
    before, after = read_documents(text, origin), read_documents(result, origin)
    if len(before) != len(after):
        raise NotMended(origin, "the fix cannot be written here without changing other objects")
    for old, new in zip(before, after, strict=True):
        policy = fixed.get(old.steps)
        is_right = old.object == new.object
        if policy is not None:
            is_right = _without_spec(old) == _without_spec(new) and _reads_as(new.object, policy)
        if not is_right:
            line, _ = old.place("spec")
            why = "the fix cannot be written here so that it reads as it should"
            raise NotMended(f"{origin}:{line}", why)


def _reads_as(obj: Mapping[str, object], policy: Policy) -> bool:
    """Tell whether the ``spec`` of ``obj`` says what ``policy`` does; the order of peers means nothing."""
    plain = parse_policy(render_policy(policy), validation=Validation.NEW).policy
    found = parse_policy(obj, validation=Validation.NEW, namespace=policy.namespace)
    if plain is None or found.policy is None or found.errors:
        return False
    return found.policy == replace(plain, name=found.policy.name, terminating=policy.terminating)


def _without_spec(document: Document) -> Mapping[str, object]:
    return {name: value for name, value in document.object.items() if name != "spec"}
