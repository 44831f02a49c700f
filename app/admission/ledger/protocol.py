"""One review: harmless (1), judged by watched state (2), or confirmed by a list (3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeAlias, TypeVar

from app.admission.ledger.contents import Contents
from app.admission.ledger.entries import (
    LONGEST_VALUE,
    Entry,
    LabelsEntry,
    adds_management,
    encoded,
    entry_of,
    settled_at,
)
from app.admission.ledger.ports import Informers, Judge, Ledger, Reader
from app.admission.ledger.values import Change, Effect, LabelChange, PolicyChange, namespace_of
from app.admission.ledger.worst_case import NOTHING, WorstCase, pending
from app.admission.ledger.writing import Writer, Written
from app.engine.budget import TooComplexError
from app.model.snapshot import P, Resource, Watched

L = TypeVar("L")
MOST_OF_A_NAMESPACE = 64
MOST = 4_096
"""Changes under way, of one namespace and of all: the ConfigMap stays below half a megabyte."""


class Way(Enum):
    """How a change was judged, in the words of logs and metrics."""

    HARMLESS = "harmless"
    """In every state: nothing is read or written."""
    WATCHED = "watched"
    """By watched state: one write, if it is admitted."""
    LISTED = "listed"
    """By a consistent list, and most likely a write."""
    UNGUARDED = "unmanaged"
    """Of a namespace that a list shows not to be managed."""


class Reason(Enum):
    """Why a change is refused."""

    LOSS = "it takes something away"
    UNDER_WAY = "it takes something away together with changes that are under way"
    BUSY = "too many changes are under way"
    TOO_LARGE = "these labels are too long to be kept in mind while they are written"
    EXISTS = "there is a policy of this name, so that this one cannot be created"
    TERMINATING = "the spec of a policy that is being deleted stays as it is"


@dataclass(frozen=True, slots=True)
class Admission(Generic[P]):
    """A change is admitted; ``basis`` is the state that it was judged by, if it was."""

    way: Way
    basis: Watched[P] | None = None


@dataclass(frozen=True, slots=True)
class Refusal(Generic[P, L]):
    """A change is refused; ``under_way`` are the changes without which it would not be.

    ``basis`` is the list that shows it, None where none was needed.
    """

    reason: Reason
    loss: L | None = None
    under_way: tuple[Entry, ...] = ()
    basis: Watched[P] | None = None

    @property
    def way(self) -> Way:
        """How it was judged."""
        return Way.WATCHED if self.basis is None else Way.LISTED


Decision: TypeAlias = Admission[P] | Refusal[P, L]


class Reviews(Generic[P, L]):
    """The reviews of one replica."""

    def __init__(
        self,
        judge: Judge[P, L],
        informers: Informers[P],
        reader: Reader[P],
        writing: tuple[Ledger, Writer],
    ) -> None:
        """All but the judge talk to the cluster."""
        self._judge = judge
        self._informers = informers
        self._reader = reader
        self._ledger, self._writer = writing
        self.worst_case = WorstCase[P](judge.is_managed)

    async def review(self, change: Change[P]) -> Decision[P, L]:
        """Return whether a change may be made.

        Raises ``StateUnreadable`` where that cannot be known now, and what the judge raises.
        """
        if not isinstance(change, LabelChange) and change.old is not None and change.old.terminating:
            if change.new is not None and change.new != change.old.value:
                return await self._terminating(change)
            return Admission(Way.HARMLESS)
        if await self._is_harmless(change):
            return Admission(Way.HARMLESS)
        return await self._watched(change)

    async def note(self, change: Change[P]) -> None:
        """Write down a change that is admitted without being judged, or in spite of it: the others' reviews.

        Raises ``StateUnreadable``.
        """
        await self._writer.add(entry_of(change))

    async def _terminating(self, change: PolicyChange[P]) -> Decision[P, L]:
        """Refuse another spec of a policy that is being deleted, where that is somebody's concern."""
        contents, basis = await self.ledger_then_list(change)
        under_way = pending(self._standing(contents.entries), basis)
        if self.worst_case.is_guarded(change.namespace, basis, under_way):
            return Refusal(Reason.TERMINATING, basis=basis)
        return Admission(Way.UNGUARDED, basis)

    async def _is_harmless(self, change: Change[P]) -> bool:
        """Tell whether a change does no harm in any state: ``old`` is exact when it is made."""
        if not isinstance(change, LabelChange):
            old = None if change.old is None else change.old.value
            return await self._judge.is_harmless(change.namespace, old, change.new)
        was = {} if change.old is None else change.old.labels
        managed = self._judge.is_managed(was) or self._judge.is_managed(change.labels)
        return not managed or was == change.labels

    # -- the second way ------------------------------------------------------------------------------------

    async def _watched(self, change: Change[P]) -> Decision[P, L]:
        basis, contents = self._informers.snapshot(), self._informers.contents()
        entries = self._standing(contents.entries)
        if not self._may_judge_by(change, basis, contents):
            return await self._listed(change)
        if await self._may_lose(change, basis, entries):
            return await self._listed(change)
        if (reason := self._unwritable(change, contents)) is not None:
            return Refusal(reason)
        if change.effect is Effect.DRY_RUN:
            return Admission(Way.WATCHED, basis)
        written = await self._writer.add(entry_of(change))
        judged_with: tuple[Entry, ...] | None = entries
        if not self.are_reached(written.contents, basis):
            basis, judged_with = self._informers.snapshot(), None
        if await self.still_holds(change, basis, judged_with, written):
            return Admission(Way.WATCHED, basis)
        return await self._confirmed(change, written)

    def _may_judge_by(self, change: Change[P], basis: Watched[P], contents: Contents) -> bool:
        """Tell whether the watched state may be used, as far as the watched ledger tells.

        That a namespace is not managed, or that there is a policy of the name already, is asked anew.
        """
        if not self.are_reached(contents, basis) or self.is_newly_managed(change, contents):
            return False
        if isinstance(change, LabelChange):
            return True
        if change.old is None and change.name in basis.policies.get(change.namespace, {}):
            return False
        return self.worst_case.is_guarded(change.namespace, basis, NOTHING)

    def are_reached(self, contents: Contents, basis: Watched[P]) -> bool:
        """Tell whether a snapshot has come as far as the marks."""
        return contents.marks.are_reached(basis)

    def is_newly_managed(self, change: Change[P], contents: Contents) -> bool:
        """Tell whether a change has to do with a namespace that was not managed a short while ago.

        Nobody wrote down what was done to its policies until then, so no mark tells how far to watch.
        """
        return any(
            isinstance(entry, LabelsEntry)
            and (isinstance(change, LabelChange) or change.namespace == entry.namespace)
            and adds_management(entry, self._judge.is_managed)
            for entry in contents.entries.values()
        )

    async def still_holds(
        self,
        change: Change[P],
        basis: Watched[P],
        judged_with: tuple[Entry, ...] | None,
        written: Written,
    ) -> bool:
        """Judge again with the ledger as it stood when the own entry was written.

        ``judged_with``: the entries that were judged with already by the same snapshot.
        """
        if not self._may_judge_by(change, basis, written.contents):
            return False
        now = self._standing(written.earlier)
        return now == judged_with or not await self._may_lose(change, basis, now)

    async def _may_lose(self, change: Change[P], basis: Watched[P], entries: tuple[Entry, ...]) -> bool:
        """Tell whether the change may take something away, whatever was open before.

        Where that is too complex to tell, it may be easy to tell by what was open: that takes a list.
        """
        try:
            return await self._lost(change, basis, entries) is not None
        except TooComplexError:
            return True

    # -- the third way -------------------------------------------------------------------------------------

    async def _listed(self, change: Change[P]) -> Decision[P, L]:
        contents, basis = await self.ledger_then_list(change)
        decision = await self._confirm(change, basis, self._standing(contents.entries))
        if isinstance(decision, Refusal) or decision.way is Way.UNGUARDED:
            return decision
        if (reason := self._unwritable(change, contents)) is not None:
            return Refusal(reason, basis=basis)
        if change.effect is Effect.DRY_RUN:
            return decision
        written = await self._writer.add(entry_of(change))
        if self.are_reached(written.contents, basis):
            again = await self._confirm(change, basis, self._standing(written.earlier))
            if isinstance(again, Admission):
                return again
        return await self._confirmed(change, written)

    async def ledger_then_list(self, change: Change[P]) -> tuple[Contents, Watched[P]]:
        """Read the ledger, and the state after it: what was dropped from it, the state shows."""
        contents = Contents.decode(await self._ledger.read())
        return contents, await self._read(change, contents)

    async def _confirmed(self, change: Change[P], written: Written) -> Decision[P, L]:
        """Judge by a list, with the own entry standing; take it out again if the change is refused."""
        try:
            basis = await self._read(change, written.contents)
            decision = await self._confirm(change, basis, self._standing(written.earlier))
        except BaseException:
            self._writer.abandon(written.key)
            raise
        if isinstance(decision, Refusal):
            self._writer.abandon(written.key)
        return decision

    async def _read(self, change: Change[P], contents: Contents) -> Watched[P]:
        """Return the state as it is now, read after ``contents``.

        Of namespaces, watched state will do where no change of labels is under way: all of them stand in the
        ledger.
        """
        watched = self._informers.snapshot()
        namespaces, reached = watched.namespaces, watched.namespaces_version
        if self.must_list_namespaces(contents, watched):
            namespaces, reached = await self._reader.namespaces()
        if isinstance(change, LabelChange):
            state = Watched(watched.policies, None, namespaces, reached)
            under_way = pending(contents.entries.values(), state)
            scope = [
                name
                for name in {*namespaces, *under_way.labels}
                if self.worst_case.is_guarded(name, state, under_way)
            ]
        else:
            scope = [change.namespace]
        policies, version = await self._reader.policies(scope)
        return Watched(policies, version, namespaces, reached, watched.gone)

    def must_list_namespaces(self, contents: Contents, watched: Watched[P]) -> bool:
        """Tell whether labels may have changed that were not watched yet."""
        if not contents.marks.is_reached(Resource.NAMESPACES, watched):
            return True
        return any(
            isinstance(entry, LabelsEntry) and settled_at(entry, watched) is None
            for entry in contents.entries.values()
        )

    async def _confirm(
        self, change: Change[P], basis: Watched[P], entries: tuple[Entry, ...]
    ) -> Decision[P, L]:
        """Judge by a list: what it shows to be settled is left out, for this review only."""
        if not isinstance(change, LabelChange):
            if not self.worst_case.is_guarded(change.namespace, basis, pending(entries, basis)):
                return Admission(Way.UNGUARDED, basis)
            if self.is_taken(change, basis):
                return Refusal(Reason.EXISTS, basis=basis)
        all_open = not self.is_old_in(change, basis)
        loss = await self._lost(change, basis, entries, all_open=all_open)
        if loss is None:
            return Admission(Way.LISTED, basis)
        alone = await self._lost(change, basis, (), all_open=all_open)
        if alone is not None:
            return Refusal(Reason.LOSS, alone, basis=basis)
        return Refusal(Reason.UNDER_WAY, loss, pending(entries, basis).entries, basis)

    def is_taken(self, change: PolicyChange[P], basis: Watched[P]) -> bool:
        """Tell whether a policy is to be created whose name another has.

        It could only be made once that one is gone, and then nobody would have judged it.
        """
        return change.old is None and change.name in basis.policies.get(change.namespace, {})

    def is_old_in(self, change: Change[P], basis: Watched[P]) -> bool:
        """Tell whether ``old`` is what the list shows; what was read does not tell what is open otherwise."""
        if isinstance(change, LabelChange):
            namespace = basis.namespaces.get(change.name)
            return namespace is not None and change.old is not None and namespace.labels == change.old.labels
        stored = basis.policies.get(change.namespace, {}).get(change.name)
        if stored is None or change.old is None:
            return stored is change.old
        return stored.version is not None and stored.version == change.old.version

    # -- both ----------------------------------------------------------------------------------------------

    def _standing(self, entries: Mapping[str, Entry]) -> tuple[Entry, ...]:
        return tuple(self._writer.standing(entries).values())

    async def _lost(
        self,
        change: Change[P],
        basis: Watched[P],
        entries: tuple[Entry, ...],
        *,
        all_open: bool = True,
    ) -> L | None:
        """Return what the change takes away in the worst case."""
        under_way = pending(entries, basis) if entries else NOTHING
        for case in self.worst_case.cases(change, basis, under_way, all_open=all_open):
            loss = await self._judge.loss(case)
            if loss is not None:
                return loss
        return None

    def _unwritable(self, change: Change[P], contents: Contents) -> Reason | None:
        """Return why the change has no place in the ledger, None if it has."""
        if len(contents.entries) >= MOST or contents.count(namespace_of(change)) >= MOST_OF_A_NAMESPACE:
            return Reason.BUSY
        if isinstance(change, LabelChange) and len(encoded(entry_of(change))) > LONGEST_VALUE:
            return Reason.TOO_LARGE
        return None
