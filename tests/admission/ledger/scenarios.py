"""Random clusters and what their clients do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.admission.ledger.simulation import Model, Scenario, Step, Value, Weather

NAMES = ("p", "q", "r", "s")
VERBS = (
    "delete",
    "delete",
    "delete",
    "create",
    "create",
    "update",
    "update",
    "finalize",
    "meta",
    "labels",
    "half",
)

Generator = Callable[[Random, Model], Scenario]


@dataclass(frozen=True)
class Habit:
    """What clients tend to do."""

    verbs: tuple[str, ...] = VERBS
    most_steps: int = 7
    bursts: tuple[float, ...] = (0.0, 0.0, 0.001, 0.01, 0.1, 1.0, 10.0, 40.0)
    finalizers: float = 0.25
    terminating: float = 0.1
    dry_runs: float = 0.05
    weather: Weather = Weather()  # noqa: RUF009 - frozen


_STALE = Weather(lags=(0.0, 0.05, 5.0, 40.0), tick_seconds=0.2, lag_seconds=10.0, stale_old=0.02)
_ROUGH = Weather(failing=0.3, crashes=0.8, tick_seconds=0.5)
_DELETED = Weather(deleted=1.0, lags=(0.0, 0.05, 5.0, 40.0), lag_seconds=10.0)
_POLICIES = ("delete", "delete", "create", "update", "finalize", "meta")
_LABELS = ("labels", "labels", "delete", "create", "update")
HABITS = (
    Habit(),
    Habit(),
    Habit(most_steps=12),
    Habit(verbs=_POLICIES, weather=_STALE),
    Habit(verbs=_LABELS, weather=_STALE, most_steps=9),
    Habit(weather=_ROUGH),
    Habit(verbs=_POLICIES, weather=_DELETED, bursts=(0.1, 1.0, 10.0, 40.0)),
    Habit(bursts=(0.0, 0.001, 0.005), weather=Weather(failing=0.0, crashes=0.0, others_refuse=0.0)),
)


def random_scenario(chance: Random, model: Model) -> Scenario:
    """Return a cluster of two or three namespaces and a few requests, most of them about one of these."""
    return habitual_scenario(chance, model, chance.choice(HABITS))


def habitual_scenario(chance: Random, model: Model, habit: Habit) -> Scenario:
    """Return a cluster of two or three namespaces and a few requests, most of them about one of these."""
    namespaces = {
        "a": model.labels("a", chance.choice((None, "x")), managed=True),
        "b": model.labels("b", chance.choice((None, "x", "y")), managed=chance.random() < 0.85),
    }
    policies = {}
    terminating, finalizing = set(), set()
    for namespace in ("a", "a", "b"):
        for name in NAMES:
            if chance.random() < (0.55 if namespace == "a" else 0.3) and (namespace, name) not in policies:
                policies[namespace, name] = initial_policy(chance, model)
                if chance.random() < habit.terminating:
                    terminating.add((namespace, name))
                if chance.random() < habit.finalizers:
                    finalizing.add((namespace, name))
    steps = []
    at = 0.0
    for _ in range(chance.randint(2, habit.most_steps)):
        at += chance.choice(habit.bursts) * chance.random()
        steps.append(_step(at, chance, model, habit))
    crashes: tuple[tuple[float, int], ...] = ()
    if chance.random() < habit.weather.crashes:
        crashes = tuple(
            (chance.random() * (at + 1.0), chance.randrange(2)) for _ in range(chance.randint(1, 2))
        )
    objects = (frozenset(terminating), frozenset(finalizing))
    return Scenario(namespaces, policies, *objects, tuple(steps), habit.weather, crashes)


def initial_policy(chance: Random, model: Model) -> Value:
    """Return a policy such as stands in a cluster: mostly one that lets in what is required."""
    draw = chance.random()
    if draw < 0.3:
        return model.allow_all()
    if draw < 0.4:
        return model.allow_managed()
    if draw < 0.5:
        return model.allow_team(chance.choice("xy"))
    if draw < 0.65:
        return model.deny_all()
    return model.policy(chance)


def _step(at: float, chance: Random, model: Model, habit: Habit) -> Step:
    verb = chance.choice(habit.verbs)
    namespace = "a" if chance.random() < 0.8 else "b"
    dry_run = chance.random() < habit.dry_runs
    if verb == "labels":
        namespace = "b" if chance.random() < 0.7 else chance.choice("ac")
        labels = model.labels(namespace, chance.choice((None, "x", "y")), managed=chance.random() < 0.85)
        return Step(at, verb, namespace, labels=labels, dry_run=dry_run)
    if verb == "half":
        name = chance.choice(("half-a", "half-b"))
        return Step(at, verb, namespace, name, model.half(name), dry_run=dry_run)
    name = chance.choice((*NAMES, "half-a", "half-b")) if chance.random() < 0.1 else chance.choice(NAMES)
    value = model.policy(chance) if verb in ("create", "update") else None
    finalizer = chance.random() < habit.finalizers
    return Step(at, verb, namespace, name, value, finalizer=finalizer, dry_run=dry_run)
