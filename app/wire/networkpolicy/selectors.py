"""``LabelSelector`` objects with everything that may be wrong with them (semantics rules 11, 15, 16, 24)."""

from __future__ import annotations

from app.engine.selectors import LabelSet, Operator, Selector
from app.wire.errors import forbidden, invalid, required
from app.wire.fields import Findings
from app.wire.objects.metadata import check_labels
from app.wire.syntax import label_key, label_value

_OPERATORS = {operator.value: operator for operator in Operator}
_WITH_VALUES = frozenset({Operator.IN, Operator.NOT_IN})


def _values_fit(operator: Operator, values: list[str], path: str, findings: Findings) -> bool:
    if operator in _WITH_VALUES and not values:
        findings.add(required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
        return False
    if operator not in _WITH_VALUES and values:
        detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
        findings.add(forbidden(f"{path}.values", detail))
        return False
    return True


def _check_key(key: str, path: str, findings: Findings) -> bool:
    """Report what is wrong with a key; the empty one, which no label can have, is not understood at all."""
    if findings.is_new or not key:
        findings.complain(path, key, label_key(key))
    return bool(key)


def _requirement(value: object, path: str, findings: Findings) -> tuple[str, LabelSet] | None:
    if (members := findings.mapping(value, path)) is None:
        return None
    key = findings.text(members.get("key"), f"{path}.key")
    spelled = findings.text(members.get("operator"), f"{path}.operator")
    values = findings.texts(members.get("values"), f"{path}.values")
    if key is None or spelled is None or values is None:
        return None
    operator = _OPERATORS.get(spelled)
    fits = operator is not None and _values_fit(operator, values, path, findings)
    if operator is None:
        findings.add(invalid(f"{path}.operator", spelled, "not a valid selector operator"))
    known = _check_key(key, f"{path}.key", findings)
    if findings.is_new:
        for index, text in enumerate(values):
            findings.complain(f"{path}.values[{index}]", text, label_value(text))
    return (key, LabelSet.of(operator, values)) if operator and fits and known else None


def read_selector(value: object, path: str, findings: Findings) -> Selector | None:
    """Return the selector that ``value`` is, or None where it is not understood (an error says why)."""
    if (members := findings.mapping(value, path)) is None:
        return None
    labels = findings.text_map(members.get("matchLabels"), f"{path}.matchLabels")
    expressions = findings.items(members.get("matchExpressions"), f"{path}.matchExpressions")
    if labels is not None and findings.is_new:
        check_labels(labels, f"{path}.matchLabels", findings)
    elif labels is not None and "" in labels:
        findings.complain(f"{path}.matchLabels", "", label_key(""))
    terms = [
        _requirement(expression, f"{path}.matchExpressions[{index}]", findings)
        for index, expression in enumerate(expressions or [])
    ]
    if labels is None or expressions is None or "" in labels or None in terms:
        return None
    equal = [(key, LabelSet.of(Operator.IN, (value,))) for key, value in labels.items()]
    return Selector.of([*equal, *(term for term in terms if term)])
