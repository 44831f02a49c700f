"""The admission layer with one rule taken away each; a sequence has to lose something by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from app.admission import reviewer
from app.admission.ledger.worst_case import WorstCase
from app.admission.overrides import Overrides
from app.cluster.state import webhook_services
from app.engine.cluster import MANAGED
from app.engine.required_flows import Options
from app.model.seen_services import NOTHING_SEEN
from app.model.snapshot import Stored, Watched
from tests.admission.sequences import guard
from tests.admission.sequences.store import MANAGED_LABEL, MODE_LABEL, Store, labels_of

Mutant = Callable[[], AbstractContextManager[Any]]


def _before_seeing(change: Callable[[Mapping[str, Stored[Any]]], Mapping[str, Stored[Any]]]) -> Mutant:
    """Have other policies count before a change than there are."""
    real = WorstCase.before

    def before(self: WorstCase[Any], changed: Any, watched: Watched[Any], peers: Any) -> Any:  # noqa: ANN401 - as the method
        return real(self, changed, _other(watched, change), peers)

    return lambda: patch.object(WorstCase, "before", before)


def _after_seeing(change: Callable[[Mapping[str, Stored[Any]]], Mapping[str, Stored[Any]]]) -> Mutant:
    """Have other policies count after a change than there are."""
    real = WorstCase.worst

    def worst(self: WorstCase[Any], namespace: str, own: str, *after: Any) -> Any:  # noqa: ANN401 - as the method
        own_after, (watched, under_way, peers) = after
        return real(self, namespace, own, own_after, (_other(watched, change), under_way, peers))

    return lambda: patch.object(WorstCase, "worst", worst)


def _other(
    watched: Watched[Any], change: Callable[[Mapping[str, Stored[Any]]], Mapping[str, Stored[Any]]]
) -> Watched[Any]:
    return replace(watched, policies={name: change(found) for name, found in watched.policies.items()})


def _going_allows_nothing(found: Mapping[str, Stored[Any]]) -> Mapping[str, Stored[Any]]:
    return {
        name: replace(stored, value=replace(stored.value, ingress=(), egress=()))
        if stored.terminating
        else stored
        for name, stored in found.items()
    }


def _all_staying(found: Mapping[str, Stored[Any]]) -> Mapping[str, Stored[Any]]:
    return {name: replace(stored, terminating=False) for name, stored in found.items()}


async def _may(*_: object) -> bool:
    return True


def _weakening_of_managed(before: Any, after: Any, versions: Any) -> str:  # noqa: ANN401 - as the function
    old, _ = versions
    return _WEAKENING(before, after, versions) if old and MANAGED.matches(old.namespace.labels) else ""


_WEAKENING, _IS_ASKED, _ASKED = reviewer._weakening, Store.is_asked, Store._asked_namespace


def _not_for_controllers(store: Store, request: Any) -> bool:  # noqa: ANN401 - a request
    return _IS_ASKED(store, {**request, "name": ""} if request["operation"] == "DELETE" else request)


def _not_for_collections(store: Store, request: Any) -> bool:  # noqa: ANN401 - a request
    return _IS_ASKED(store, request) and not (request["operation"] == "DELETE" and not request["name"])


def _by_our_labels(store: Store, operation: str, *asked: Any, **more: Any) -> bool:  # noqa: ANN401 - as the method
    new, old, _ = asked
    ours = [[labels_of(each).get(key) for key in (MANAGED_LABEL, MODE_LABEL)] for each in (new, old or new)]
    return ours[0] == ours[1] or _ASKED(store, operation, *asked, **more)


MUTANTS: Mapping[str, Mutant] = {
    "what is being deleted allows nothing before": _before_seeing(_going_allows_nothing),
    "what is being deleted counts after": _after_seeing(_all_staying),
    "the spec of what is being deleted may change": lambda: patch.object(
        reviewer, "_changes_spec", lambda *_: False
    ),
    "half of a pair for everybody": lambda: patch.object(Overrides, "is_allowed", _may),
    "a missing Service requires nothing": lambda: patch.object(
        guard, "with_memory", lambda facts: replace(facts, seen={})
    ),
    "a deleted configuration requires nothing": lambda: patch.object(
        webhook_services, "remember", lambda _, now, **__: now
    ),
    "a restart forgets": lambda: patch.object(guard, "read_seen", lambda *_: NOTHING_SEEN),
    "anybody may weaken the mode": lambda: patch.object(reviewer, "_weakening", lambda *_: ""),
    "anybody may weaken it before it is managed": lambda: patch.object(
        reviewer, "_weakening", _weakening_of_managed
    ),
    "nobody is asked about controllers": lambda: patch.object(Store, "is_asked", _not_for_controllers),
    "nobody is asked about collections": lambda: patch.object(Store, "is_asked", _not_for_collections),
    "only our own labels are looked at": lambda: patch.object(Store, "_asked_namespace", _by_our_labels),
    "the plugin is not known": lambda: patch.object(Options, "known_by", lambda options, _: options),
}


@contextmanager
def mutated(name: str | None) -> Iterator[None]:
    """Have a rule taken away while the body runs."""
    with MUTANTS[name]() if name else nullcontext():
        yield
