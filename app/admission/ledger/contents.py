"""All that the ConfigMap holds."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from app.admission.ledger.entries import EVERYWHERE, Entry, WholeEntry, decoded, encoded, key_of
from app.admission.ledger.marks import NO_MARKS, Marks, mark_of
from app.errors import StateUnreadable
from app.model.snapshot import Resource

FORMAT_KEY, FORMAT = "format", "1"
REPLICA_PREFIX = "replica."
"""Of the key by which a replica says that it keeps the ledger, and in which format: ``replica.<its Pod>``."""


class LedgerUnusable(StateUnreadable):
    """The ledger has a format that this version does not know, and must not write over."""

    def __init__(self, form: str, known: str) -> None:
        super().__init__(
            "the ledger",
            f"it has format {form!r}, and this version knows {known!r} alone",
            "run one version of the guard; the newer one knows both",
        )


@dataclass(frozen=True, slots=True)
class Contents:
    """The entries by key, in the order of the ConfigMap, the marks, and every key there is.

    ``replicas`` are the Pods that have said that they keep the ledger.
    """

    entries: Mapping[str, Entry] = field(default_factory=dict)
    marks: Marks = NO_MARKS
    keys: AbstractSet[str] = frozenset()
    size: int = 0
    replicas: frozenset[str] = frozenset()

    @classmethod
    def decode(cls, data: Mapping[str, str]) -> Contents:
        """Return the contents of the ConfigMap's ``data``.

        Raises ``LedgerUnusable`` where it has a format that this version does not know.
        """
        form = data.get(FORMAT_KEY, FORMAT)
        if form != FORMAT:
            raise LedgerUnusable(form, FORMAT)
        marks: dict[Resource, int] = {}
        entries: dict[str, Entry] = {}
        replicas, size = set[str](), 0
        for key, value in data.items():
            size += len(key) + len(value)
            mark = mark_of(key)
            if mark is not None:
                marks[mark[0]] = max(mark[1], marks.get(mark[0], 0))
            elif key.startswith(REPLICA_PREFIX):
                replicas.add(key.removeprefix(REPLICA_PREFIX))
            elif key != FORMAT_KEY:
                entries[key] = decoded(key, value)
        return cls(entries, Marks.of(marks), data.keys(), size, frozenset(replicas))

    def count(self, namespace: str) -> int:
        """Return how many changes of a namespace are under way."""
        return sum(1 for entry in self.entries.values() if entry.namespace == namespace)


def made_anew(token: str) -> dict[str, str]:
    """Return the ``data`` of a ConfigMap that was deleted: what stood there, nobody knows.

    Until the changes that may be under way are over, everything counts as changing. Only the ConfigMap of an
    installation, which comes before its first review, is empty.
    """
    entry = WholeEntry(EVERYWHERE)
    return {FORMAT_KEY: FORMAT, key_of(entry, token): encoded(entry)}
