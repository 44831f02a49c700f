"""The explanation of a flow, for people and for programs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from app.engine.sentences import closest_words
from app.engine.words import listed, rule_words
from app.explain.ends import FlowPort
from app.explain.flow import Explanation, FlowAnswer, Half
from app.output.styled import Line

_SHOWN = {
    FlowAnswer.ALLOWED: ("allowed", "bold green"),
    FlowAnswer.DENIED: ("DENIED", "bold red"),
    FlowAnswer.UNCERTAIN: ("UNCERTAIN", "bold yellow"),
}
_WIDTH = len("ingress  ")


@dataclass(frozen=True, slots=True)
class Explained:
    """A flow in the words of whoever asked, and what policies say about it."""

    source: str
    destination: str
    port: FlowPort
    explanation: Explanation
    notes: tuple[str, ...] = ()

    def lines(self) -> Iterator[Line]:
        """Yield the answer, then for each end what its policies say."""
        asked = f"{self.source} -> {self.destination}, {self.port}: "
        yield ((asked, "bold"), _SHOWN[self.explanation.answer])
        for half in self.explanation.halves:
            name = f"  {half.direction.field.ljust(_WIDTH)}"
            yield ((name, ""), _SHOWN[half.answer])
            for reason in _reasons(half):
                yield ((" " * len(name) + reason, ""),)
        for note in self.notes:
            yield (("  note: ", "cyan"), (note, ""))

    def as_object(self) -> dict[str, object]:
        """Return the same for a program."""
        return {
            "from": self.source,
            "to": self.destination,
            "protocol": self.port.protocol.value,
            "port": self.port.number,
            "portNames": sorted(self.port.names),
            "answer": self.explanation.answer.value,
            **{half.direction.field: _half_object(half) for half in self.explanation.halves},
            "notes": list(self.notes),
        }


def _reasons(half: Half) -> Iterator[str]:
    if not half.isolating:
        yield "no policy isolates this pod"
        return
    by = listed(policy.name for policy in half.isolating)
    match half.answer:
        case FlowAnswer.ALLOWED:
            yield from (f"allowed by {ref} ({rule_words(ref.rule)})" for ref in half.allowing)
        case FlowAnswer.UNCERTAIN:
            yield f"isolated by {by}; only an ipBlock covers this pod, which not every network plugin heeds:"
            yield from (f"{ref} ({rule_words(ref.rule)})" for ref in half.allowing)
        case FlowAnswer.DENIED:
            yield f"isolated by {by}; no rule of any policy lets it through"
            if half.closest is not None:
                yield f"closest is {closest_words(half.closest, half.point)}"


def _half_object(half: Half) -> dict[str, object]:
    rules = [
        {
            "policy": ref.policy.name,
            "rule": f"{ref.direction.field}[{ref.index}]",
            "means": rule_words(ref.rule),
        }
        for ref in half.allowing
    ]
    return {
        "answer": half.answer.value,
        "isolatedBy": [policy.name for policy in half.isolating],
        "allowedBy": rules,
        "closest": None if half.closest is None else closest_words(half.closest, half.point),
    }
