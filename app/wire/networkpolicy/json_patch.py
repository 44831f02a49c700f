"""A fix as words and as a JSON patch that ``kubectl patch --type=json`` takes (RFC 6902)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from app.engine.fix import Edit, EditKind, Fix
from app.engine.policy import Direction, Policy
from app.engine.ports import ALL_PORTS
from app.engine.words import peers_words, ports_words, rule_words
from app.wire.networkpolicy.render import render_peers, render_policy, render_ports, render_rule

PatchOperation = dict[str, object]


def edit_words(edit: Edit) -> str:
    """Return one edit as an instruction."""
    field = "" if edit.direction is None else edit.direction.field
    ports = ports_words(edit.rule.ports) if edit.rule else "all ports"
    match edit.kind:
        case EditKind.BASELINE:
            return "restore the documented text of this baseline"
        case EditKind.ADD_PEER:
            return f"add to {field}[{edit.index}]: {peers_words(edit.rule.peers if edit.rule else None)}"
        case EditKind.ADD_PORT:
            return f"add to {field}[{edit.index}]: {ports}"
        case EditKind.ADD_RULE:
            return f"add an {field} rule for {rule_words(edit.rule) if edit.rule else 'everything'}"
        case EditKind.DROP_TYPE:
            return f"take {'' if edit.direction is None else edit.direction.value} out of policyTypes"


def patch_text(fix: Fix) -> str:
    """Return the JSON patch that turns the policy as it was submitted into the mended one."""
    return msgspec.json.encode(patch_operations(fix)).decode()


def patch_operations(fix: Fix) -> tuple[PatchOperation, ...]:
    """Return the operations of the JSON patch, lists appended to before those that they stand in."""
    operations: list[PatchOperation] = []
    for operation in _operations(fix):
        if operation["op"] != "remove" or operation not in operations:
            operations.append(operation)
    return tuple(operations)


def _operations(fix: Fix) -> Iterator[PatchOperation]:
    if any(edit.kind is EditKind.BASELINE for edit in fix.edits):
        yield {"op": "replace", "path": "/spec", "value": render_policy(fix.policy)["spec"]}
        return
    for edit in fix.edits:
        if edit.kind in (EditKind.ADD_PEER, EditKind.ADD_PORT):
            yield from _extension(edit, fix.policy)
    for direction in Direction:
        added = [edit for edit in fix.edits if edit.kind is EditKind.ADD_RULE and edit.direction is direction]
        yield from _new_rules(added, direction, fix.policy)
    if any(edit.kind is EditKind.DROP_TYPE for edit in fix.edits):
        types = [direction.value for direction in Direction if direction in fix.policy.types]
        yield {"op": "add", "path": "/spec/policyTypes", "value": types}


def _extension(edit: Edit, fixed: Policy) -> Iterator[PatchOperation]:
    """Yield what adds to a rule that is there; so its list of peers, or of ports, is there too."""
    if edit.direction is None or edit.index is None or edit.rule is None or edit.rule.peers is None:
        return
    rule = f"/spec/{edit.direction.field}/{edit.index}"
    if edit.kind is EditKind.ADD_PEER:
        for peer in render_peers(edit.rule.peers, fixed.namespace):
            yield {"op": "add", "path": f"{rule}/{edit.direction.peers_field}/-", "value": peer}
    elif fixed.rules(edit.direction)[edit.index].ports == ALL_PORTS:
        yield {"op": "remove", "path": f"{rule}/ports"}
    else:
        for port in render_ports(edit.rule.ports):
            yield {"op": "add", "path": f"{rule}/ports/-", "value": port}


def _new_rules(edits: Sequence[Edit], direction: Direction, fixed: Policy) -> Iterator[PatchOperation]:
    """Yield what appends the rules; a list without any may not be there, so it is written as a whole."""
    rules = [render_rule(edit.rule, direction, fixed.namespace) for edit in edits if edit.rule is not None]
    path = f"/spec/{direction.field}"
    if rules and len(rules) == len(fixed.rules(direction)):
        yield {"op": "add", "path": path, "value": rules}
        return
    for rule in rules:
        yield {"op": "add", "path": f"{path}/-", "value": rule}
