"""The protocol with one of its rules taken away, each with clients who are likely to show it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from app.admission.ledger.contents import Contents
from app.admission.ledger.entries import Created, Entry, PolicyEntry, settled_at
from app.admission.ledger.protocol import Admission, Decision, Reason, Refusal, Reviews, Way
from app.admission.ledger.settling import Settler
from app.admission.ledger.values import Change, LabelChange, PolicyChange
from app.admission.ledger.worst_case import Peers, Pending, Side, WorstCase
from app.admission.ledger.writing import Writer, Written
from app.model.snapshot import Resource, Watched
from tests.admission.ledger.scenarios import Generator
from tests.admission.ledger.simulation import Model, Parts, Replica, Scenario, Step, Value, Weather

A = "a"
State = tuple[Watched[Any], Pending, Peers]


@dataclass(frozen=True)
class Mutant:
    """What is replaced, and by what clients it is caught."""

    parts: Parts
    scenario: Generator


# -- what is replaced --------------------------------------------------------------------------------------


class UnorderedWriter(Writer):
    """Takes for earlier what this replica had watched, not what stood there when it wrote."""

    replica: Replica

    def earlier(self, contents: Contents, keys: list[str]) -> list[Mapping[str, Entry]]:
        del contents
        return [self.replica.contents().entries] * len(keys)


def _unordered(replica: Replica) -> None:
    assert isinstance(replica.writer, UnorderedWriter)
    replica.writer.replica = replica


class BlindWriter(Writer):
    """Lets those that share a write not see one another."""

    def earlier(self, contents: Contents, keys: list[str]) -> list[Mapping[str, Entry]]:
        return super().earlier(contents, keys)[:1] * len(keys)


class NotAgain(Reviews[Any, Any]):
    """Does not judge again when the entry is written."""

    async def still_holds(
        self,
        change: Change[Any],
        basis: Watched[Any],
        judged_with: tuple[Entry, ...] | None,
        written: Written,
    ) -> bool:
        del change, basis, judged_with, written
        return True


class MarksIgnored(Reviews[Any, Any]):
    """Judges by watched state however old it is."""

    ignored = Resource.POLICIES

    def are_reached(self, contents: Contents, basis: Watched[Any]) -> bool:
        return all(
            resource is self.ignored or contents.marks.is_reached(resource, basis) for resource in Resource
        )


class NamespaceMarksIgnored(MarksIgnored):
    """Judges by watched namespaces however old they are."""

    ignored = Resource.NAMESPACES


class EarlySettler(Settler[Any]):
    """Drops entries after a second."""

    def seen_at(self, key: str, entry: Entry, snapshot: Watched[Any]) -> Mapping[Resource, int] | None:
        found = super().seen_at(key, entry, snapshot)
        if found is None and self._runtime.now() - self._first_seen[key] >= 1.0:
            return {}
        return found


class UnconfirmedSettler(Settler[Any]):
    """Drops entries after 45 s without an event that came back."""

    def seen_at(self, key: str, entry: Entry, snapshot: Watched[Any]) -> Mapping[Resource, int] | None:
        found = super().seen_at(key, entry, snapshot)
        if found is None and self._runtime.now() - self._first_seen[key] >= 45.0:
            return {}
        return found


class ByNameSettler(Settler[Any]):
    """Takes a creation for made when something of the name is there, a deletion when nothing is."""

    def settled_at(self, key: str, entry: Entry, snapshot: Watched[Any]) -> int | None:
        found = super().settled_at(key, entry, snapshot)
        if found is not None or not isinstance(entry, PolicyEntry):
            return found
        stored = snapshot.policies.get(entry.namespace, {}).get(entry.name)
        made = stored is not None if isinstance(entry.awaited, Created) else stored is None
        return snapshot.policies_version if made else None


class ByContentSettler(Settler[Any]):
    """Takes a change for made when the policy looks as it will, or is not there as it will not be."""

    replica: Replica

    def settled_at(self, key: str, entry: Entry, snapshot: Watched[Any]) -> int | None:
        found = super().settled_at(key, entry, snapshot)
        request = self.replica.run.owners.get(key.rpartition(".")[2])
        if found is not None or request is None or isinstance(request.change, LabelChange):
            return found
        assert request.change is not None
        stored = snapshot.policies.get(entry.namespace, {}).get(request.change.name)
        value = None if stored is None else stored.value
        return snapshot.policies_version if value == request.change.new else None


def _by_content(replica: Replica) -> None:
    assert isinstance(replica.settler, ByContentSettler)
    replica.settler.replica = replica


class DroppedForAll(Reviews[Any, Any]):
    """Drops for all what its list shows to be settled, without a mark."""

    async def ledger_then_list(self, change: Change[Any]) -> tuple[Contents, Watched[Any]]:
        contents, basis = await super().ledger_then_list(change)
        keys = [key for key, entry in contents.entries.items() if _is_settled(entry, basis)]
        if keys and change.effect.value == "real":
            await self._ledger.merge(dict.fromkeys(keys))
        return contents, basis


def _is_settled(entry: Entry, basis: Watched[Any]) -> bool:

    return settled_at(entry, basis) is not None


class LabelsOutside(Reviews[Any, Any]):
    """Judges changes of labels, and does not write them down."""

    async def review(self, change: Change[Any]) -> Decision[Any, Any]:
        if isinstance(change, LabelChange):
            return await super().review(replace(change, effect=type(change.effect)("dry run")))
        return await super().review(change)


class AddingSettles(Settler[Any]):
    """Drops the entry of a namespace that became managed as soon as that is seen."""

    def stays(self, entry: Entry) -> bool:
        del entry
        return False


class AddingIgnored(Reviews[Any, Any]):
    """Judges a namespace that became managed by watched policies."""

    def is_newly_managed(self, change: Change[Any], contents: Contents) -> bool:
        del change, contents
        return False


class ListFirst(Reviews[Any, Any]):
    """Reads the ledger after the list, and takes the list for newer than whatever was dropped."""

    listed: Watched[Any] | None = None

    async def ledger_then_list(self, change: Change[Any]) -> tuple[Contents, Watched[Any]]:
        basis = await self._read(change, Contents())
        self.listed = basis
        return Contents.decode(await self._ledger.read()), basis

    def are_reached(self, contents: Contents, basis: Watched[Any]) -> bool:
        return basis is self.listed or super().are_reached(contents, basis)


class OldNotCompared(Reviews[Any, Any]):
    """Takes for the state before whatever the list shows."""

    def is_taken(self, change: PolicyChange[Any], basis: Watched[Any]) -> bool:
        del change, basis
        return False

    def is_old_in(self, change: Change[Any], basis: Watched[Any]) -> bool:
        del change, basis
        return True


class BeforeAsListed(WorstCase[Any]):
    """The state before a change is what was read, whatever the API server says that it changes."""

    def before(self, change: PolicyChange[Any], snapshot: Watched[Any], peers: Peers) -> Side[Any]:
        stored = snapshot.policies.get(change.namespace, {})
        return Side(tuple(policy.value for policy in stored.values()), peers.before)


class NamespacesAsWatched(Reviews[Any, Any]):
    """Judges by watched namespaces, read as far as the marks, while labels change."""

    def must_list_namespaces(self, contents: Contents, watched: Watched[Any]) -> bool:
        return not contents.marks.is_reached(Resource.NAMESPACES, watched)


class ManagedAloneJudge:
    """Takes a policy for harmless in every state that lets in all pods of managed namespaces."""

    def __init__(self, model: Model) -> None:
        self._judge = model.judge
        self._harmless = model.allow_managed()
        self.is_managed = model.judge.is_managed
        self.loss = model.judge.loss
        self.is_pair = model.judge.is_pair

    async def is_harmless(self, namespace: str, old: Value, new: Value) -> bool:
        if old is None and new == self._harmless:
            return True
        found: bool = await self._judge.is_harmless(namespace, old, new)
        return found


def _managed_alone(replica: Replica) -> None:
    replica.reviews._judge = ManagedAloneJudge(replica.run.model)


def _empty_when_made_anew(replica: Replica) -> None:
    """Make the ledger anew without a word of what may have stood there."""
    run = replica.run
    deleted = run.world.ledger

    def delete() -> None:
        run._sync()
        deleted.append({})
        run.world.ledger_times.append(run.world.now)

    run._delete_ledger = delete  # type: ignore[method-assign]


class NameTaken(Reviews[Any, Any]):
    """Admits the creation of a policy whose name is taken, without an entry: it cannot be made, they say."""

    async def review(self, change: Change[Any]) -> Decision[Any, Any]:
        decision = await super().review(change)
        if isinstance(decision, Refusal) and decision.reason is Reason.EXISTS:
            return Admission(Way.LISTED, decision.basis)
        return decision


class OnlyAllowsNothing(WorstCase[Any]):
    """A policy that an entry names allows nothing, but does not isolate."""

    def worst(
        self, namespace: str, own: str, own_after: tuple[Any, ...], state: State
    ) -> tuple[Side[Any], ...]:
        return tuple(replace(side, blanket=False) for side in super().worst(namespace, own, own_after, state))


class OnlyIsolates(WorstCase[Any]):
    """A policy that an entry names isolates everything, but allows what it allowed."""

    def worst(
        self, namespace: str, own: str, own_after: tuple[Any, ...], state: State
    ) -> tuple[Side[Any], ...]:
        snapshot, under_way, _ = state
        named = under_way.policies.get(namespace, frozenset()) - {own}
        stored = snapshot.policies.get(namespace, {})
        kept = tuple(stored[name].value for name in sorted(named) if name in stored)
        sides = super().worst(namespace, own, own_after, state)
        return tuple(replace(side, policies=(*side.policies, *kept)) for side in sides)


class BeforeInTheWorstCase(WorstCase[Any]):
    """The state before a change is taken in the worst case, too."""

    def cases(
        self, change: Change[Any], snapshot: Watched[Any], under_way: Pending, *, all_open: bool
    ) -> Iterator[Any]:
        for case in super().cases(change, snapshot, under_way, all_open=all_open):
            if case.before is None or isinstance(change, LabelChange):
                yield case
                continue
            peers = self._peers(snapshot.namespaces, under_way)
            own = () if change.old is None else (change.old.value,)
            before = self.worst(change.namespace, change.name, own, (snapshot, under_way, peers))
            yield replace(case, before=before[-1])


class TerminatingDoesNotAllowBefore(WorstCase[Any]):
    """What is being deleted does not count as allowing before a change."""

    def before(self, change: PolicyChange[Any], snapshot: Watched[Any], peers: Peers) -> Side[Any]:
        side = super().before(change, snapshot, peers)
        stored = snapshot.policies.get(change.namespace, {})
        going = {id(policy.value) for policy in stored.values() if policy.terminating}
        isolating = any(policy.terminating for policy in stored.values())
        kept = tuple(policy for policy in side.policies if id(policy) not in going)
        return replace(side, policies=kept, blanket=isolating)


class OldLabelsForgotten(WorstCase[Any]):
    """A namespace whose labels are changing counts with the labels that were watched alone."""

    def _changing_peers(self, standing: Peers, under_way: Pending) -> Peers:
        del under_way
        return standing


def _worst(made: type[WorstCase[Any]]) -> Callable[[Replica], None]:
    def prepare(replica: Replica) -> None:
        replica.reviews.worst_case = made(replica.run.model.judge.is_managed)

    return prepare


# -- by what clients it is caught --------------------------------------------------------------------------


@dataclass(frozen=True)
class Pair:
    """Two policies that each keep everything open, one that isolates, and what is done to them."""

    second_after: tuple[float, ...] = (0.0, 0.0005, 0.002, 0.005, 0.01)
    first_waits: tuple[float, ...] = (0.0, 0.01, 0.1)
    verbs: tuple[str, ...] = ("delete", "update")
    between: tuple[str, ...] = ()
    weather: Weather = Weather(failing=0.0, crashes=0.0, others_refuse=0.0, cut_short=0.0)  # noqa: RUF009 - frozen
    crash: bool = False
    later: float = 0.0

    def __call__(self, chance: Random, model: Model) -> Scenario:
        policies = {(A, "p"): model.allow_all(), (A, "q"): model.allow_all(), (A, "d"): model.deny_all()}
        wait = chance.choice(self.first_waits)
        after = self.later + chance.choice(self.second_after)
        first = replace(self._step("p", chance, model), other_wait=wait)
        second = replace(self._step("q", chance, model), at=after, other_wait=chance.choice(self.first_waits))
        crashes = ((chance.random() * after, 0),) if self.crash else ()
        return Scenario(
            {A: model.labels(A, None, managed=True)},
            policies,
            frozenset(),
            frozenset(),
            (replace(first, replica=0) if self.crash else first, second),
            self.weather,
            crashes,
        )

    def _step(self, name: str, chance: Random, model: Model) -> Step:
        verb = chance.choice(self.verbs)
        return Step(0.0, verb, A, name, model.deny_all() if verb == "update" else None)


CALM = Weather(failing=0.0, crashes=0.0, others_refuse=0.0, cut_short=0.0)
QUICK_TICKS = replace(CALM, tick_seconds=0.05, lags=(0.0, 0.01, 0.05, 3.0, 30.0), ledger_lags=(0.0, 0.01))
STALE = replace(QUICK_TICKS, lags=(0.0, 5.0, 30.0))


def labels_then_policy(chance: Random, model: Model) -> Scenario:
    """A namespace gets another label, which is harmless because of one policy; then that policy goes."""
    namespaces = {A: model.labels(A, "x", managed=True), "b": model.labels("b", "x", managed=True)}
    policies = {(A, "p"): model.allow_all(), (A, "q"): model.allow_team("x"), (A, "d"): model.deny_all()}
    first = Step(0.0, "labels", "b", labels=model.labels("b", "y", managed=True))
    first = replace(first, other_wait=chance.choice((0.0, 0.01, 1.0)))
    second = Step(chance.choice((0.0, 0.002, 0.5, 2.0)), "delete", A, "p", other_wait=0.0)
    steps = (first, second)
    if chance.random() < 0.3:
        steps = (replace(second, at=0.0, other_wait=0.5), replace(first, at=chance.choice((0.0, 0.01, 0.1))))
    return Scenario(namespaces, policies, frozenset(), frozenset(), steps, STALE)


def becomes_managed(chance: Random, model: Model) -> Scenario:
    """A policy is deleted while nobody cares; then the namespace becomes managed, and the other goes."""
    policies = {(A, "p"): model.allow_all(), (A, "q"): model.allow_all(), (A, "d"): model.deny_all()}
    steps = (
        Step(0.0, "delete", A, "p", other_wait=0.0),
        Step(0.2, "labels", A, labels=model.labels(A, None, managed=True), other_wait=0.0),
        Step(1.0 + chance.random() * 3, "delete", A, "q", other_wait=0.0),
    )
    namespaces = {A: model.labels(A, None, managed=False)}
    return Scenario(namespaces, policies, frozenset(), frozenset(), steps, STALE)


def lets_in_managed_alone(chance: Random, model: Model) -> Scenario:
    """A policy lets in managed namespaces alone, and its own namespace ceases to be one."""
    namespaces = {"b": model.labels("b", None, managed=True)}
    steps = (
        Step(0.0, "create", "b", "p", model.allow_managed(), other_wait=chance.choice((0.0, 0.1))),
        Step(
            chance.choice((0.0, 0.5, 2.0)),
            "labels",
            "b",
            labels=model.labels("b", None, managed=False),
            other_wait=0.2,
        ),
    )
    return Scenario(namespaces, {}, frozenset(), frozenset(), steps, STALE)


def labels_repair(chance: Random, model: Model) -> Scenario:
    """A label opens what was lost; who does not know of it yet takes away what it opened."""
    namespaces = {name: model.labels(name, "y", managed=True) for name in (A, "b")}
    policies = {(A, "r"): model.allow_team("x"), (A, "d"): model.deny_all()}
    steps = (
        Step(0.0, "labels", "b", labels=model.labels("b", "x", managed=True), other_wait=0.0),
        Step(0.1 + chance.random(), "update", A, "r", model.allow_team("y"), other_wait=0.1),
    )
    return Scenario(
        namespaces, policies, frozenset(), frozenset(), steps, replace(STALE, tick_seconds=1000.0)
    )


def three_at_once(chance: Random, model: Model) -> Scenario:
    """Two changes wait for the write of a third in the same replica, and share the next."""
    policies = {(A, name): model.allow_all() for name in "pqr"} | {(A, "d"): model.deny_all()}
    steps = tuple(
        Step(0.001 * place * chance.random(), "delete", A, name, other_wait=0.1, replica=0)
        for place, name in enumerate("pqr")
    )
    namespaces = {A: model.labels(A, None, managed=True)}
    return Scenario(namespaces, policies, frozenset(), frozenset(), steps, CALM)


def while_it_is_made_anew(chance: Random, model: Model) -> Scenario:
    """The ledger is deleted between two changes that are harmless only alone."""
    weather = replace(STALE, deleted=1.0)
    return Pair(later=0.5, first_waits=(0.0, 3.0), weather=weather)(chance, model)


def names_come_back(chance: Random, model: Model) -> Scenario:
    """A policy is made, seen late, changed and deleted under one name, while others rely on it."""
    policies = {(A, "p"): model.allow_all(), (A, "q"): model.allow_all(), (A, "d"): model.deny_all()}
    steps = [
        Step(0.0, "delete", A, "p", other_wait=0.0),
        Step(0.2 + chance.random(), "create", A, "p", model.allow_all(), other_wait=0.0),
        Step(
            2.0 + chance.random(),
            chance.choice(("delete", "update")),
            A,
            "p",
            model.deny_all(),
            other_wait=5.0,
        ),
        Step(
            3.0 + chance.random() * 3,
            chance.choice(("delete", "update")),
            A,
            "q",
            model.deny_all(),
            other_wait=0.0,
        ),
        Step(2.5, "create", A, chance.choice("pn"), model.deny_all(), other_wait=chance.choice((0.0, 6.0))),
    ]
    if chance.random() < 0.5:
        steps.append(Step(2.2, "meta", A, "p", other_wait=0.0))
    namespaces = {A: model.labels(A, None, managed=True)}
    weather = replace(QUICK_TICKS, lags=(0.0, 0.0, 0.5, 1.5, 3.0))
    return Scenario(namespaces, policies, frozenset(), frozenset(), tuple(steps), weather)


def creates_an_isolator(chance: Random, model: Model) -> Scenario:
    """One isolates what one policy alone lets in; another takes that policy away."""
    policies = {(A, "p"): model.allow_all()} if chance.random() < 0.7 else {(A, "p"): model.allow_managed()}
    steps = [
        Step(0.0, "create", A, "n", model.deny_all(), other_wait=chance.choice((0.0, 0.5, 5.0))),
        Step(chance.choice((0.0, 0.01, 0.1, 0.3)), "delete", A, "p", other_wait=0.0),
    ]
    if chance.random() < 0.5:
        steps = [replace(steps[1], at=0.0, other_wait=2.0), replace(steps[0], at=0.1, other_wait=0.0)]
    namespaces = {A: model.labels(A, None, managed=True)}
    return Scenario(namespaces, policies, frozenset(), frozenset(), tuple(steps), CALM)


def isolates_beside_a_change(chance: Random, model: Model) -> Scenario:
    """Something isolates while another change is under way that might have."""
    steps = (
        Step(0.0, "create", A, "x", model.allow_managed(), other_wait=5.0),
        Step(0.1 + chance.random(), "create", A, "n", model.deny_all(), other_wait=0.0),
    )
    namespaces = {A: model.labels(A, None, managed=True)}
    return Scenario(namespaces, {}, frozenset(), frozenset(), steps, CALM)


def terminating_allower(chance: Random, model: Model) -> Scenario:
    """A policy that is being deleted lets everything in; somebody isolates, and it goes."""
    policies = {(A, "t"): model.allow_all()}
    steps = [
        Step(0.5, "create", A, "n", model.deny_all(), other_wait=0.0),
        Step(1.0 + chance.random(), "finalize", A, "t", other_wait=0.0),
    ]
    going = frozenset({(A, "t")})
    namespaces = {A: model.labels(A, None, managed=True)}
    if chance.random() < 0.5:
        steps.insert(0, Step(0.0, "delete", A, "t", other_wait=0.0))
        return Scenario(namespaces, policies, frozenset(), going, tuple(steps), CALM)
    return Scenario(namespaces, policies, going, going, tuple(steps), CALM)


def creates_over_another(chance: Random, model: Model) -> Scenario:
    """Something that isolates is created over a policy that isolates already and goes meanwhile."""
    policies = {(A, "p"): model.deny_all()}
    if chance.random() < 0.5:
        policies[A, "q"] = model.allow_all()
    steps = [
        Step(0.0, "create", A, "p", model.deny_all(), other_wait=chance.choice((0.5, 2.0))),
        Step(0.1, "delete", A, "p", other_wait=0.0),
        Step(0.3, "delete", A, "q", other_wait=0.0),
    ]
    namespaces = {A: model.labels(A, None, managed=True)}
    return Scenario(
        namespaces, policies, frozenset(), frozenset(), tuple(steps), replace(CALM, lags=(0.0, 0.01))
    )


def in_a_broken_namespace(chance: Random, model: Model) -> Scenario:
    """One point is lost from the start, so that everything is judged by a list."""
    namespaces = {A: model.labels(A, "x", managed=True), "b": model.labels("b", "y", managed=True)}
    policies = {(A, "p"): model.allow_team("x"), (A, "q"): model.allow_team("x"), (A, "d"): model.deny_all()}
    first = Step(0.0, "delete", A, "p", other_wait=chance.choice((0.0, 0.01, 0.05, 0.2)))
    second = Step(chance.choice((0.0, 0.001, 0.01, 0.05)), "delete", A, "q", other_wait=0.0)
    third = Step(chance.choice((0.01, 0.1, 1.0)), "update", A, "d", model.deny_all(), other_wait=0.0)
    weather = replace(STALE, tick_seconds=0.02, lags=(0.0,), ledger_lags=(0.0,))
    return Scenario(namespaces, policies, frozenset(), frozenset(), (first, second, third), weather)


def settles_in_three_ways(chance: Random, model: Model) -> Scenario:
    """One change is made, a list shows it, and a replica that lags answers a third."""
    del chance
    namespaces = {A: model.labels(A, None, managed=True)}
    policies = {(A, "p"): model.allow_all(), (A, "q"): model.allow_all(), (A, "d"): model.deny_all()}
    steps = (
        Step(0.0, "delete", A, "p", other_wait=0.0),
        Step(0.05, "delete", A, "q", other_wait=0.0),
        Step(0.5, "update", A, "q", model.deny_all(), other_wait=0.0),
        Step(1.0, "delete", A, "q", other_wait=0.0),
    )
    weather = replace(CALM, lags=(0.0, 10.0), ledger_lags=(0.0, 0.0), tick_seconds=1000.0)
    return Scenario(namespaces, policies, frozenset(), frozenset(), steps, weather)


STALLED = replace(CALM, lags=(75.0, 80.0), ledger_lags=(0.0, 0.1), tick_seconds=2.0, lag_seconds=500.0)
MUTANTS: Mapping[str, Mutant] = {
    "no order of writes": Mutant(Parts(writer=UnorderedWriter, prepare=_unordered), Pair()),
    "no order within a write": Mutant(Parts(writer=BlindWriter), three_at_once),
    "no judging again": Mutant(Parts(reviews=NotAgain), Pair()),
    "policy marks ignored": Mutant(Parts(reviews=MarksIgnored), Pair(later=0.5, weather=STALE)),
    "namespace marks ignored": Mutant(Parts(reviews=NamespaceMarksIgnored), labels_then_policy),
    "entries dropped early": Mutant(
        Parts(settler=EarlySettler), Pair(later=4.0, first_waits=(8.0, 12.0), weather=QUICK_TICKS)
    ),
    "entries dropped unconfirmed": Mutant(
        Parts(settler=UnconfirmedSettler), Pair(later=60.0, weather=STALLED)
    ),
    "entries dropped by name": Mutant(Parts(settler=ByNameSettler), names_come_back),
    "entries dropped by content": Mutant(
        Parts(settler=ByContentSettler, prepare=_by_content), names_come_back
    ),
    "entries dropped for all": Mutant(Parts(reviews=DroppedForAll), settles_in_three_ways),
    "entries lost in a crash": Mutant(
        Parts(crash_loses_entries=True), Pair(crash=True, later=0.1, first_waits=(1.0,), weather=CALM)
    ),
    "labels outside the ledger": Mutant(Parts(reviews=LabelsOutside), labels_then_policy),
    "labels not in the worst case": Mutant(Parts(prepare=_worst(OldLabelsForgotten)), labels_then_policy),
    "a new namespace settles at once": Mutant(Parts(settler=AddingSettles), becomes_managed),
    "a new namespace judged as watched": Mutant(Parts(reviews=AddingIgnored), becomes_managed),
    "namespaces as watched while labels change": Mutant(Parts(reviews=NamespacesAsWatched), labels_repair),
    "harmless for managed namespaces alone": Mutant(Parts(prepare=_managed_alone), lets_in_managed_alone),
    "a ledger made anew is empty": Mutant(Parts(prepare=_empty_when_made_anew), while_it_is_made_anew),
    "an entry that only allows nothing": Mutant(
        Parts(prepare=_worst(OnlyAllowsNothing)), creates_an_isolator
    ),
    "an entry that only isolates": Mutant(Parts(prepare=_worst(OnlyIsolates)), Pair(first_waits=(0.1, 2.0))),
    "before in the worst case": Mutant(Parts(prepare=_worst(BeforeInTheWorstCase)), isolates_beside_a_change),
    "terminating wrong before": Mutant(
        Parts(prepare=_worst(TerminatingDoesNotAllowBefore)), terminating_allower
    ),
    "the ledger read after the list": Mutant(Parts(reviews=ListFirst), in_a_broken_namespace),
    "old not compared": Mutant(
        Parts(reviews=OldNotCompared, prepare=_worst(BeforeAsListed)), creates_over_another
    ),
    "a name that is taken": Mutant(Parts(reviews=NameTaken), creates_over_another),
}
