"""A small cluster under the shipped protocol: replicas that lag and crash, and an API server that waits.

What is checked at each commit: of the points of required flows that were open ever since the change was
reviewed (since the ledger was taken, where a list was read), none is lost by it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Any, Protocol, TypeAlias

from app.admission.ledger.contents import Contents, made_anew
from app.admission.ledger.protocol import Admission, Refusal, Reviews, Way
from app.admission.ledger.settling import Settler
from app.admission.ledger.values import Change, Effect, LabelChange, PolicyChange
from app.admission.ledger.writing import Writer
from app.errors import StateUnreadable
from app.model.snapshot import Labels, Resource, Stored, StoredNamespace, Watched
from tests.admission.ledger.scheduler import Call, Scheduler, SimulatedFuture, Task
from tests.admission.ledger.world import World, snapshot_at

Value: TypeAlias = Any
"""A policy, as the model has them."""
Answer: TypeAlias = Admission[Any] | Refusal[Any, Any] | None
WEBHOOK_SECONDS = 10.0
REQUEST_SECONDS = 34.0


class Model(Protocol):
    """What policies are in a simulation, and what is open."""

    judge: Any

    def policy(self, chance: Random) -> Value: ...
    def deny_all(self) -> Value: ...
    def allow_all(self) -> Value: ...
    def allow_managed(self) -> Value: ...
    def allow_team(self, team: str) -> Value: ...
    def labels(self, name: str, team: str | None, *, managed: bool) -> Labels: ...
    def half(self, name: str) -> Value: ...
    def open_points(self, namespace: str, policies: tuple[Value, ...], peer: str, labels: Labels) -> int: ...


@dataclass(frozen=True)
class Parts:
    """What the replicas are made of; mutants replace one of it."""

    reviews: type[Reviews[Any, Any]] = Reviews
    settler: type[Settler[Any]] = Settler
    writer: type[Writer] = Writer
    prepare: Callable[[Replica], None] | None = None
    crash_loses_entries: bool = False


@dataclass(frozen=True)
class Weather:
    """How likely things go wrong."""

    lags: tuple[float, ...] = (0.0, 0.01, 0.05, 0.05, 0.3, 3.0, 30.0)
    ledger_lags: tuple[float, ...] = (0.0, 0.01, 0.05, 0.3, 3.0)
    failing: float = 0.04
    crashes: float = 0.3
    others_wait: tuple[float, ...] = (0.0, 0.0, 0.01, 0.05, 1.0, 8.0, 30.0)
    others_refuse: float = 0.1
    stale_old: float = 0.1
    tick_seconds: float = 2.0
    cut_short: float = 0.03
    deleted: float = 0.0
    """How likely somebody deletes the ledger."""
    lag_seconds: float = 3.0
    """How long a watch lags as much."""


@dataclass(frozen=True)
class Step:
    """One request of a client: when, and what of which object."""

    at: float
    verb: str
    namespace: str
    name: str = ""
    value: Value = None
    labels: Labels | None = None
    finalizer: bool = False
    dry_run: bool = False
    other_wait: float | None = None
    replica: int | None = None


@dataclass(frozen=True)
class Scenario:
    """A cluster and what its clients do."""

    namespaces: Mapping[str, Labels]
    policies: Mapping[tuple[str, str], Any]
    terminating: frozenset[tuple[str, str]]
    finalizing: frozenset[tuple[str, str]]
    steps: tuple[Step, ...]
    weather: Weather = Weather()
    crashes_at: tuple[tuple[float, int], ...] = ()


@dataclass
class Counts:
    """What happened in all runs."""

    runs: int = 0
    commits: int = 0
    losses: int = 0
    refusals: int = 0
    unavailable: int = 0
    ways: dict[Way, int] | None = None
    reasons: dict[str, int] | None = None

    def way(self, way: Way) -> None:
        self.ways = self.ways or {}
        self.ways[way] = self.ways.get(way, 0) + 1

    def reason(self, reason: str) -> None:
        self.refusals += 1
        self.reasons = self.reasons or {}
        self.reasons[reason] = self.reasons.get(reason, 0) + 1


class Watch:
    """How far one watch has come: some time behind, and never back but by a restart."""

    __slots__ = ("_chance", "_lag", "_lags", "_redraw", "_seconds", "bookmarks", "place")

    def __init__(self, chance: Random, lags: tuple[float, ...], place: int, seconds: float) -> None:
        self._chance = chance
        self._seconds = seconds
        self._lags = lags
        self._lag = 0.0
        self._redraw = -1.0
        self.place = place
        self.bookmarks = False

    def look(self, now: float, index_at: Callable[[float], int]) -> int:
        """Return the place in the history."""
        if now > self._redraw:
            self._lag = self._chance.choice(self._lags)
            self._redraw = now + self._chance.expovariate(1 / self._seconds)
            self.bookmarks = self._chance.random() < 0.3
        place = index_at(now - self._lag)
        self.place = max(self.place, place)
        return self.place


class Replica:
    """One replica: watches, and the shipped protocol over them. It is all the I/O that the protocol has."""

    def __init__(self, run: Run, number: int) -> None:
        self.run = run
        self.number = number
        self.tasks: list[Task] = []
        self.start(run.world.index, len(run.world.ledger) - 1)

    def start(self, place: int, ledger_place: int) -> None:
        """Begin, as far behind as it may be."""
        run, chance, weather = self.run, self.run.chance, self.run.scenario.weather
        self._policies = Watch(chance, weather.lags, place, weather.lag_seconds)
        self._namespaces = Watch(chance, weather.lags, place, weather.lag_seconds)
        self._ledger = Watch(chance, weather.ledger_lags, ledger_place, 3.0)
        self._known: tuple[tuple[int, int, bool], Watched[Any]] | None = None
        self._known_contents: tuple[int, Contents] | None = None
        self._tells_gone = chance.random() < 0.5
        parts, judge = run.parts, run.model.judge
        self.writer = parts.writer(self, self)
        self.reviews = parts.reviews(judge, self, self, (self, self.writer))
        self.settler = parts.settler(judge, self, self, (self, self.writer, self))
        if parts.prepare is not None:
            parts.prepare(self)

    def crash(self) -> None:
        """Lose everything that was in memory; a watch begins anew, perhaps with older state."""
        for task in [task for task in self.tasks if not task.is_over]:
            task.cancel()
            self.run.answered(task.label, None, StateUnreadable("the ledger", "crashed"))
        self.tasks = []
        world, chance = self.run.world, self.run.chance
        if self.run.parts.crash_loses_entries:
            mine = [
                key for key in world.ledger[-1] if key.startswith("entry.") and f".r{self.number}n" in key
            ]
            world.merge(dict.fromkeys(mine))
        back = min(world.index, chance.choice((0, 0, 1, 3)))
        ledger_back = min(len(world.ledger) - 1, chance.choice((0, 0, 1, 3)))
        self.start(world.index - back, len(world.ledger) - 1 - ledger_back)

    # -- Informers -----------------------------------------------------------------------------------------

    def snapshot(self) -> Watched[Any]:
        world = self.run.world
        places = (
            self._policies.look(world.now, world.index_at),
            self._namespaces.look(world.now, world.index_at),
            self._policies.bookmarks,
        )
        if self._known is None or self._known[0] != places:
            made = snapshot_at(world, places[:2], bookmarks=places[2], gone=self._tells_gone)
            self._known = (places, made)
        return self._known[1]

    def contents(self) -> Contents:
        world = self.run.world
        place = self._ledger.look(world.now, world.ledger_index_at)
        if self._known_contents is None or self._known_contents[0] != place:
            self._known_contents = (place, Contents.decode(world.ledger[place]))
        return self._known_contents[1]

    # -- Ledger and Reader ---------------------------------------------------------------------------------

    def _call(self, effect: Callable[[], Any]) -> Call:
        chance, weather = self.run.chance, self.run.scenario.weather
        delays = (chance.expovariate(200), chance.expovariate(200))
        if chance.random() >= weather.failing:
            return Call(effect, delays)
        failure = StateUnreadable("the ledger", "no answer")
        match chance.randrange(3):
            case 0:
                return Call(None, delays, failure)
            case 1:
                return Call(effect, delays, failure)
        # It takes effect long after nobody waits for it any more.
        late = chance.uniform(0.0, 20.0)
        self.run.scheduler.at(late, lambda: (effect(), None)[1])
        return Call(None, delays, failure)

    async def merge(self, changes: Mapping[str, str | None]) -> Mapping[str, str]:
        """Patch the ledger; those who wait for it have it from then on."""
        run = self.run

        def merged() -> Mapping[str, str]:
            for key in changes:
                owner = run.owners.get(key.rpartition(".")[2])
                if owner is not None:
                    owner.ledger_at = run.world.index
            return run.world.merge(changes)

        label = run.scheduler.label
        if label is not None and label.step.dry_run:
            raise AssertionError("a dry run writes")
        answer: Mapping[str, str] = await self._call(merged)
        return answer

    async def read(self) -> Mapping[str, str]:
        world, label = self.run.world, self.run.scheduler.label

        def taken() -> Mapping[str, str]:
            label.ledger_at = world.index
            return world.ledger[-1]

        answer: Mapping[str, str] = await self._call(taken)
        return answer

    async def policies(self, namespaces: Collection[str]) -> tuple[Mapping[str, Any], int]:
        world, label = self.run.world, self.run.scheduler.label
        taken = label.ledger_at

        def listed() -> tuple[Mapping[str, Any], int]:
            moment = world.moment
            label.window = world.index if taken < 0 else taken
            return {name: moment.policies.get(name, {}) for name in namespaces}, moment.revision

        call = self._call(listed)
        call.effect_after += self.run.chance.choice((0.0, 0.0, 0.05, 0.1))
        answer: tuple[Mapping[str, Any], int] = await call
        return answer

    async def namespaces(self) -> tuple[Mapping[str, StoredNamespace], int]:
        world = self.run.world

        def listed() -> tuple[Mapping[str, StoredNamespace], int]:
            return world.moment.namespaces, world.moment.revision

        answer: tuple[Mapping[str, StoredNamespace], int] = await self._call(listed)
        return answer

    async def touch(self, resource: Resource) -> int:
        world = self.run.world
        version: int = await self._call(lambda: world.touch(policies=resource is Resource.POLICIES))
        return version

    # -- Runtime -------------------------------------------------------------------------------------------

    def now(self) -> float:
        return self.run.scheduler.now

    async def sleep(self, seconds: float) -> None:
        await Call(None, (seconds, 0.0))

    def token(self) -> str:
        token = self.run.token(self.number)
        label = self.run.scheduler.label
        if label is not None:
            self.run.owners[token] = label
        return token

    def future(self) -> SimulatedFuture:
        return SimulatedFuture(self.run.scheduler)


class Request:
    """One request of a client, on its way through the API server."""

    __slots__ = ("change", "deadline", "ledger_at", "reviewed_at", "step", "uid", "window")

    def __init__(self, step: Step, deadline: float, uid: str) -> None:
        self.step = step
        self.deadline = deadline
        self.uid = uid
        self.change: Change[Any] | None = None
        self.window = 0
        self.ledger_at = -1
        self.reviewed_at = 0.0


@dataclass(frozen=True)
class Violation:
    """A point that was lost."""

    namespace: str
    peer: str
    step: Step
    time: float


class Run:
    """One run of one scenario."""

    def __init__(
        self, scenario: Scenario, model: Model, chance: Random, setting: tuple[int, Parts, Counts]
    ) -> None:
        self.scenario = scenario
        self.model = model
        self.chance = chance
        replicas, self.parts, self.counts = setting
        self.scheduler = Scheduler()
        self.world: World[Any] = World()
        self.violations: list[Violation] = []
        self.trace: list[str] | None = None
        self._tokens = 0
        self.owners: dict[str, Request] = {}
        self._left = 0
        self._halves: set[str] = set()
        self._never_reviewed: set[str] = set()
        """What is deleted without a review: nobody answers for what that alone kept open."""
        self._prepare()
        self._open: dict[tuple[str, str], int] = {}
        self._since: dict[tuple[str, str, int], int] = {}
        self._observe()
        self.replicas = [Replica(self, number) for number in range(replicas)]

    def token(self, number: int) -> str:
        """Return a token that no entry had."""
        self._tokens += 1
        return f"r{number}n{self._tokens}"

    def _prepare(self) -> None:
        world = self.world
        world.now = -1_000.0
        for name, labels in self.scenario.namespaces.items():
            world.put_namespace(name, world.uid(), labels)
        for place, value in self.scenario.policies.items():
            terminating = place in self.scenario.terminating
            uid = world.uid()
            if terminating:
                self._never_reviewed.add(uid)
            if terminating or place in self.scenario.finalizing:
                world.finalizers.add(uid)
            world.put_policy(place, Stored(uid, 0, value, terminating))

    def go(self) -> list[Violation]:
        """Let everything happen; return what was lost."""
        scheduler = self.scheduler
        for step in self.scenario.steps:
            self._left += 1
            scheduler.at(step.at, partial(self._submit, step))
        for at, number in self.scenario.crashes_at:
            scheduler.at(at, self.replicas[number].crash)
        for replica in self.replicas:
            self._tick_later(replica)
        if self.scenario.weather.deleted > self.chance.random():
            scheduler.at(self.chance.random() * (self.scenario.steps[-1].at + 1.0), self._delete_ledger)
        while self._left and not self.violations:
            scheduler.step()
        for replica in self.replicas:
            for task in replica.tasks:
                task.cancel()
        self.counts.runs += 1
        return self.violations

    def _tick_later(self, replica: Replica) -> None:
        delay = self.chance.expovariate(1 / self.scenario.weather.tick_seconds)

        def tick() -> None:
            if len(self.world.ledger) == 1:
                self._tick_later(replica)
                return
            task = Task(self.scheduler, replica.settler.tick(), lambda _, __: self._tick_later(replica))
            self._sync()
            task.step(None)

        self.scheduler.at(delay, tick)

    def _sync(self) -> None:
        self.world.now = self.scheduler.now

    def _delete_ledger(self) -> None:
        """Have the ledger deleted; who finds it missing makes it anew, before anything else."""
        self._sync()
        self.world.ledger.append(made_anew(self.token(9)))
        self.world.ledger_times.append(self.world.now)

    # -- a request -----------------------------------------------------------------------------------------

    def _submit(self, step: Step) -> None:
        request = Request(step, self.scheduler.now + REQUEST_SECONDS, self.world.uid())
        self._admit(request)

    def _over(self) -> None:
        self._left -= 1

    def _admit(self, request: Request) -> None:
        """Ask the guard, as often as the object moves."""
        self._sync()
        change = self._change(request)
        if change is None or self.scheduler.now > request.deadline:
            self._over()
            return
        request.change = change
        if not self._is_called(request):
            self._commit_later(request, judged=False)
            return
        request.window, request.ledger_at = self.world.index, -1
        request.reviewed_at = self.scheduler.now
        number = request.step.replica
        replica = self.replicas[self.chance.randrange(len(self.replicas)) if number is None else number]
        task = Task(
            self.scheduler,
            replica.reviews.review(change),
            lambda decision, error: self.answered(request, decision, error),
            request,
        )
        replica.tasks = [task for task in replica.tasks if not task.is_over]
        replica.tasks.append(task)
        if self.scenario.weather.cut_short > self.chance.random():
            self.scheduler.at(self.chance.expovariate(100), partial(self._cut_short, request, task))
        task.step(None)

    def _cut_short(self, request: Request, task: Task) -> None:
        """End a review whose time is up."""
        if not task.is_over:
            task.cancel()
            self.answered(request, None, StateUnreadable("the ledger", "the time is up"))

    def _is_called(self, request: Request) -> bool:
        """Tell whether the API server asks the guard: for managed namespaces alone."""
        if isinstance(request.change, LabelChange):
            return True
        namespace = self.world.moment.namespaces.get(request.step.namespace)
        return namespace is not None and self.model.judge.is_managed(namespace.labels)

    def _change(self, request: Request) -> Change[Any] | None:
        step = request.step
        effect = Effect.DRY_RUN if step.dry_run else Effect.REAL
        moment = self.world.moment
        if self.chance.random() < self.scenario.weather.stale_old:
            moment = self.world.history[max(0, self.world.index - 1)]
        if step.verb == "labels":
            old = moment.namespaces.get(step.namespace)
            uid = request.uid if old is None else old.uid
            return LabelChange(step.namespace, uid, old, step.labels or {}, effect)
        stored = moment.policies.get(step.namespace, {}).get(step.name)
        if step.verb in ("create", "half"):
            # The API server finds out only when it writes that the name is taken.
            other = self._other_half(step)
            return PolicyChange(step.namespace, step.name, request.uid, None, step.value, other, effect)
        if stored is None:
            return None
        new = {"update": step.value, "delete": None}.get(step.verb, stored.value)
        return PolicyChange(step.namespace, step.name, stored.uid, stored, new, (), effect)

    def _other_half(self, step: Step) -> tuple[Any, ...]:
        if step.verb != "half":
            return ()
        other = "half-b" if step.name == "half-a" else "half-a"
        stands = other in self.world.moment.policies.get(step.namespace, {})
        return () if stands else (self.model.half(other),)

    def answered(self, request: Request | None, decision: Answer, error: BaseException | None) -> None:
        """Take the guard's answer."""
        if request is None:
            return
        if error is not None and not isinstance(error, StateUnreadable):
            raise error
        if self.trace is not None:
            self.trace.append(f"{self.scheduler.now:8.3f} {decision or error!r}"[:400])
        late = self.scheduler.now > request.reviewed_at + WEBHOOK_SECONDS
        if not isinstance(decision, Admission) or late:
            if error is not None or late:
                self.counts.unavailable += 1
            elif isinstance(decision, Refusal):
                self.counts.reason(decision.reason.name)
            self._over()
            return
        self.counts.way(decision.way)
        self._commit_later(request, judged=True)

    def _commit_later(self, request: Request, *, judged: bool) -> None:
        weather, chance = self.scenario.weather, self.chance
        if request.step.dry_run or chance.random() < weather.others_refuse:
            self._over()
            return
        wait = request.step.other_wait
        if wait is None:
            wait = chance.choice(weather.others_wait) * chance.random()
        # Other webhooks were asked at the same time; nothing is written after the deadline.
        wait = min(wait + chance.expovariate(500), request.deadline - self.scheduler.now)
        self.scheduler.at(max(0.0, wait), lambda: self._commit(request, judged=judged))

    def _commit(self, request: Request, *, judged: bool) -> None:
        self._sync()
        change = request.change
        if isinstance(change, LabelChange):
            current: Any = self.world.moment.namespaces.get(change.name)
        else:
            assert change is not None
            current = self.world.moment.policies.get(change.namespace, {}).get(change.name)
        if change.old is None and current is not None:
            self._over()
        elif change.old is not None and (current is None or current.version != change.old.version):
            # The object moved: the API server begins again with what there is now.
            self._admit(request)
        else:
            if not judged and self._is_called(request):
                # Nobody asked the guard, and meanwhile the namespace is managed: this it does not cover.
                self._left = 0
                return
            self._write(request, current)
            if not judged and request.step.verb == "delete":
                self._never_reviewed.add(current.uid)
            vanished = request.step.verb == "finalize" and current.uid in self._never_reviewed
            self._observe(request if judged and not vanished else None)
            self._over()

    def _write(self, request: Request, current: Any) -> None:  # noqa: ANN401 - a policy or a namespace
        change = request.change
        self.counts.commits += 1
        if self.trace is not None:
            self.trace.append(f"{self.scheduler.now:8.3f} commit {request.step}")
        if isinstance(change, LabelChange):
            self.world.put_namespace(change.name, change.uid, change.labels)
            return
        assert change is not None
        place = (change.namespace, change.name)
        # What the API server says that it changes is so since then, whatever was read before.
        first = self.world.history[0].revision
        made = self.world.removed_at.get(place, 0) if current is None else current.version - first
        request.window = max(request.window, made)
        if current is None:
            self._create(request.step, change)
        else:
            self.world.put_policy(place, self._after(request.step, change, current))

    def _create(self, step: Step, change: PolicyChange[Any]) -> None:
        if change.assumed:
            self._halves.add(change.uid)
        if step.finalizer:
            self.world.finalizers.add(change.uid)
        self.world.put_policy((change.namespace, change.name), Stored(change.uid, 0, change.new))

    def _after(self, step: Step, change: PolicyChange[Any], current: Stored[Any]) -> Stored[Any] | None:
        """Return what is stored of a policy that there is already, None where it goes."""
        if step.verb == "delete":
            return replace(current, terminating=True) if current.uid in self.world.finalizers else None
        if step.verb == "finalize" and current.terminating:
            self.world.finalizers.discard(current.uid)
            return None
        return replace(current, value=change.new)

    # -- the invariant -------------------------------------------------------------------------------------

    def _observe(self, request: Request | None = None) -> None:
        """Note what is open now, and whether the request's change lost something that it must not."""
        moment, index, judge = self.world.moment, self.world.index, self.model.judge
        managed = {
            name: namespace.labels
            for name, namespace in moment.namespaces.items()
            if judge.is_managed(namespace.labels)
        }
        change = None if request is None else request.change
        required = dict(managed)
        if isinstance(change, LabelChange) and change.old is not None and judge.is_managed(change.old.labels):
            # What takes the label away is judged as if it were required still.
            required[change.name] = change.labels
        now: dict[tuple[str, str], int] = {}
        for namespace in required:
            values = tuple(policy.value for policy in moment.policies.get(namespace, {}).values())
            assumed = self._assumed(namespace)
            for peer, labels in required.items():
                key = (namespace, peer)
                opened = self.model.open_points(namespace, values, peer, labels)
                was = self._open.get(key, 0)
                lost = was & ~opened
                if lost and request is not None:
                    if assumed:
                        lost &= ~self.model.open_points(namespace, (*values, *assumed), peer, labels)
                    self._check(request, key, lost)
                now[key] = opened if namespace in managed and peer in managed else 0
                self._note(key, was, now[key], index)
        self._open = now

    def _assumed(self, namespace: str) -> tuple[Any, ...]:
        """Return the halves that are to come: what is lost for want of them alone is left aside."""
        policies = self.world.moment.policies.get(namespace, {})
        if not any(policy.uid in self._halves for policy in policies.values()):
            return ()
        return tuple(self.model.half(name) for name in ("half-a", "half-b") if name not in policies)

    def _note(self, key: tuple[str, str], was: int, opened: int, index: int) -> None:
        fresh = opened & ~was
        bit = 0
        while fresh >> bit:
            if fresh >> bit & 1:
                self._since[(*key, bit)] = index
            bit += 1

    def _check(self, request: Request, key: tuple[str, str], lost: int) -> None:
        """Count a loss as one where the point was open and required ever since the review."""
        bit = 0
        while lost >> bit:
            if lost >> bit & 1 and self._since[(*key, bit)] <= request.window:
                self.violations.append(Violation(*key, request.step, self.scheduler.now))
                return
            bit += 1
        if lost:
            self.counts.losses += 1
