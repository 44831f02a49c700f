"""Entries and a change, as states for a judge: *before* as it was read, *after* in the worst case.

A policy that an entry names isolates every pod of its namespace and allows nothing. One that is being deleted
may be there or gone: after the change, both are judged. A namespace whose labels are changing has the labels
before and those after, and each has to be let through; its flows are required if either makes it managed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeAlias

from app.admission.ledger.entries import (
    Entry,
    HalfEntry,
    LabelsEntry,
    PolicyEntry,
    UnknownEntry,
    WholeEntry,
    settled_at,
)
from app.admission.ledger.values import Change, LabelChange, PolicyChange
from app.model.snapshot import Labels, P, StoredNamespace, Watched

Namespaces: TypeAlias = "Mapping[str, Labels]"
"""The labels of namespaces, by keys; one whose labels are changing has several."""


@dataclass(frozen=True, slots=True)
class Side(Generic[P]):
    """One state of a namespace: its policies, and the labels of all namespaces.

    ``blanket``: beside them something isolates every pod in both directions and allows nothing. A namespace
    whose labels are changing stands among ``namespaces`` more than once.
    """

    policies: tuple[P, ...]
    namespaces: Namespaces
    blanket: bool = False


@dataclass(frozen=True, slots=True)
class Case(Generic[P]):
    """What a judge is asked: is anything lost in one of ``after`` that was open in ``before``?

    ``before`` is None where all counts as open. ``peers`` are the far ends that matter, by their keys in
    ``namespaces``. ``is_of_labels``: those of a far end change, so that only its flows matter.
    """

    namespace: str
    before: Side[P] | None
    after: tuple[Side[P], ...]
    peers: frozenset[str]
    is_of_labels: bool = False


@dataclass(frozen=True, slots=True)
class Pending:
    """What is under way as far as one snapshot does not show it: by namespace."""

    entries: tuple[Entry, ...] = ()
    policies: Mapping[str, frozenset[str]] = field(default_factory=dict)
    labels: Mapping[str, tuple[LabelsEntry, ...]] = field(default_factory=dict)
    anything: frozenset[str] = frozenset()

    def is_whole(self, namespace: str) -> bool:
        """Tell whether anything may change in ``namespace``; "" stands for every namespace."""
        return bool(self.anything) and (namespace in self.anything or "" in self.anything)


NOTHING = Pending()


def pending(entries: Iterable[Entry], snapshot: Watched[P]) -> Pending:
    """Return what is under way of ``entries``: those that ``snapshot`` shows to be settled are not."""
    left = tuple([entry for entry in entries if settled_at(entry, snapshot) is None])
    if not left:
        return NOTHING
    policies: dict[str, frozenset[str]] = {}
    labels: dict[str, tuple[LabelsEntry, ...]] = {}
    anything: set[str] = set()
    for entry in left:
        match entry:
            case PolicyEntry() | HalfEntry():
                policies[entry.namespace] = policies.get(entry.namespace, frozenset()) | {entry.name}
            case LabelsEntry():
                labels[entry.namespace] = (*labels.get(entry.namespace, ()), entry)
            case WholeEntry() | UnknownEntry():
                anything.add(entry.namespace)
    return Pending(left, policies, labels, frozenset(anything))


@dataclass(frozen=True, slots=True)
class Peers:
    """The namespaces as far ends: their labels before and after, and which are required."""

    before: Namespaces
    after: Namespaces
    required: frozenset[str]


class WorstCase(Generic[P]):
    """Makes the cases of a change; remembers what follows from unchanged namespaces."""

    def __init__(self, is_managed: Callable[[Labels], bool]) -> None:
        """``is_managed`` tells whether labels make a namespace managed."""
        self._is_managed = is_managed
        self._known: tuple[object, Peers] = (None, Peers({}, {}, frozenset()))

    def is_guarded(self, namespace: str, snapshot: Watched[P], under_way: Pending) -> bool:
        """Tell whether flows of ``namespace`` are required, or may be once its labels are changed."""
        found = snapshot.namespaces.get(namespace)
        return (
            (found is not None and self._is_managed(found.labels))
            or under_way.is_whole(namespace)
            or any(self._is_managed(labels) for labels in _changing(under_way.labels.get(namespace, ())))
        )

    def cases(
        self, change: Change[P], snapshot: Watched[P], under_way: Pending, *, all_open: bool
    ) -> Iterator[Case[P]]:
        """Yield a case for each namespace whose policies the change has to do with.

        ``all_open``: everything counts as open before, instead of what ``snapshot`` shows.
        """
        if isinstance(change, LabelChange):
            yield from self._label_cases(change, snapshot, under_way, all_open=all_open)
            return
        peers = self._peers(snapshot.namespaces, under_way)
        before = None if all_open else self.before(change, snapshot, peers)
        yield Case(change.namespace, before, self.after(change, snapshot, under_way, peers), peers.required)

    def before(self, change: PolicyChange[P], snapshot: Watched[P], peers: Peers) -> Side[P]:
        """Return the namespace as it was read, nothing under way; what is being deleted counts."""
        stored = snapshot.policies.get(change.namespace, {})
        others = [policy.value for name, policy in stored.items() if name != change.name]
        own = () if change.old is None else (change.old.value,)
        return Side((*others, *own), peers.before)

    def after(
        self, change: PolicyChange[P], snapshot: Watched[P], under_way: Pending, peers: Peers
    ) -> tuple[Side[P], ...]:
        """Return the namespace after the change, in the worst case."""
        own = () if change.new is None else (change.new,)
        return self.worst(
            change.namespace, change.name, (*own, *change.assumed), (snapshot, under_way, peers)
        )

    def worst(
        self,
        namespace: str,
        own: str,
        own_after: tuple[P, ...],
        state: tuple[Watched[P], Pending, Peers],
    ) -> tuple[Side[P], ...]:
        """Return one namespace in the worst case; the policy ``own`` is known to be ``own_after`` then.

        An entry for ``own`` is left aside: of two changes of one object only one can be made without another
        review, since it moves the object.
        """
        snapshot, under_way, peers = state
        named = under_way.policies.get(namespace, frozenset()) - {own}
        if under_way.is_whole(namespace):
            return (Side(own_after, peers.after, blanket=True),)
        stored = snapshot.policies.get(namespace, {})
        staying = [
            policy.value
            for name, policy in stored.items()
            if name != own and not policy.terminating and name not in named
        ]
        standing = (*staying, *own_after)
        if named:
            return (Side(standing, peers.after, blanket=True),)
        going = [policy.value for name, policy in stored.items() if policy.terminating and name != own]
        # Each alone is enough: a point that none of them lets through is isolated by one of them.
        return (
            Side(standing, peers.after),
            *[Side((*standing, policy), peers.after) for policy in going],
        )

    def _label_cases(
        self, change: LabelChange, snapshot: Watched[P], under_way: Pending, *, all_open: bool
    ) -> Iterator[Case[P]]:
        """Yield a case for each guarded namespace; only the changed one is a far end.

        A namespace that was not required so far has nothing to lose.
        """
        if change.old is None or not self._is_managed(change.old.labels):
            return
        key = frozenset({change.name})
        peers = Peers({change.name: change.old.labels}, {change.name: change.labels}, key)
        for name in sorted({*snapshot.namespaces, *under_way.labels}):
            if name != change.name and not self.is_guarded(name, snapshot, under_way):
                continue
            stored = snapshot.policies.get(name, {})
            before = (
                None if all_open else Side(tuple([policy.value for policy in stored.values()]), peers.before)
            )
            after = self.worst(name, "", (), (snapshot, under_way, peers))
            yield Case(name, before, after, key, is_of_labels=True)

    def _peers(self, namespaces: Mapping[str, StoredNamespace], under_way: Pending) -> Peers:
        known, standing = self._known
        if known is not namespaces:
            labels = {name: namespace.labels for name, namespace in namespaces.items()}
            required = frozenset(name for name, namespace in labels.items() if self._is_managed(namespace))
            standing = Peers(labels, labels, required)
            self._known = (namespaces, standing)
        if not under_way.labels:
            return standing
        return self._changing_peers(standing, under_way)

    def _changing_peers(self, standing: Peers, under_way: Pending) -> Peers:
        before, after, required = dict(standing.before), dict(standing.after), set(standing.required)
        for name, entries in under_way.labels.items():
            variants = _distinct([standing.after.get(name), *_changing(entries)])
            keys = [name, *(f"{name} (labels changing, {place})" for place in range(1, len(variants)))]
            if any(self._is_managed(labels) for labels in variants):
                required.update(keys)
            after |= zip(keys, variants, strict=True)
            before |= dict.fromkeys(keys, standing.before.get(name, variants[0]))
        return Peers(before, after, frozenset(required))


def _changing(entries: Iterable[LabelsEntry]) -> Iterator[Labels]:
    for entry in entries:
        if entry.old is not None:
            yield entry.old
        yield entry.new


def _distinct(labels: Iterable[Labels | None]) -> list[Labels]:
    found: list[Labels] = []
    for variant in labels:
        if variant is not None and variant not in found:
            found.append(variant)
    return found
