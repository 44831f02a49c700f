"""A fix as words and as a JSON patch that ``kubectl patch --type=json`` takes (RFC 6902)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from app.engine.fix import Edit, EditKind
from app.engine.policy import Direction
from app.engine.words import peers_words, rule_words
from app.wire.render import render_policy

if TYPE_CHECKING:
    from app.engine.fix import Fix


def edit_words(edit: Edit) -> str:
    """Return one edit as an instruction."""
    field = "" if edit.direction is None else edit.direction.field
    match edit.kind:
        case EditKind.BASELINE:
            return "restore the documented text of this baseline"
        case EditKind.ADD_PEER:
            return f"add to {field}[{edit.index}]: {peers_words(edit.rule.peers if edit.rule else None)}"
        case EditKind.ADD_RULE:
            return f"add an {field} rule for {rule_words(edit.rule) if edit.rule else 'everything'}"
        case EditKind.DROP_TYPE:
            return f"take {'' if edit.direction is None else edit.direction.value} out of policyTypes"


def patch_text(fix: Fix) -> str:
    """Return the JSON patch that turns the policy's ``spec`` into the mended one, rule lists as a whole."""
    spec = render_policy(fix.policy)["spec"]
    if not isinstance(spec, dict):
        raise TypeError(type(spec).__name__)
    fields = ["policyTypes"] if any(one.kind is EditKind.DROP_TYPE for one in fix.edits) else []
    if any(one.kind is EditKind.BASELINE for one in fix.edits):
        operations = [{"op": "replace", "path": "/spec", "value": spec}]
    else:
        changed = {one.direction for one in fix.edits if one.kind is not EditKind.DROP_TYPE}
        fields += [one.field for one in Direction if one in changed]
        operations = [{"op": "add", "path": f"/spec/{one}", "value": spec[one]} for one in fields]
    return msgspec.json.encode(operations).decode()
