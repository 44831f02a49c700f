"""Changes that go somewhere: the attacks of somebody with rights on policies, one step after the other.

Random steps come in between, so that each is tried in many states.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.admission.sequences.acts import (
    BY_TEAM,
    DENY,
    DEVELOPER,
    FINALIZER,
    MODE,
    NOBODY,
    OPEN,
    Acts,
    Step,
    owned_by,
)
from tests.admission.sequences.store import MANAGED_LABEL, Key

Attack = list[Callable[[], Step]]


def _create(acts: Acts, key: Key, spec: dict[str, object], **metadata: object) -> Callable[[], Step]:
    return lambda: acts.create(DEVELOPER, key, spec, metadata)


def _delete(acts: Acts, key: Key) -> Callable[[], Step]:
    return lambda: acts.delete(DEVELOPER, key)


def _let_go(acts: Acts, key: Key) -> Callable[[], Step]:
    return lambda: acts.metadata(DEVELOPER, key, finalizers=[])


def _baselines(namespace: str) -> tuple[Key, Key]:
    return (namespace, "iomete-spark-operator"), (namespace, "iomete-ingress-egress")


def _open_until_gone(acts: Acts, namespace: str) -> Attack:
    """Let all in, have that go, isolate beside it, and let it go: F1's twin."""
    opening, deny = (namespace, "x0"), (namespace, "x1")
    held = {"finalizers": [FINALIZER]}
    create = _create(acts, opening, OPEN, **held)
    return [create, _delete(acts, opening), _create(acts, deny, DENY), _let_go(acts, opening)]


def _other_spec(acts: Acts, namespace: str) -> Attack:
    """Write another spec into what is going: F1."""
    key = (namespace, "x0")
    create = _create(acts, key, NOBODY, finalizers=[FINALIZER])
    return [create, _delete(acts, key), lambda: acts.write(DEVELOPER, key, DENY)]


def _half(acts: Acts, namespace: str) -> Attack:
    """Take both baselines away beside what lets all in, take that away, and apply one half: F2."""
    opening, half = (namespace, "x0"), (namespace, "iomete-ingress-egress")
    taken = [_delete(acts, key) for key in _baselines(namespace)]
    back = [lambda: acts.create(DEVELOPER, half, acts.baselines(namespace)[-1]["spec"])]
    return [_create(acts, opening, OPEN), *taken, _delete(acts, opening), *back]


def _mode(acts: Acts, namespace: str) -> Attack:
    """Weaken the mode, and take away what was kept."""
    off = [lambda: acts.relabel(DEVELOPER, namespace, {**acts.labels(namespace), MODE: "off"})]
    return [
        *off,
        *(_delete(acts, key) for key in _baselines(namespace)),
        _create(acts, (namespace, "x1"), DENY),
    ]


def _mode_before_managed(acts: Acts, _: str) -> Attack:
    """Put the mode on first, where nobody is asked: F20."""

    def relabel(**labels: str) -> Callable[[], Step]:
        return lambda: acts.relabel(DEVELOPER, "ns-c", {**acts.labels("ns-c"), **labels})

    return [relabel(**{MODE: "off"}), relabel(**{MANAGED_LABEL: "true"}), _create(acts, ("ns-c", "x1"), DENY)]


def _owner(acts: Acts, namespace: str) -> Attack:
    """Have the collector of garbage do it: F23."""

    def own(key: Key) -> Callable[[], Step]:
        return lambda: acts.metadata(
            DEVELOPER, key, ownerReferences=owned_by("one", acts.store.owners.get("one", ""))
        )

    def orphan() -> Step:
        acts.store.owners.pop("one", None)
        return Step("the owner one is deleted")

    return [*map(own, _baselines(namespace)), orphan]


def _service(acts: Acts, _: str) -> Attack:
    """Delete the Service of a webhook, and then what lets the API server in."""

    def delete() -> Step:
        acts.store.service = acts.store.endpoints = None
        return Step("the Service is deleted")

    def restart() -> Step:
        acts.guard.restart()
        return Step("the guard is restarted")

    return [delete, restart, _delete(acts, ("ns-a", "iomete-spark-operator"))]


def _label(acts: Acts, namespace: str) -> Attack:
    """Take the managed label away, and put it back when it is done."""

    def relabel(**labels: str) -> Callable[[], Step]:
        return lambda: acts.relabel(DEVELOPER, namespace, labels)

    return [
        relabel(),
        *(_delete(acts, key) for key in _baselines(namespace)),
        relabel(**{MANAGED_LABEL: "true"}),
    ]


def _team(acts: Acts, namespace: str) -> Attack:
    """Let others in by a label alone, and take that label from one of them."""

    def relabel(name: str, **labels: str) -> Callable[[], Step]:
        return lambda: acts.relabel(DEVELOPER, name, {MANAGED_LABEL: "true", **labels})

    labelled = [relabel(name, team="x") for name in ("ns-a", "ns-b")]
    others = [_delete(acts, (namespace, name)) for name in ("p0", "iomete-ingress-egress")]
    return [*labelled, _create(acts, (namespace, "x0"), BY_TEAM), *others, relabel("ns-b")]


ATTACKS: tuple[Callable[[Acts, str], Attack], ...] = (
    _open_until_gone,
    _other_spec,
    _half,
    _mode,
    _mode_before_managed,
    _owner,
    _service,
    _label,
    _team,
)
