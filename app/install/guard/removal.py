"""What of the guard stands in a cluster, and in which order it goes: the webhook configuration first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from app.errors import ChangeFailed
from app.install.dry_run import PlanStep
from app.install.guard.attempts import attempts
from app.install.guard.manifests import CONFIGURATION, WORKLOAD
from app.install.policies.changes import Action
from app.install.ports import Clock, Store
from app.model.kinds import (
    CONFIG_MAP,
    DEPLOYMENT,
    NAMESPACE,
    POD,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    Manifest,
    Reference,
)
from app.names import NAME, OURS, SOURCES_CONFIG_MAP, TLS_SECRET

_HOME = Reference(NAMESPACE, NAME)
_LOOKED_AT = (DEPLOYMENT, SERVICE, CONFIG_MAP, SECRET, SERVICE_ACCOUNT)
_EVERYWHERE = {(CONFIG_MAP, "kube-root-ca.crt"), (SERVICE_ACCOUNT, "default")}
"""What Kubernetes itself puts into every namespace."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """The steps that take the guard away, and what is worth a word."""

    steps: tuple[PlanStep, ...]
    notes: tuple[str, ...] = ()


def leave(store: Store, manifests: Iterable[Manifest]) -> Leaving:
    """Return how the guard leaves the cluster. Raises ``StateUnreadable``."""
    shipped = [Reference.of(manifest) for manifest in manifests]
    made = [Reference(SECRET, TLS_SECRET, NAME), Reference(CONFIG_MAP, SOURCES_CONFIG_MAP, NAME)]
    first, last = (CONFIGURATION, WORKLOAD), (_HOME,)
    others = dict.fromkeys(
        reference for reference in (*reversed(shipped), *made) if reference not in (*first, *last)
    )
    steps, notes = [], []
    guests = sorted(_guests(store, {*first, *others})) if store.get(_HOME) else []
    for reference in (*first, *others, *last):
        there = store.get(reference)
        if there is None:
            continue
        if reference == _HOME and guests:
            notes.append(f"namespace {NAME} stays: it holds what is not ours: {', '.join(guests)}")
        elif reference.namespace != NAME and not _is_ours(there):
            notes.append(f"{reference} stays: it lacks the label {'='.join(OURS)}, so it is not ours")
        else:
            steps.append(PlanStep(reference, Action.REMOVE, "the guard goes", None, there))
    return Leaving(tuple(steps), tuple(notes))


def _is_ours(manifest: Manifest) -> bool:
    return OURS in (manifest["metadata"].get("labels") or {}).items()


def _guests(store: Store, ours: set[Reference]) -> Iterator[str]:
    for kind in _LOOKED_AT:
        for manifest in store.list(kind, NAME):
            name = manifest["metadata"]["name"]
            if Reference(kind, name, NAME) not in ours and (kind, name) not in _EVERYWHERE:
                yield f"{kind.name} {name}"


def wait_until_gone(store: Store, clock: Clock, step: PlanStep, seconds: float) -> str:
    """Wait until what ``step`` removed is gone, with its pods. Raises ``ChangeFailed`` past ``seconds``.

    The guard's pods would make their Secret again as long as they run; a namespace takes its time.
    """
    for is_last in attempts(clock, seconds):
        if not _is_there(store, step.reference):
            break
        if is_last:
            how = (
                f"kubectl get {step.reference.kind.resource} -n {NAME} -o yaml says why; then run this again"
            )
            raise ChangeFailed(f"remove {step.reference}", f"it is still there after {seconds:g} s", how)
    return "gone"


def _is_there(store: Store, reference: Reference) -> bool:
    if reference == WORKLOAD:
        return any(_is_ours(pod) for pod in store.list(POD, NAME))
    return store.get(reference) is not None


def is_waited_for(reference: Reference) -> bool:
    """Tell whether the next step must not begin before ``reference`` is really gone."""
    return reference in (WORKLOAD, _HOME)
